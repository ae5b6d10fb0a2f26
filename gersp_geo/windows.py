"""Rectangles of pixels: one window, one patch of a tile, one panel of its columns."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A rectangle of whole pixels inside one raster.

    Field names match rasterio's, so ``rasterio.windows.Window(**asdict(window))`` converts.
    """

    row_off: int
    """First row, counted from the top of the file."""

    col_off: int
    """First column, counted from the left of the file."""

    height: int
    """Number of rows."""

    width: int
    """Number of columns."""

    @property
    def row_stop(self) -> int:
        """One past the last row."""
        return self.row_off + self.height

    @property
    def col_stop(self) -> int:
        """One past the last column."""
        return self.col_off + self.width


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """One step of a TilePlan."""

    read: Window
    """Given to the model; the same size in every patch of a plan."""

    keep: Window
    """Written to the output; over a plan, ``keep`` covers each pixel exactly once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Some columns of a tile, finished from top to bottom before the next panel begins."""

    col_off: int
    """First column of pixels that it writes."""

    col_stop: int
    """One past the last."""

    patches: range
    """Columns of patches that add to them; neighbouring panels may need the same one."""

    @property
    def width(self) -> int:
        """Columns of pixels."""
        return self.col_stop - self.col_off
