"""Images of noise, as prediction shows them to a model, and as a graph of the model takes them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..model.graph_form import GraphForm
from ..model.load import LoadedModel
from ..model.predictor import Views

# side in pixels of the place that has no observation
_HOLE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The same images twice."""

    normalised: Tensor
    """As prediction prepares them, shape (B, in_channels, H, W)."""

    taken: Tensor
    """As the graph takes them, of the same shape."""


def make_sample(
    loaded: LoadedModel, form: GraphForm, *, count: int, rows: int, cols: int, seed: int = 0
) -> Sample:
    """Make noise that is spread as images of training are.

    Of a graph that prepares values as stored itself, these are prepared here by the code of
    prediction, which shares nothing with the graph: what was folded in wrongly shows.

    Args:
        loaded: The model and its record.
        form: What the graph takes.
        count: Number of images.
        rows: Of each.
        cols: Of each.
        seed: Of the noise.

    Returns:
        The images; without an observation in one corner if the graph takes values as stored.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, loaded.in_channels, rows, cols, generator=generator)
    if form.factor is None:
        return Sample(normalised=noise, taken=noise)
    record, dates = loaded.preprocessing, loaded.dates.count
    scale, mean, std = (
        torch.tensor(values * dates, dtype=torch.float64)[:, None, None]
        for values in (record.scale, record.mean, record.std)
    )
    stored = ((noise * std + mean) / scale).float()
    valid = torch.ones(count, rows, cols, dtype=torch.bool)
    valid[:, :_HOLE, :_HOLE] = False
    normalised = Views(record, device='cpu', dates=dates).normalise(stored, valid)
    taken = (stored * form.factor).masked_fill(~valid[:, None], torch.nan)
    return Sample(normalised=normalised, taken=taken)
