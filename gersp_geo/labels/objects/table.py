"""Objects of images: outlines in pixels, with their classes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import shapely
from numpy.typing import NDArray

from ...geoio.read import RasterHeader

# share of its bounding box that an outline may lack and still be this box: rounding
_ROUNDING = 1e-9


class Images(Protocol):
    """Images that have objects."""

    @property
    def files(self) -> list[str]:
        """Their paths."""

    @property
    def tiles(self) -> list[RasterHeader]:
        """Their headers."""


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """What somebody found in one image."""

    outlines: NDArray[np.object_]
    """Valid polygons or multipolygons in pixels of the image, x along columns and y along rows,
    from the outer corner of the first pixel; shape (n,). They may reach beyond the image."""

    classes: NDArray[np.int64]
    """Index into the class names, shape (n,); -1 for ignored ones whose class is not known."""

    ignored: NDArray[np.bool_]
    """Neither object nor background: crowds, difficult ones, those without a class, and ground
    that nobody looked at; shape (n,)."""

    bounds: NDArray[np.float64] = field(init=False)
    """Left, top, right and bottom of the outlines, shape (n, 4)."""

    areas: NDArray[np.float64] = field(init=False)
    """Square pixels in the outlines, shape (n,)."""

    is_box: NDArray[np.bool_] = field(init=False)
    """Whether an outline is an upright rectangle, shape (n,)."""

    tree: shapely.STRtree = field(init=False)
    """Finds outlines in a rectangle."""

    def __post_init__(self) -> None:
        """Measure the outlines."""
        bounds, areas = shapely.bounds(self.outlines), shapely.area(self.outlines)
        sides = bounds[:, 2:] - bounds[:, :2]
        for name, value in (
            ('bounds', bounds),
            ('areas', areas),
            ('is_box', areas >= sides.prod(axis=1) * (1 - _ROUNDING)),
            ('tree', shapely.STRtree(self.outlines)),
        ):
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        """Count them."""
        return len(self.outlines)


class ObjectSource(Protocol):
    """Objects of some images."""

    class_names: tuple[str, ...]
    """Names of the classes 0, 1, ...; batches add 1, as 0 is the background there."""

    def of(self, tile: int) -> Objects | None:
        """Give those of an image; None where nobody looked, an empty table where there is none."""


class ObjectTables:
    """Objects of images, all in memory."""

    def __init__(self, class_names: Sequence[str], tables: Sequence[Objects | None]) -> None:
        """Initialize a new ObjectTables instance.

        Args:
            class_names: Names of the classes 0, 1, ...
            tables: One per image.
        """
        self.class_names = tuple(class_names)
        self._tables = tuple(tables)

    def of(self, tile: int) -> Objects | None:
        """Give those of an image; None where nobody looked, an empty table where there is none."""
        return self._tables[tile]


type Corners = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels, from the outer corner of the first pixel."""


@dataclass(slots=True, kw_only=True, eq=False)
class Annotations:
    """What annotation files say, row by row, before it is checked."""

    source: str
    """The file or folder, for messages."""

    unit: str
    """What a row is called in a file, such as 'line'."""

    attribute: str
    """What the class of a row is called, for messages."""

    known: NDArray[np.bool_]
    """Whether somebody looked at an image, one per image."""

    names: tuple[str, ...] = ()
    """Classes in the order of the source; empty where it has none."""

    from_zero: bool = False
    """Whether the source numbers its classes from 0."""

    images: list[int] = field(default_factory=list)
    """Per row: number of its image; -1 for one that is not there, which only names a class."""

    outlines: list[shapely.Geometry | Corners | None] = field(default_factory=list)
    """Per row: polygon, or box; None without image."""

    values: list[str | None] = field(default_factory=list)
    """Per row: its class as the source writes it; None for none."""

    ignored: list[bool] = field(default_factory=list)
    """Per row: whether it is neither object nor background."""

    files: list[str] = field(default_factory=list)
    """Per row: where it stands."""

    rows: list[int | str] = field(default_factory=list)
    """Per row: its number there."""

    def add(
        self,
        outline: shapely.Geometry | Corners | None,
        value: str | None,
        *,
        image: int,
        file: str,
        row: int | str,
        ignored: bool = False,
    ) -> None:
        """Add a row."""
        self.images.append(image)
        self.outlines.append(outline)
        self.values.append(value)
        self.ignored.append(ignored)
        self.files.append(file)
        self.rows.append(row)

    def where(self, row: int) -> str:
        """Say where a row stands."""
        return f'{self.unit} {self.rows[row]} of {self.files[row]}'
