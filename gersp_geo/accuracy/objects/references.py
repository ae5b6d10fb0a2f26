"""Files of objects as they are: outlines, classes, scores and what need not be found."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike

import numpy as np
import pandas
import shapely
from geopandas import GeoDataFrame, GeoSeries
from numpy.typing import NDArray
from shapely import GeometryType

from ...geoio.vector import attribute_texts, read_vectors, repair
from ...messages import name_some
from .matching import UNCLASSED, Objects

type Texts = Sequence[str | None]
type Outlines = NDArray[np.object_]

CLASS_COLUMNS = ('class_name', 'class', 'label', 'category')
"""Columns that tell the class where nobody names one; the first two are those of our own files."""

SCORE = 'score'
"""Column that orders predicted objects."""

# columns of objects that need not be found
_CROWD, _DIFFICULT = 'iscrowd', 'difficult'

_POLYGONS = (GeometryType.POLYGON, GeometryType.MULTIPOLYGON)

_FALSE = ('', '0', 'false', 'no', 'f', 'n')
# difficulties of DOTA go up to 2
_TRUE = ('1', '2', 'true', 'yes', 't', 'y')


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ObjectFile:
    """A file of objects as it is."""

    path: str
    """Its name, for messages."""

    frame: GeoDataFrame
    """Polygons and columns, numbered as in the file, without features that have no outline."""

    bare: int
    """Features that were left out because they have no outline."""

    def texts(self, column: str) -> Texts:
        """Write the values of a column."""
        return attribute_texts(self.frame[column])

    def class_columns(self, named: str | None) -> list[str]:
        """List the columns with a value that may tell the class: that of the user, or known ones.

        Raises:
            ValueError: If there is no column of the user's.
        """
        columns = [name for name in self.frame.columns if name != self.frame.geometry.name]
        if named is not None and named not in columns:
            raise ValueError(
                f'{self.path} has no attribute {named!r}, only {name_some(columns) or "none"}; '
                'name the one with the class (--attribute)'
            )
        wanted = CLASS_COLUMNS if named is None else (named,)
        return [name for name in wanted if name in columns and any(self.texts(name))]

    def scores(self) -> NDArray[np.float64] | None:
        """Read the scores; None where there are none.

        Raises:
            ValueError: If one is missing or no number.
        """
        if SCORE not in self.frame:
            return None
        scores = pandas.to_numeric(self.frame[SCORE], errors='coerce').to_numpy(
            dtype=np.float64, na_value=np.nan
        )
        if wrong := int((~np.isfinite(scores)).sum()):
            first = self.frame.index[~np.isfinite(scores)][0] + 1
            raise ValueError(
                f'every predicted object has a number as score, {wrong} of {len(scores)} in '
                f'{self.path} have none, the first is feature {first}; give them one, or delete them'
            )
        return np.asarray(scores)

    def flags(self, column: str) -> NDArray[np.bool_]:
        """Read a column of truth values; all False without it.

        Raises:
            ValueError: If a value is none.
        """
        if column not in self.frame:
            return np.zeros(len(self.frame), dtype=np.bool_)
        words = [(text or '').strip().lower() for text in self.texts(column)]
        if unknown := sorted({word for word in words if word not in (*_FALSE, *_TRUE)}):
            raise ValueError(
                f'{column!r} of {self.path} must hold 0 or 1, got {name_some(unknown)}; rename the '
                'column if it says something else'
            )
        return np.array([word in _TRUE for word in words], dtype=np.bool_)


def read_objects(
    path: str | PathLike[str], *, layer: str | None = None, may_be_empty: bool
) -> ObjectFile:
    """Read boxes or polygons.

    Args:
        path: Any vector file.
        layer: Its layer; None takes the only one that holds features.
        may_be_empty: Whether it may hold none.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, names no CRS, is empty although it must not, or holds
            points, lines or features without outlines alone.
    """
    frame = read_vectors(path, layer=layer, may_be_empty=may_be_empty).reset_index(drop=True)
    outlines = repair(shapely.force_2d(frame.geometry.to_numpy()))
    has_place = ~(shapely.is_missing(outlines) | shapely.is_empty(outlines))
    is_polygon = np.isin(shapely.get_type_id(outlines), _POLYGONS)
    if (has_place & ~is_polygon).any():
        kinds = sorted({other.geom_type for other in outlines[has_place & ~is_polygon]})
        raise ValueError(
            f'objects are boxes or polygons, got {name_some(kinds)} in {path}; surround them (in '
            'QGIS: Buffer), or leave them out'
        )
    has_extent = has_place & (shapely.area(outlines) > 0)
    if len(frame) and not has_extent.any():
        raise ValueError(f'no feature of {path} has an outline; draw some, or pass another file')
    kept = frame[has_extent].set_geometry(
        GeoSeries(outlines[has_extent], index=frame.index[has_extent], crs=frame.crs)
    )
    return ObjectFile(path=str(path), frame=kept, bare=int((~has_extent).sum()))


def to_objects(
    outlines: Outlines, classes: NDArray[np.int64], *, scores: NDArray[np.float64] | None
) -> Objects:
    """Make objects that count; without scores, all have 1."""
    count = len(outlines)
    return Objects(
        outlines=outlines,
        classes=classes,
        scores=np.ones(count) if scores is None else scores,
        is_left_out=np.zeros(count, dtype=np.bool_),
        is_crowd=np.zeros(count, dtype=np.bool_),
    )


def to_references(file: ObjectFile, outlines: Outlines, classes: NDArray[np.int64]) -> Objects:
    """Make objects of a reference, some of which need not be found."""
    is_crowd = file.flags(_CROWD)
    is_left_out = is_crowd | file.flags(_DIFFICULT) | (classes == UNCLASSED)
    return replace(
        to_objects(outlines, classes, scores=None), is_left_out=is_left_out, is_crowd=is_crowd
    )
