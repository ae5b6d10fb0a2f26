"""Classes of patches as a user chooses them: folders, a CSV, or places on the ground."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from geopandas import GeoDataFrame
from lightning.pytorch.utilities import rank_zero_warn
from numpy.typing import NDArray
from shapely import GeometryType

from ...datasets.raster_tiles import RasterTiles
from ...datasets.scene_names import Paths
from ...geoio.formats import TEXT_TABLE_SUFFIXES
from ...geoio.vector import attribute_texts, read_vectors
from ...messages import name_some
from ..objects.csv_rows import read_points
from ..objects.vector import split_points
from ..placement import place_features
from ..polygons import check_places
from .folders import mark_folders
from .marks import Marks, mark_columns, mark_texts
from .points import PointClasses
from .polygons import PolygonClasses
from .tables import mark_table
from .target import PatchClasses
from .whole_images import ImageClasses

_COLUMNS = ('image', 'label', 'x', 'y', 'crs')
_POLYGONS = (GeometryType.POLYGON, GeometryType.MULTIPOLYGON)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassOptions:
    """Where classes come from; each as the data module documents it."""

    labels: str | Path | None = None
    """A CSV, or a vector file of points or polygons; None takes the folder of each image."""

    attribute: str | None = None
    """Column with the class, or with several labels."""

    layer: str | None = None
    """Layer of a vector file."""

    columns: Mapping[str, str] | None = None
    """What columns of a CSV are called: image and label; or x, y of points, and their crs."""

    multilabel: bool = False
    """Whether an image or place may have several labels, or none."""

    separator: str = ';'
    """Between several labels in one column."""

    class_names: tuple[str, ...] = ()
    """Names of the classes; empty where the labels tell."""

    def __post_init__(self) -> None:
        """Check that they go together.

        Raises:
            ValueError: If an option belongs to another kind of labels, or one is missing.
        """
        self._check_owners()
        columns = dict(self.columns or {})
        if unknown := [key for key in columns if key not in _COLUMNS]:
            raise ValueError(f'columns may name {", ".join(_COLUMNS)}, got {", ".join(unknown)}')
        if {'x', 'y', 'crs'} & set(columns) and not {'x', 'y', 'crs'} <= set(columns):
            raise ValueError(
                f'columns of points need x, y and crs (such as EPSG:4326), got {columns}'
            )
        if not self.separator:
            raise ValueError('separator must be one or more characters, got none')
        is_flagged = self.multilabel and self.class_names
        if self.on_ground and self.column is None and not is_flagged:
            raise ValueError(
                f'attribute must name the column of {self.labels} with the class'
                + (
                    ', or class_names the columns of 0 and 1, one per class'
                    if self.multilabel
                    else ''
                )
            )

    def _check_owners(self) -> None:
        """Refuse options that belong to another kind of labels."""
        if self.labels is None and self.multilabel:
            raise ValueError(
                'multilabel goes with labels: a folder gives each image one class; pass a CSV'
            )
        for name, is_right, home in (
            ('attribute', self.labels is not None, 'labels'),
            ('columns', self._is_table, 'labels in a CSV'),
            ('layer', self.labels is not None and not self._is_table, 'labels in a vector file'),
        ):
            if (value := getattr(self, name)) is not None and not is_right:
                raise ValueError(f'{name} goes with {home}, got {value!r} and {self.labels}')

    @property
    def _is_table(self) -> bool:
        return self.labels is not None and Path(self.labels).suffix.lower() in TEXT_TABLE_SUFFIXES

    @property
    def on_ground(self) -> bool:
        """Whether labels are places on the ground, rather than classes of whole images."""
        return self.labels is not None and (not self._is_table or 'x' in (self.columns or {}))

    @property
    def column(self) -> str | None:
        """The column with the class, if one is named."""
        return self.attribute or (self.columns or {}).get('label')

    def open(
        self,
        images: RasterTiles,
        paths: Paths,
        *,
        splits: Mapping[str, str],
        size: int,
        nodata: float | None,
    ) -> PatchClasses:
        """Read the classes of images, or of places on them.

        Args:
            images: The images.
            paths: As the user named them.
            splits: Split to the name of its folder.
            size: Side of the patches in pixels.
            nodata: Value that means "no observation", beside what the files themselves say.
        """
        if self.on_ground:
            return self._open_places(images, size=size, nodata=nodata)
        if self.labels is None:
            marks = mark_folders(images.files, paths, splits=splits, given=self.class_names)
        else:
            marks = mark_table(
                images,
                str(self.labels),
                columns=self.columns or {},
                attribute=self.attribute,
                given=self.class_names,
                separator=self.separator if self.multilabel else None,
            )
        return ImageClasses(marks, size=size, multilabel=self.multilabel)

    def _open_places(self, images: RasterTiles, *, size: int, nodata: float | None) -> PatchClasses:
        """Read points or polygons over images."""
        source = str(self.labels)
        check_places(images, needed_by=source)
        if self._is_table:
            frame = read_points(source, columns=self.columns or {})
        else:
            frame = read_vectors(source, layer=self.layer)
        are_points = holds_points(frame.geometry.to_numpy(), source=source)
        frame = split_points(frame)
        placed, (met, used) = place_features(frame.geometry, images.tiles, source=source)
        if bare := np.flatnonzero(~met).tolist():
            rank_zero_warn(
                f'{len(bare)} of {len(met)} images meet no feature of {source}, one is '
                f'{images.files[bare[0]]}'
            )
        marks = self._mark(frame, used)
        if not are_points:
            return PolygonClasses(
                images, placed, marks, size=size, multilabel=self.multilabel, nodata=nodata
            )
        return PointClasses(
            images,
            placed,
            marks,
            size=size,
            multilabel=self.multilabel,
            nodata=nodata,
            source=source,
        )

    def _mark(self, frame: GeoDataFrame, used: NDArray[np.bool_]) -> Marks:
        """Read the classes of features."""
        source = str(self.labels)
        known: Sequence[str] = [name for name in frame.columns if name != frame.geometry.name]
        if self.column is None:
            return mark_columns(frame[known], self.class_names, source=source)
        if self.column not in known:
            raise ValueError(f'{source} has no attribute {self.column!r}, only {name_some(known)}')
        return mark_texts(
            attribute_texts(frame[self.column]),
            used,
            self.class_names,
            attribute=self.column,
            source=source,
            separator=self.separator if self.multilabel else None,
        )


def holds_points(geometries: NDArray[np.object_], *, source: str) -> bool:
    """Say whether a file holds points, rather than polygons; refuse both at once, and lines."""
    drawn = geometries[~(shapely.is_missing(geometries) | shapely.is_empty(geometries))]
    kinds = shapely.get_type_id(drawn)
    points = int(np.isin(kinds, (GeometryType.POINT, GeometryType.MULTIPOINT)).sum())
    areas = int(np.isin(kinds, _POLYGONS).sum())
    if points + areas < len(drawn) or (points and areas):
        raise ValueError(
            f'classes lie at points or in polygons, {source} holds {points} points, {areas} '
            f'polygons and {len(drawn) - points - areas} others; keep those of one kind'
        )
    return points > 0
