"""Features of different classes that lie over each other, of which the later one wins."""

from collections.abc import Sequence

import numpy as np
import shapely
from lightning.pytorch.utilities import rank_zero_warn
from numpy.typing import NDArray

from ..geoio.grids import Grid
from ..geoio.vector import repair
from .placement import PlacedFeatures

# Pairs of neighbours that are looked at. A million cadastral parcels have several million; these
# tell as much.
MOST_PAIRS = 50_000


def report_overlaps(
    places: Sequence[PlacedFeatures],
    tiles: Sequence[Grid],
    codes: NDArray[np.int16],
    names: Sequence[str],
    *,
    source: str,
) -> None:
    """Say how many features of different classes overlap by more than a pixel, and which wins.

    Args:
        places: Features over each image, in their order in the file.
        tiles: Where the pixels of the images lie.
        codes: Class of each feature, -1 for none.
        names: Names of the classes.
        source: The file, for messages.

    Warns:
        UserWarning: If some do.
    """
    found: set[tuple[int, int]] = set()
    is_cut = False
    for placed, tile in {
        id(placed): (placed, tile) for placed, tile in zip(places, tiles, strict=True)
    }.values():
        pairs, is_short = _overlapping(placed, codes, pixel=abs(tile.transform.determinant))
        found |= pairs
        is_cut |= is_short
    if not found:
        return
    earlier, later = min(found)
    rank_zero_warn(
        f'{"at least " if is_cut else ""}{len(found):,} pairs of features of different classes '
        f'overlap in {source}, one is feature {earlier + 1} ({names[codes[earlier]]}) and '
        f'{later + 1} ({names[codes[later]]}): their common pixels are of the class of the later '
        'one in the file'
    )


def _overlapping(
    placed: PlacedFeatures, codes: NDArray[np.int16], *, pixel: float
) -> tuple[set[tuple[int, int]], bool]:
    """Find pairs of features of different classes that share more than the area of a pixel.

    Returns:
        Pairs of the numbers of the earlier and the later one; and whether there were too many
        neighbours to look at all.
    """
    first, second = placed.tree.query(placed.geometries, predicate=None)
    differs = (first < second) & (codes[first] != codes[second])
    differs &= (codes[first] >= 0) & (codes[second] >= 0)
    first, second = first[differs], second[differs]
    is_cut = len(first) > MOST_PAIRS
    first, second = first[:MOST_PAIRS], second[:MOST_PAIRS]
    if not len(first):
        return set(), False
    involved = np.unique([first, second])
    whole = placed.geometries.copy()
    whole[involved] = repair(whole[involved])
    common = shapely.area(shapely.intersection(whole[first], whole[second]))
    shares = common > pixel
    return set(zip(first[shares].tolist(), second[shares].tolist(), strict=True)), is_cut
