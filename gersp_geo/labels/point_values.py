"""Values at points on the ground, as a task of regression learns them for whole patches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas
import shapely
import torch
from geopandas import GeoDataFrame
from lightning.pytorch.utilities import rank_zero_warn
from numpy.typing import NDArray
from shapely import GeometryType

from ..datasets.raster_tiles import RasterTiles
from ..geoio.formats import TEXT_TABLE_SUFFIXES
from ..geoio.vector import read_vectors
from ..messages import name_some
from ..windows import Window
from .objects.csv_rows import read_points
from .objects.vector import split_points
from .patch_classes.marks import Marks
from .patch_classes.points import PointClasses
from .placement import place_features
from .polygons import check_places
from .sources import BlockLabels, Sample
from .value_counts import ValueCount


@dataclass(frozen=True, slots=True, kw_only=True)
class PointOptions:
    """Points with a value, and how they are read."""

    points: str | Path
    """Vector file in any CRS, or CSV."""

    value: str
    """Column with the value."""

    layer: str | None = None
    """Layer of a vector file; None takes the only one that holds features with a place."""

    columns: Mapping[str, str] | None = None
    """Of a CSV: names of the columns x and y, and their crs."""

    def __post_init__(self) -> None:
        """Check that they go together.

        Raises:
            ValueError: If a CSV is given without columns, or columns with a vector file.
        """
        is_table = Path(self.points).suffix.lower() in TEXT_TABLE_SUFFIXES
        columns = dict(self.columns or {})
        if is_table and set(columns) != {'x', 'y', 'crs'}:
            raise ValueError(
                'columns of points in a CSV must say which hold x and y, and their crs, such as '
                f'{{x: longitude, y: latitude, crs: EPSG:4326}}, got {columns}'
            )
        if columns and not is_table:
            raise ValueError(f'columns go with points in a CSV, got {columns} and {self.points}')

    def read(self) -> GeoDataFrame:
        """Read the points, each of several parts as one of its own.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it cannot be read, has no such column, or holds other than points.
        """
        if self.columns:
            frame = read_points(str(self.points), columns=self.columns)
        else:
            frame = read_vectors(self.points, layer=self.layer)
        known = [name for name in frame.columns if name != frame.geometry.name]
        if self.value not in known:
            raise ValueError(f'{self.points} has no column {self.value!r}, only {name_some(known)}')
        drawn = frame.geometry[~(frame.geometry.isna() | frame.geometry.is_empty)].to_numpy()
        kinds = shapely.get_type_id(drawn)
        others = ~np.isin(kinds, (GeometryType.POINT, GeometryType.MULTIPOINT))
        if others.any():
            raise ValueError(
                f'values lie at points, and {others.sum()} of {len(drawn)} features of '
                f'{self.points} are others; take their centres (in QGIS: Centroids)'
            )
        return split_points(frame)


class PointValues(PointClasses):
    """A patch has the value of the point nearest to its centre.

    Training patches are drawn with a point in their middle half, or nearer to a side where their
    block ends; those of validation lie around a point each.
    """

    def __init__(
        self,
        images: RasterTiles,
        options: PointOptions,
        *,
        size: int,
        scale: float = 1.0,
        name: str | None = None,
        nodata: float | None = None,
    ) -> None:
        """Initialize a new PointValues instance.

        Args:
            images: The images, all with a place.
            options: The points.
            size: Side of the patches in pixels.
            scale: Factor from the values of the file to those that are learned.
            name: What is measured.
            nodata: Value of images that means "no observation", beside what files say themselves.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it cannot be read, no point meets an image, or a value is no number.

        Warns:
            UserWarning: If points have no value, or images no point.
        """
        source = str(options.points)
        check_places(images, needed_by=source)
        frame = options.read()
        placed, (met, _) = place_features(frame.geometry, images.tiles, source=source)
        if bare := np.flatnonzero(~met).tolist():
            rank_zero_warn(
                f'{len(bare)} of {len(met)} images meet no point of {source}, one is '
                f'{images.files[bare[0]]}'
            )
        self.values = scale * read_numbers(frame[options.value], source=source)
        known = np.isfinite(self.values)
        # a single label, that of having a value
        marks = Marks(
            class_names=() if name is None else (name,),
            flags=np.ones((len(known), 1), dtype=np.bool_),
            known=known,
        )
        super().__init__(
            images, placed, marks, size=size, multilabel=True, nodata=nodata, source=source
        )
        # no point of a block may be lost
        self.margin = 0
        self.found: dict[tuple[int, Window], ValueCount] = {}

    def scan(self, tile: int, window: Window, *, seed: Sequence[int]) -> BlockLabels:
        """Count the points of a block; *seed* decides which are remembered."""
        chosen = self._rows[tile][self._within(tile, window)]
        self.found[tile, window] = ValueCount.of(self.values[chosen])
        found = super().scan(tile, window, seed=seed)
        around = np.array([-1, -1, 1, 1]) * (self.size // 4)
        first = np.tile((window.row_off, window.col_off), 2)
        stop = np.tile((window.row_stop, window.col_stop), 2)
        return BlockLabels(
            counts=found.counts,
            anchors={
                key: np.clip(anchors + around, first, stop)
                for key, anchors in found.anchors.items()
            },
        )

    def read(
        self, sample: Sample, tile: int, window: Window, *, valid: NDArray[np.bool_]
    ) -> Sample:
        """Add 'label': float32, shape ()."""
        met = self._meets(tile, window)
        if not len(met):
            raise RuntimeError(f'no point tells the value of the patch {window} of image {tile}')
        value = self.values[self._nearest(tile, window, met)]
        return {**sample, 'label': torch.tensor(value, dtype=torch.float32)}


def read_numbers(column: pandas.Series, *, source: str) -> NDArray[np.float64]:
    """Read numbers, also such as are stored as text; NaN where there is no value.

    Raises:
        ValueError: If a value is something else.

    Warns:
        UserWarning: If some are missing.
    """
    texts = column.astype(object).where(column.notna(), '')
    texts = texts.map(lambda value: value.strip() if isinstance(value, str) else value)
    numbers = pandas.to_numeric(texts.where(texts != '', None), errors='coerce').to_numpy(
        np.float64
    )
    is_empty = (texts == '').to_numpy(np.bool_)
    missing = ~np.isfinite(numbers)
    if (wrong := missing & ~is_empty).any():
        first = texts[wrong].iloc[0]
        raise ValueError(
            f'{source} must hold numbers in the column {column.name!r}, got {first!r} in '
            f'{wrong.sum()} of {len(wrong)} rows; correct or empty them'
        )
    if is_empty.any():
        rank_zero_warn(
            f'{is_empty.sum()} of {len(is_empty)} points of {source} have no value in '
            f'{column.name!r}, and are left out'
        )
    return np.where(missing, np.nan, numbers)
