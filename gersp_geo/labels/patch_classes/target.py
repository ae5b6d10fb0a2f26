"""Classes of patches as a task of classification learns them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ...windows import Window
from ..sources import ANCHORS, BlockLabels, Colors, Sample
from .marks import Marks


class PatchClasses(ABC):
    """One class, or any number of labels, of each patch; a kind of source is a subclass."""

    class_colors: Colors = ()

    unit = 'image'
    """What was labelled."""

    def __init__(self, marks: Marks, *, size: int, multilabel: bool) -> None:
        """Initialize a new PatchClasses instance.

        Args:
            marks: Classes of what was labelled.
            size: Side of the patches in pixels.
            multilabel: Whether a patch may have several.
        """
        self.class_names = marks.class_names
        self.flags, self.known = marks.flags, marks.known
        self.size, self.multilabel = size, multilabel

    @abstractmethod
    def find(self, tile: int, window: Window) -> NDArray[np.bool_] | None:
        """Say which classes a patch has, shape (classes,); None where nobody said."""

    @abstractmethod
    def scan(self, tile: int, window: Window, *, seed: Sequence[int]) -> BlockLabels:
        """Look what a block inside image *tile* holds; *seed* decides what is remembered."""

    def read(
        self, sample: Sample, tile: int, window: Window, *, valid: NDArray[np.bool_]
    ) -> Sample:
        """Add 'label': int64, shape (), or (classes,) of 0 and 1 for several labels."""
        flags = self.find(tile, window)
        if flags is None:
            raise RuntimeError(f'nobody labelled the patch {window} of image {tile}')
        label = flags.astype(np.int64) if self.multilabel else np.int64(flags.argmax())
        return {**sample, 'label': torch.as_tensor(label)}

    def holds(self, tile: int, window: Window) -> bool:
        """Say whether a patch has a label."""
        return self.find(tile, window) is not None

    def collect(
        self, flags: NDArray[np.bool_], anchors: NDArray[np.int64], generator: np.random.Generator
    ) -> BlockLabels:
        """Count the labels of a block, and remember some places of each.

        Patches with none of several labels are a stratum of their own, behind the classes.

        Args:
            flags: Of all places in the block, shape (n, classes).
            anchors: What a patch is drawn around, shape (n, 4).
            generator: Chooses what is remembered.
        """
        strata = np.concatenate([flags, ~flags.any(axis=1, keepdims=True)], axis=1)
        kept = {}
        for stratum in np.flatnonzero(strata.any(axis=0)).tolist():
            places = np.flatnonzero(strata[:, stratum])
            chosen = np.unique(generator.integers(len(places), size=ANCHORS))
            kept[stratum] = anchors[places[chosen]]
        return BlockLabels(counts=strata.sum(axis=0), anchors=kept)
