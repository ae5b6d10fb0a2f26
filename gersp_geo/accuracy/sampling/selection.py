"""Which pixels of a stratum are drawn, given how many it has in each cell."""

import numpy as np
from numpy.typing import NDArray

type Integers = NDArray[np.int64]
type Floats = NDArray[np.float64]


def find_room(counts: Integers, areas: Floats, *, minimum: int) -> int:
    """Say how many pixels of a stratum can be drawn with probabilities that are in proportion.

    Args:
        counts: Pixels of the stratum per cell.
        areas: Of a pixel, per cell.
        minimum: A stratum of no more pixels is drawn as a whole, whatever their areas.
    """
    pixels = int(counts.sum())
    own = areas[counts > 0]
    if pixels <= minimum or np.ptp(own) == 0:
        return pixels
    # the probability of the largest pixel is 1 at most
    return int((counts * areas).sum() / own.max())


def select_pixels(
    counts: Integers, areas: Floats, *, count: int, rng: np.random.Generator
) -> tuple[Integers, Integers]:
    """Draw pixels of one stratum without replacement.

    Pixels of one area are a simple random sample. Else each cell gets a number of points that is,
    on average, in proportion to the area that the stratum has in it, by systematic sampling of the
    cells in random order (Hartley and Rao 1962, https://doi.org/10.1214/aoms/1177704564), and within
    a cell pixels are drawn at random. So the probability of a pixel is exactly *count* times its
    area over that of the stratum.

    Args:
        counts: Pixels of the stratum per cell.
        areas: Of a pixel, per cell; > 0 where there are any.
        count: Pixels to draw, at most the room of :func:`find_room`.
        rng: Random numbers.

    Returns:
        Cell of each pixel, and its rank among the pixels of the stratum in that cell, from 0 on.
    """
    stops = np.cumsum(counts)
    if count == stops[-1] or np.ptp(areas[counts > 0]) == 0:
        chosen = np.sort(rng.choice(stops[-1], count, replace=False))
        cells = np.searchsorted(stops, chosen, side='right')
        return cells, chosen - (stops - counts)[cells]
    order = rng.permutation(np.flatnonzero(counts))
    edges = np.cumsum(counts[order] * areas[order])
    marks = (rng.random() + np.arange(count)) * (edges[-1] / count)
    hit = order[np.minimum(np.searchsorted(edges, marks, side='right'), len(order) - 1)]
    cells, times = np.unique(hit, return_counts=True)
    pairs = zip(cells.tolist(), times.tolist(), strict=True)
    ranks = [np.sort(rng.choice(counts[cell], number, replace=False)) for cell, number in pairs]
    return np.repeat(cells, times), np.concatenate(ranks)


def find_probabilities(
    counts: Integers, areas: Floats, cells: Integers, *, count: int
) -> tuple[Floats, Floats]:
    """Compute with which probability pixels were drawn, and for what area each stands.

    Args:
        counts: As in :func:`select_pixels`.
        areas: As there.
        cells: Of the pixels that were drawn.
        count: Their number.

    Returns:
        Inclusion probabilities, and areas, shape (count,); the areas sum up to that of the stratum.
    """
    if count == counts.sum():
        return np.ones(count), areas[cells]
    whole = float((counts * areas).sum())
    return count * areas[cells] / whole, np.full(count, whole / count)
