"""Write a whole model as a graph, and compare the graph with the model before it is kept."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...messages import one_line
from ...models.onnx_graph import write_module
from ..model.graph_form import GraphForm
from ..model.load import LoadedModel
from ..model.onnx import OnnxGraph
from ..model.predictor import to_probabilities
from ..model.runtimes.forms import quiet
from .samples import make_sample

# side of the images that are traced where any side will do, which costs little
_SMALL = 128

# pixels by which the second size differs that a graph of free sides is tried on: as many as most
# networks want sides to be divisible by
_FURTHER = 64

# Largest difference between graph and model: of what the scores of a class vary by, and of the
# largest score, as both add up in another order. The last is for scores that are all zero.
_TOLERANCE = 1e-3
_ROUNDING = 1e-5
_LEAST = 1e-6


class WholeModel(nn.Module):
    """A model with what comes before and after it, as a graph is to hold them."""

    def __init__(self, network: nn.Module, form: GraphForm) -> None:
        """Set up.

        Args:
            network: From normalised images to scores.
            form: What is to be taken and returned.
        """
        super().__init__()
        self.network, self.form = network, form
        record = form.record
        if form.factor is not None and record is not None:
            scale = np.asarray(record.scale) / form.factor
            for name, values in (('scale', scale), ('mean', record.mean), ('std', record.std)):
                column = torch.tensor(np.asarray(values), dtype=torch.float32)[:, None, None]
                self.register_buffer(name, column)

    def forward(self, images: Tensor) -> Tensor:
        """Run the model.

        Args:
            images: Shape (B, C, H, W), (B, 2 * C, H, W) or (B, 2, C, H, W).

        Returns:
            Shape (B, K) or (B, K, H, W).
        """
        if self.form.factor is not None:
            images = self._normalise(images)
        scores: Tensor = self.network(images)
        if self.form.returned == 'softmax':
            return scores.softmax(dim=1)
        return scores.sigmoid() if self.form.returned == 'sigmoid' else scores

    def _normalise(self, images: Tensor) -> Tensor:
        """Scale and standardise every date; what is no number becomes the mean of its band."""
        shape, scale = images.shape, self.get_buffer('scale')
        if images.ndim == 4 and images.shape[1] != len(scale):
            images = images.unflatten(1, (-1, len(scale)))
        found = (images * scale - self.get_buffer('mean')) / self.get_buffer('std')
        return torch.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0).reshape(shape)


def check_kind(loaded: LoadedModel, *, side: int) -> int:
    """Count what a model returns per pixel or per patch.

    Args:
        loaded: The model.
        side: Of a patch that it takes.

    Returns:
        Number of axes of its scores: 4 of pixels, 2 of patches.

    Raises:
        ValueError: If it returns anything else, such as lists of boxes.
    """
    try:
        found: Any = loaded.score(torch.zeros(2, loaded.in_channels, side, side))
    # models raise anything
    except Exception as error:
        raise ValueError(
            f'{loaded.name} does not take patches of {side} px: {tell_reason(error)}'
        ) from error
    if isinstance(found, Tensor) and found.ndim in (2, 4):
        return found.ndim
    what = f'shape {tuple(found.shape)}' if isinstance(found, Tensor) else type(found).__name__
    raise ValueError(
        f'a whole model is written as one graph if it returns scores of pixels (B, K, H, W) or '
        f'patches (B, K), and {loaded.name} returns {what}; pass the checkpoint itself to '
        'gersp-geo predict, or --format for its backbone alone'
    )


def write_whole(
    loaded: LoadedModel,
    form: GraphForm,
    path: Path,
    *,
    side: int,
    is_fixed: bool,
    record: Mapping[str, str],
) -> bool:
    """Write a model as a graph, and compare it with what prediction makes of images of noise.

    Args:
        loaded: The model, in evaluation mode, without gradients.
        form: What the graph takes and returns.
        path: New file.
        side: Of its patches in pixels.
        is_fixed: Let the graph take patches of this size only.
        record: Becomes the metadata.

    Returns:
        Whether it takes patches of any size, rows and columns.

    Raises:
        ValueError: If the extra ``onnx`` is not installed, or no graph returns what the model does.
    """
    assert isinstance(loaded.forward, nn.Module)
    whole = WholeModel(loaded.forward, form).eval()
    reason = ''
    attempts = [] if is_fixed else [(min(side, _SMALL), True)]
    for size, is_free in [*attempts, (side, False)]:
        images = loaded.arrange(torch.zeros(2, loaded.in_channels, size, size))
        try:
            with quiet(), torch.inference_mode(mode=False), torch.no_grad():
                write_module(
                    whole, images, path, output=_name(loaded, form), record=record,
                    free_sides=is_free,
                )  # fmt: skip
            shapes = [(size, size), (size + _FURTHER, size)] if is_free else [(size, size)]
            _compare(loaded, form, path, shapes=shapes)
        # exporters and models raise anything
        except Exception as error:  # noqa: BLE001 - see above
            reason = tell_reason(error)
            continue
        return is_free
    raise ValueError(f'{loaded.name} cannot be written as a graph: {reason}')


def _compare(
    loaded: LoadedModel, form: GraphForm, path: Path, *, shapes: list[tuple[int, int]]
) -> None:
    """Refuse a graph that does not return what prediction makes of the model's scores."""
    graph = OnnxGraph(path)
    for rows, cols in shapes:
        sample = make_sample(loaded, form, count=2, rows=rows, cols=cols)
        wanted = loaded.score(sample.normalised)
        if form.returned != 'scores':
            wanted = to_probabilities(wanted)
        found = graph(loaded.arrange(sample.taken))
        if wanted.shape != found.shape:
            raise ValueError(f'it returns {tuple(found.shape)} instead of {tuple(wanted.shape)}')
        _check_gap(wanted.transpose(0, 1).flatten(1), found.transpose(0, 1).flatten(1))


def _check_gap(wanted: Tensor, found: Tensor) -> None:
    """Refuse other scores, shape (K, ...), than those of the model."""
    gap, largest = (wanted - found).abs().amax(dim=1), wanted.abs().amax(dim=1)
    # of scores that are large everywhere, only what varies tells one image from another
    spread = wanted.amax(dim=1) - wanted.amin(dim=1)
    # also if it were NaN
    wrong = ~(gap <= _TOLERANCE * spread + _ROUNDING * wanted.abs().max() + _LEAST)
    if wrong.any():
        worst = int(torch.where(wrong, gap, -1).argmax())
        raise ValueError(
            f'its scores differ by {float(gap[worst]):.2g} from those of the model, which are up '
            f'to {float(largest[worst]):.2g}'
        )


def _name(loaded: LoadedModel, form: GraphForm) -> str:
    """Name what the graph returns."""
    if form.returned != 'scores':
        return 'probabilities'
    return 'values' if loaded.scores == 'values' else 'scores'


def tell_reason(error: Exception) -> str:
    """Say in one line what is wrong."""
    return (one_line(error) or type(error).__name__)[:200]
