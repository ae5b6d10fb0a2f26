"""What references say of the pixels of a map: points of single ones, surfaces of all in a window."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from ...geoio.grids import Grid
from ...geoio.polygons import ClassMap
from ...geoio.vector import burn, repair
from ...windows import Window
from ..codes import Codes, to_codes
from .rasters import RasterUnderMap

# a byte holds so many beside "nothing"
_MOST_VALUES = 255


class Surface(Protocol):
    """A reference that says something of areas, pixel by pixel."""

    source: str
    """The file."""

    is_whole: bool
    """Whether it means to say something of every pixel."""

    is_small: bool
    """Whether small windows are read rather than all columns of some rows."""

    block_rows: int
    """Rows that are stored together."""

    notes: list[str]
    """What was found on the way, in sentences."""

    contradicted: int
    """Pixels of which different things are said, so that none of them counts."""

    def read(self, window: Window) -> Codes:
        """Read codes of the pixels under a window of the map."""
        ...

    def value(self, code: int) -> str:
        """Say what a code stands for: a name or a number."""
        ...


@dataclass(slots=True, kw_only=True, eq=False)
class PointReference:
    """What is known of single pixels of a map."""

    source: str
    """The file."""

    ids: NDArray[np.int64]
    """By which messages name the points, shape (n,)."""

    rows: NDArray[np.int64]
    """Row of the pixel of each; -1 outside of the map."""

    cols: NDArray[np.int64]
    """Column."""

    texts: list[str | None]
    """What each says; None for nothing."""

    is_drawn: bool = False
    """Whether it has the columns of a sample that was drawn."""


class RasterReference:
    """A raster of classes."""

    is_whole = True
    contradicted = 0

    def __init__(self, below: RasterUnderMap, own: ClassMap, described: ClassMap) -> None:
        """Initialize a new RasterReference instance.

        Args:
            below: The raster.
            own: What it says about itself.
            described: What the map says.
        """
        self.source, self.notes = below.src.name, below.notes
        self._below, self._own = below, own
        self.is_small = not below.is_aligned
        self.block_rows = own.header.block_shape[0] if below.is_aligned else 1
        self._is_named = bool(own.named and described.named)

    def read(self, window: Window) -> Codes:
        """Read codes of the pixels under a window of the map."""
        (pixels,), valid = self._below.read(window)
        return to_codes(pixels, valid, name=self.source)

    def value(self, code: int) -> str:
        """Say what a code stands for: a name where both have legends, else a number."""
        return (
            self._own.name(code - 1)
            if self._is_named and code - 1 in self._own.named
            else str(code - 1)
        )


class PolygonReference:
    """Polygons: of a pixel, those say something that hold its centre."""

    is_whole = False
    is_small = False
    block_rows = 1

    def __init__(
        self,
        polygons: NDArray[np.object_],
        texts: list[str | None],
        grid: Grid,
        *,
        source: str,
        key: Callable[[str], int | str] = str,
    ) -> None:
        """Initialize a new PolygonReference instance.

        Args:
            polygons: In the CRS of the map.
            texts: What each says.
            grid: That of the map.
            source: The file.
            key: Gives the same for things that mean the same.

        Raises:
            ValueError: If they say more different things than a byte holds.
        """
        self.source, self._grid = source, grid
        self.notes: list[str] = []
        self._values = sorted({text for text in texts if text is not None})
        if len(self._values) > _MOST_VALUES:
            raise ValueError(
                f'polygons may say {_MOST_VALUES} different things, {source} says '
                f'{len(self._values):,}; pass another attribute (--attribute)'
            )
        keys = [key(value) for value in self._values]
        # of the first thing that means the same
        self._meanings = np.array([0, *(keys.index(each) + 1 for each in keys)], dtype=np.uint8)
        codes = {value: number for number, value in enumerate(self._values, 1)}
        known = np.array([text is not None for text in texts]) & ~shapely.is_missing(polygons)
        self._polygons = repair(polygons[known])
        self._codes = np.array(
            [codes[text] for text, is_known in zip(texts, known, strict=True) if is_known and text],
            dtype=np.uint8,
        )
        self._tree = shapely.STRtree(self._polygons)
        self.contradicted = 0

    def read(self, window: Window) -> Codes:
        """Read codes of the pixels of a window; where polygons contradict each other, there is none."""
        transform = self._grid.transform @ Affine.translation(window.col_off, window.row_off)
        part = Grid(crs=None, transform=transform, height=window.height, width=window.width)
        hits = self._tree.query(shapely.box(*part.bounds()))
        # by meaning, so that what lies on top in the one order differs from that in the other
        hits = hits[np.argsort(self._meanings[self._codes[hits]], kind='stable')]
        first, last = (
            burn(
                self._polygons[some], self._codes[some], transform=transform,
                height=window.height, width=window.width, fill=0,
            )
            for some in (hits, hits[::-1])
        )  # fmt: skip
        differs = self._meanings[first] != self._meanings[last]
        self.contradicted += int(differs.sum())
        first[differs] = 0
        return first

    def value(self, code: int) -> str:
        """Say what a code stands for."""
        return self._values[code - 1]
