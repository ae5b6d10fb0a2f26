"""Write a detector as a graph, and compare what both find before the graph is kept.

In noise, a detector may find nothing that its lowest score lets through. So the graph holds this
number under a name, and both are compared with the number set to 0: with all candidates.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
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
from .samples import make_sample

# Largest difference of one object found by both: of a side in pixels, and of a score, of itself
_FURTHEST = 0.01
_SCORE = 1e-3

# Largest part of the objects that only one of the two finds: where two candidates overlap and score
# alike, rounding decides which of them stays
_LONE = 0.02

# sides of the images of noise that both look at
_SIDES = ((192, 192), (256, 192))

# what the graph calls the number that scores must exceed
_THRESHOLD = 'score_threshold'


class _OneImage(nn.Module):
    """A detector as a graph can hold it: of one image, as tensors."""

    def __init__(self, detector: nn.Module, form: GraphForm, threshold: Tensor) -> None:
        """Take a detector, what the graph is to take, and the number that the graph is to name."""
        super().__init__()
        self.register_buffer(_THRESHOLD, threshold)
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
    threshold = torch.tensor(float(_keeper(network).score_thresh))
    try:
        with (
            quiet(), torch.inference_mode(mode=False), torch.no_grad(),
            _threshold_of(network, threshold),
        ):  # fmt: skip
            # torch.export does not follow a detector, whose boxes decide how much is computed
            torch.onnx.export(
                _OneImage(network, form, threshold).eval(), (images,), str(path), dynamo=False,
                opset_version=OPSET, input_names=['image'], output_names=[*OUTPUTS],
                dynamic_axes={'image': {2: 'height', 3: 'width'}, **{name: {0: 'objects'} for name in OUTPUTS}},
            )  # fmt: skip
        graph = onnx.load(path)
        onnx.helper.set_model_props(graph, dict(record))
        onnx.save(graph, path)
        candidates = OnnxGraph(path, content=_without_threshold(onnx, graph))
        with _threshold_of(network, 0.0):
            _compare(loaded, form, ObjectGraph(candidates, tell_facts(loaded)))
    # exporters and models raise anything
    except Exception as error:
        raise ValueError(
            f'{loaded.name} cannot be written as a graph: {tell_reason(error)}; pass the '
            'checkpoint itself to gersp-geo predict, or --format for its backbone alone'
        ) from error


def _keeper(network: Any) -> Any:
    """Give the part of a detector that chooses what is found."""
    for part in (getattr(network, 'roi_heads', None), network):
        if hasattr(part, 'score_thresh'):
            return part
    raise ValueError(
        f'{type(network).__name__} has no score_thresh, and its graph could not be compared with it'
    )


@contextmanager
def _threshold_of(network: nn.Module, threshold: Tensor | float) -> Iterator[None]:
    """Let a detector keep what scores more than a number, and what it kept before afterwards."""
    keeper = _keeper(network)
    before, keeper.score_thresh = keeper.score_thresh, threshold
    try:
        yield
    finally:
        keeper.score_thresh = before


def _without_threshold(onnx: Any, graph: Any) -> bytes:
    """Give the same graph with a threshold of 0."""
    found = onnx.ModelProto()
    found.CopyFrom(graph)
    named = [each for each in found.graph.initializer if each.name == _THRESHOLD]
    if not named:
        raise ValueError('its lowest score is lost, and all candidates cannot be compared')
    named[0].CopyFrom(onnx.numpy_helper.from_array(np.zeros((), dtype=np.float32), _THRESHOLD))
    content: bytes = found.SerializeToString()
    return content


def _compare(loaded: LoadedModel, form: GraphForm, graph: ObjectGraph) -> None:
    """Refuse a graph that finds other objects than the detector, or none to compare."""
    for rows, cols in _SIDES:
        sample = make_sample(loaded, form, count=1, rows=rows, cols=cols)
        (one,), (other,) = Detector.of(loaded)(sample.normalised), graph(sample.taken)
        count = len(one['scores'])
        if not count:
            raise ValueError('in noise it has no candidate at all, so that nothing can be compared')
        lone = max(_count_lone(one, other), _count_lone(other, one))
        if lone > _LONE * count:
            raise ValueError(f'of {count} objects in noise, {lone} are others in the graph')


def _count_lone(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> int:
    """Count the objects of the one that the other lacks."""
    if not len(one['scores']) or not len(other['scores']):
        return len(one['scores'])
    gap = (one['boxes'][:, None] - other['boxes'][None]).abs().amax(dim=2)
    further = (one['scores'][:, None] - other['scores'][None]).abs()
    # no number is near another if one of them is NaN
    same = (gap <= _FURTHEST) & (further <= _SCORE * one['scores'][:, None])
    same &= one['labels'][:, None] == other['labels'][None]
    return int((~same.any(dim=1)).sum())
