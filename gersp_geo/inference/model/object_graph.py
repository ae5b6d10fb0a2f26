"""Run detectors that are stored as ONNX graphs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .onnx import OnnxGraph

OBJECTS_KEY = 'gersp_geo_objects'
"""Metadata of an ONNX file: JSON of what :meth:`ObjectFacts.to_dict` returns."""

OUTPUTS = ('boxes', 'labels', 'scores')
"""What a graph of a detector returns, of one image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectFacts:
    """What can be told of a detector, but not of its graph."""

    has_background: bool
    """Whether label 0 means that there is nothing."""

    classes: int | None
    """Number of classes, the background included."""

    most: int | None
    """Boxes that it returns per image at most; None where that is not known."""

    @classmethod
    def of(cls, stated: object, *, source: str) -> 'ObjectFacts':
        """Read what a file says.

        Raises:
            ValueError: If it says something else.
        """
        given: Mapping[str, Any] = stated if isinstance(stated, Mapping) else {}
        numbers = [given.get(name) for name in ('classes', 'most')]
        is_right = isinstance(given.get('has_background'), bool) and all(
            each is None or (type(each) is int and each > 0) for each in numbers
        )
        if not is_right:
            raise ValueError(
                f'{source} must say has_background (true or false), classes and most (numbers '
                f'> 0, or null), got {str(stated)[:80]}'
            )
        classes, most = numbers
        return cls(has_background=given['has_background'], classes=classes, most=most)

    def to_dict(self) -> dict[str, Any]:
        """Convert to what JSON holds."""
        return asdict(self)


class ObjectGraph:
    """A graph from one image to boxes, labels and scores, run by onnxruntime."""

    def __init__(self, graph: OnnxGraph, facts: ObjectFacts) -> None:
        """Take the graph, and what it does not say itself.

        Raises:
            ValueError: If the graph returns something else.
        """
        if missing := [name for name in OUTPUTS if name not in graph.outputs]:
            raise ValueError(f'{graph.path} returns no {" and ".join(missing)}')
        self.graph, self.facts = graph, facts

    def __call__(self, images: Tensor) -> list[dict[str, Tensor]]:
        """Detect.

        Args:
            images: Normalised, shape (B, C, H, W).

        Returns:
            Per image boxes (n, 4), labels (n,) and scores (n,), on the CPU.
        """
        stored = self.graph.form.to_stored(images.detach().cpu().numpy()).astype(np.float32)
        return [
            {
                name: torch.from_numpy(values)
                for name, values in self.graph.run_all(np.ascontiguousarray(image[None])).items()
                if name in OUTPUTS
            }
            for image in stored
        ]
