"""How far a map is that of its scene, and not of the way in which the scene was cut into patches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...geoio.read import open_reader, read_window
from ...geoio.write import MapLayout, Part, write_part
from ...windows import Window
from ..model.predictor import VIEWS, View
from ..options import MapOptions

# side of what is compared at once, in whole blocks of maps
_SIDE = 2048

# Steps of Roberts' sequence R2, by which ever more places fill a square evenly:
# https://extremelearning.com.au/unreasonable-effectiveness-of-quasirandom-sequences/
_STEPS = (0.7548776662466927, 0.5698402909980532)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consistency:
    """How many pixels of a map of classes have the same class in further maps of the scene."""

    maps: int
    """Further maps."""

    kept_pixels: tuple[int, ...]
    """Per class of the map: pixels that have it in all of them."""

    same_pixels: tuple[int, ...]
    """Per class of the map: pixels that have it, summed over them."""

    def kept(self, pixels: int) -> float:
        """Share of some pixels that have their class in all maps; NaN of none."""
        return sum(self.kept_pixels) / pixels if pixels else float('nan')

    def same(self, pixels: int) -> float:
        """Mean share of some pixels that have their class in a further map; NaN of none."""
        return sum(self.same_pixels) / (pixels * self.maps) if pixels else float('nan')


def shift_of(variation: int, *, stride: int) -> tuple[int, int]:
    """Say how many rows and columns earlier the patches of a further map begin.

    Args:
        variation: Its number from 1; 0 stands for the map itself.
        stride: Pixels from one patch to the next.

    Returns:
        Both in [1, stride) where there is room, spread evenly; 0 of the map itself.
    """
    if not variation:
        return 0, 0
    row, col = (min(1 + int(variation * step % 1 * (stride - 1)), stride - 1) for step in _STEPS)
    return row, col


def turn_of(variation: int) -> View:
    """Say how the patches of a further map are flipped and transposed: all 8 ways in turn."""
    ways = VIEWS['rotations']
    return ways[variation % len(ways)]


def vary(options: MapOptions, folder: Path) -> list[tuple[Path, MapOptions]]:
    """List the further maps: their files, and the options by which they are made."""
    alone = replace(options, consistency=0, probabilities=None, uncertainty=False, work=None)
    return [
        (folder / f'variation-{number}.tif', replace(alone, variation=number))
        for number in range(1, options.consistency + 1)
    ]


def compare_maps(
    path: Path,
    others: Sequence[Path],
    *,
    layout: MapLayout,
    classes: int,
    folder: Path,
    threads: int,
) -> tuple[list[Part], Consistency]:
    """Compare a map of classes with others, in memory for a few of their blocks.

    Args:
        path: The map.
        others: Maps on its grid, with observations where it has some.
        layout: Of the map of agreement.
        classes: Number of classes.
        folder: Where the parts of that map are written.
        threads: That compress.

    Returns:
        Its parts: per pixel the percentage of all maps that have the class of the first one; and
        how many pixels do.

    Raises:
        OSError: If a map cannot be read, or there is no room.
    """
    parts: list[Part] = []
    kept, same = np.zeros((2, classes), dtype=np.int64)
    percentages = np.round(100 * np.arange(1, len(others) + 2) / (len(others) + 1))
    for window in _windows(layout):
        mine = _read(path, window)
        # nodata is above all classes
        valid = mine < classes
        if not valid.any():
            continue
        count = np.zeros(mine.shape, dtype=np.uint16)
        for other in others:
            count += _read(other, window) == mine
        kept += np.bincount(mine[valid & (count == len(others))], minlength=classes)
        # sums of whole numbers, exact in 64 bits
        same += np.bincount(mine[valid], count[valid], minlength=classes).astype(np.int64)
        percent = percentages.astype(layout.dtype)[count]
        percent[~valid] = layout.nodata
        part = folder / f'agreement-{window.row_off:08}-{window.col_off:08}.tif'
        write_part(part, percent[None], nodata=layout.nodata, threads=threads)
        parts.append(
            Part(
                path=str(part), row_off=window.row_off, col_off=window.col_off,
                height=window.height, width=window.width,
            )
        )  # fmt: skip
    return parts, Consistency(
        maps=len(others), kept_pixels=tuple(kept.tolist()), same_pixels=tuple(same.tolist())
    )


def _windows(layout: MapLayout) -> Iterator[Window]:
    """Cut a map into squares."""
    for row in range(0, layout.height, _SIDE):
        for col in range(0, layout.width, _SIDE):
            yield Window(
                row_off=row,
                col_off=col,
                height=min(_SIDE, layout.height - row),
                width=min(_SIDE, layout.width - col),
            )


def _read(path: Path, window: Window) -> NDArray[Any]:
    """Read a window of a map of one band."""
    with open_reader(path) as src:
        pixels: NDArray[Any] = read_window(src, window, bands=(1,))[0]
    return pixels
