"""Write a detector as a graph, and compare what both find before the graph is kept."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...models.onnx_graph import OPSET, import_onnx
from ..model.detector import Detector, count_classes
from ..model.graph_form import GraphForm
from ..model.load import LoadedModel
from ..model.object_graph import OUTPUTS, ObjectFacts, ObjectGraph
from ..model.onnx import OnnxGraph
from ..model.runtimes.forms import quiet
from .graph import WholeModel, tell_reason

# Largest difference in pixels of a side, and of a score, of one object found by both
_FURTHEST = 0.01
_SCORE = 1e-4

# sides of the images of noise that both look at
_SIDES = ((192, 192), (256, 192))


class _OneImage(nn.Module):
    """A detector as a graph can hold it: of one image, as tensors."""

    def __init__(self, detector: nn.Module, form: GraphForm) -> None:
        """Take a detector, and what the graph is to take."""
        super().__init__()
        self.whole = WholeModel(_First(detector), form)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give boxes, labels and scores of one image (1, C, H, W)."""
        # not a tensor, whatever the type says
        found: tuple[Tensor, Tensor, Tensor] = self.whole(images)
        return found


class _First(nn.Module):
    """What a detector finds in the first image."""

    def __init__(self, detector: nn.Module) -> None:
        """Take a detector of torchvision."""
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Give boxes, labels and scores."""
        found = self.detector([images[0]])[0]
        return tuple(found[name] for name in OUTPUTS)


def tell_facts(loaded: LoadedModel) -> ObjectFacts:
    """Say of a detector what its graph does not."""
    detector = Detector.of(loaded)
    return ObjectFacts(
        has_background=detector.has_background,
        classes=count_classes(loaded.forward),
        most=detector.most,
    )


def write_objects(
    loaded: LoadedModel, form: GraphForm, path: Path, *, record: Mapping[str, str]
) -> None:
    """Write a detector of torchvision as a graph of one image of any size.

    Args:
        loaded: The detector, in evaluation mode, without gradients.
        form: What the graph takes.
        path: New file.
        record: Becomes the metadata.

    Raises:
        ValueError: If the detector cannot be traced, or its graph finds other objects.
    """
    onnx = import_onnx()
    network: Any = getattr(loaded.forward, 'model', loaded.forward)
    images = torch.zeros(1, loaded.in_channels, *_SIDES[0])
    if 'masks' in Detector.of(loaded)(images)[0]:
        raise ValueError(
            f'{loaded.name} returns a mask of every object, which no graph is written with; pass '
            'the checkpoint itself to gersp-geo predict, or --format for its backbone alone'
        )
    try:
        with quiet(), torch.inference_mode(mode=False), torch.no_grad():
            # torch.export does not follow a detector, whose boxes decide how much is computed
            torch.onnx.export(
                _OneImage(network, form).eval(), (images,), str(path), dynamo=False,
                opset_version=OPSET, input_names=['image'], output_names=[*OUTPUTS],
                dynamic_axes={'image': {2: 'height', 3: 'width'}, **{name: {0: 'objects'} for name in OUTPUTS}},
            )  # fmt: skip
    # exporters raise anything
    except Exception as error:
        raise ValueError(
            f'{loaded.name} cannot be written as a graph: {tell_reason(error)}'
        ) from error
    graph = onnx.load(path)
    onnx.helper.set_model_props(graph, dict(record))
    onnx.save(graph, path)
    _compare(loaded, ObjectGraph(OnnxGraph(path, form=form), tell_facts(loaded)))


def _compare(loaded: LoadedModel, graph: ObjectGraph) -> None:
    """Refuse a graph that finds other objects than the detector."""
    generator = torch.Generator().manual_seed(0)
    for rows, cols in _SIDES:
        images = torch.randn(2, loaded.in_channels, rows, cols, generator=generator)
        for one, other in zip(Detector.of(loaded)(images), graph(images), strict=True):
            lone = max(_count_lone(one, other), _count_lone(other, one))
            if lone:
                raise ValueError(
                    f'{loaded.name} cannot be written as a graph: of {len(one["scores"])} objects '
                    f'in noise, {lone} are others in the graph; pass the checkpoint itself to '
                    'gersp-geo predict'
                )


def _count_lone(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> int:
    """Count the objects of the one that the other lacks."""
    if not len(one['scores']) or not len(other['scores']):
        return len(one['scores'])
    apart = (one['boxes'][:, None] - other['boxes'][None]).abs().amax(dim=2) > _FURTHEST
    apart |= (one['scores'][:, None] - other['scores'][None]).abs() > _SCORE
    apart |= one['labels'][:, None] != other['labels'][None]
    return int(apart.all(dim=1).sum())
