"""Place the features of a vector file over images, or say why they lie elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from geopandas import GeoSeries
from numpy.typing import NDArray
from pyproj import CRS

from ..datasets.index import group_by_crs
from ..geoio.crs import find_turn, name_crs
from ..geoio.grids import Bounds
from ..geoio.read import RasterHeader
from ..geoio.vector import place_around, rasters_bounds, reproject_bounds


@dataclass(frozen=True, slots=True, eq=False)
class PlacedFeatures:
    """Features in the CRS of some images."""

    geometries: NDArray[np.object_]
    """One per feature; None for those elsewhere."""

    tree: shapely.STRtree
    """Finds the features in a rectangle."""

    @classmethod
    def of(cls, geometries: NDArray[np.object_]) -> 'PlacedFeatures':
        """Index geometries."""
        return cls(geometries, shapely.STRtree(geometries))

    def order(self, chosen: NDArray[np.int64]) -> 'PlacedFeatures':
        """Bring features into another order."""
        return self.of(self.geometries[chosen])


type Meetings = tuple[NDArray[np.bool_], NDArray[np.bool_]]
"""Which images meet any feature, and which features meet any image."""


def place_features(
    geometries: GeoSeries, tiles: Sequence[RasterHeader], *, source: str
) -> tuple[list[PlacedFeatures], Meetings]:
    """Find the features of a vector file over each image.

    Returns:
        Features per image, shared by images in one CRS; and which of both meet.

    Raises:
        ValueError: If there is no geometry, or none meets an image; says where both lie.
    """
    drawn = geometries[~(geometries.isna() | geometries.is_empty)]
    if drawn.empty:
        raise ValueError(f'no feature of {source} has a geometry')
    placed, meetings = _place(geometries, tiles)
    if meetings[1].any():
        return placed, meetings
    swapped = shapely.transform(shapely.force_2d(drawn.to_numpy()), lambda xy: xy[:, ::-1])
    _, (_, if_swapped) = _place(GeoSeries(swapped, crs=drawn.crs), tiles)
    advice = 'check its coordinates and its CRS'
    if if_swapped.any():
        advice = (
            'with x and y swapped, they would: swap them, for example in QGIS with Swap X and Y '
            'coordinates'
        )
    where = _compare_places(drawn, tiles)
    raise ValueError(f'no feature of {source} meets an image: {where}; {advice}')


def _place(
    geometries: GeoSeries, tiles: Sequence[RasterHeader]
) -> tuple[list[PlacedFeatures], Meetings]:
    """Find features over images, which may be none."""
    places: dict[int, PlacedFeatures] = {}
    met, used = np.zeros(len(tiles), dtype=np.bool_), np.zeros(len(geometries), dtype=np.bool_)
    groups = [
        (crs, rows)
        for crs, all_rows in group_by_crs(tiles)
        for rows in same_turn(all_rows, tiles, crs)
    ]
    for crs, rows in groups:
        headers = [tiles[row] for row in rows]
        placed = PlacedFeatures.of(place_around(geometries, headers, crs=crs))
        boxes = [shapely.box(*header.bounds()) for header in headers]
        image, feature = placed.tree.query(boxes, predicate='intersects')
        met[np.array(rows)[image]] = used[feature] = True
        places |= dict.fromkeys(rows, placed)
    return [places[row] for row in range(len(tiles))], (met, used)


def same_turn(rows: Sequence[int], tiles: Sequence[RasterHeader], crs: CRS) -> list[list[int]]:
    """Group images in one CRS, numbered *rows*, that count longitudes in the same turn.

    Over images at 200 and at -160 degrees, a feature would lie twice, as one of two parts.
    """
    turn = find_turn(crs)
    if turn is None:
        return [list(rows)]
    middles = np.array([sum(tiles[row].bounds()[::2]) / 2 for row in rows])
    turns = np.round((middles - middles[0]) / turn.length)
    numbers = np.array(rows)
    return [numbers[turns == number].tolist() for number in np.unique(turns)]


def _compare_places(geometries: GeoSeries, tiles: Sequence[RasterHeader]) -> str:
    """Say where features and images lie, in the CRS of the first image if it reaches so far."""
    crs, rows = group_by_crs(tiles)[0]
    left, bottom, right, top = geometries.total_bounds.tolist()
    features: Bounds = (left, bottom, right, top)
    images, name = rasters_bounds([tiles[row] for row in rows]), name_crs(tiles[0].crs)
    if found := reproject_bounds(features, geometries.crs, crs):
        return f'in {name}, it has {_write(found)}, the images {_write(images)}'
    own = geometries.crs.to_string()
    if found := reproject_bounds(images, crs, geometries.crs):
        return f'in {own}, it has {_write(features)}, the images {_write(found)}'
    return f'it has {_write(features)} in {own}, the images {_write(images)} in {name}'


def _write(bounds: Bounds) -> str:
    """Write bounds."""
    left, bottom, right, top = bounds
    return f'x {left:.9g} to {right:.9g} and y {bottom:.9g} to {top:.9g}'
