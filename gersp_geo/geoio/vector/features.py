"""Polygons with attributes, as they are written to vector files."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

type Kind = Literal['bool', 'int32', 'int64', 'float32', 'float64', 'string']
"""Type of the values of an attribute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """A column beside the polygons."""

    name: str
    """Its name."""

    kind: Kind
    """Type of its values."""

    length: int | None = None
    """Numbers per polygon, all of one column; None means one value."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy type of its values."""
        return np.dtype(object if self.kind == 'string' else self.kind)


POLYGON_ATTRIBUTES = (
    Attribute(name='class', kind='int32'),
    Attribute(name='class_name', kind='string'),
    Attribute(name='area_m2', kind='float64'),
)
"""What is known of the polygons of a map."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Features:
    """Polygons with their attributes."""

    polygons: NDArray[np.object_]
    """Geometries, shape (n,)."""

    columns: Mapping[str, NDArray[Any]]
    """Values per attribute, by name: shape (n,), or (n, length). NaN of a single float is a value
    that is not known."""

    def select(self, chosen: NDArray[np.bool_]) -> Self:
        """Keep some."""
        columns = {name: values[chosen] for name, values in self.columns.items()}
        return type(self)(polygons=self.polygons[chosen], columns=columns)

    def __len__(self) -> int:
        """Count polygons."""
        return len(self.polygons)


def describe_left_out(count: int) -> str:
    """Say that GeoJSON left polygons out."""
    return (
        f'{count:,} lie where the CRS has no longitude and latitude, and GeoJSON leaves them out: '
        'a .gpkg or .parquet file holds them'
    )
