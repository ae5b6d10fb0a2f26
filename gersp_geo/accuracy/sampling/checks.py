"""Whether a sample that people have worked on is still the one that was drawn."""

from os import PathLike

import geopandas
import numpy as np
import shapely
from pyproj import CRS

from ...geoio.crs import find_turn
from ...messages import name_some
from .samples import Sample

# Pixels by which a point may lie off after a way through other systems, and metres that are allowed
# where pixels are small: ways between datums differ by a metre or two.
_PIXELS_OFF, _METRES_OFF = 0.5, 3.0

_METRES_PER_DEGREE = 111_000

# part of the area of a stratum by which the weights of its points may miss it
_ROUNDING = 1e-6


def check_sample(sample: Sample, frame: geopandas.GeoDataFrame, path: str | PathLike[str]) -> None:
    """Refuse points that were not drawn, drawn elsewhere, or with other probabilities.

    Args:
        sample: What was read.
        frame: The features it was read from, in its order.
        path: Their file, for messages.

    Raises:
        ValueError: If figures of the sample would not be those of its design.
    """
    _check_points(sample, path)
    _check_places(sample, frame, path)
    _check_weights(sample, path)


def _check_points(sample: Sample, path: str | PathLike[str]) -> None:
    """Refuse points that were not drawn, or are there twice."""
    design = sample.design
    if (unknown := sample.ids[sample.strata < 0]).size:
        raise ValueError(
            f'{path} has points of strata that its design lacks: id {name_some(unknown.tolist())}'
        )
    for what, keys in (('id', sample.ids), ('pixel', sample.rows * design.width + sample.cols)):
        _, first, counts = np.unique(keys, return_index=True, return_counts=True)
        if (counts > 1).any():
            again = sample.ids[first[counts > 1]].tolist()
            raise ValueError(
                f'{path} has {int((counts - 1).sum())} duplicated points: id {name_some(again)} '
                f'{"is" if len(again) == 1 else "are"} there several times by {what}; remove them'
            )
    is_inside = (sample.rows >= 0) & (sample.rows < design.height)
    is_inside &= (sample.cols >= 0) & (sample.cols < design.width)
    if not is_inside.all():
        raise ValueError(
            f'{path} has points outside of its map of {design.height} x {design.width} px: id '
            f'{name_some(sample.ids[~is_inside].tolist())}'
        )


def _check_places(sample: Sample, frame: geopandas.GeoDataFrame, path: str | PathLike[str]) -> None:
    """Refuse points that were moved: their row and column would be another place."""
    design = sample.design
    crs = CRS.from_wkt(design.crs)
    # some programs make collections of all points
    is_single = shapely.get_type_id(frame.geometry) == shapely.GeometryType.MULTIPOINT
    is_single &= shapely.get_num_geometries(frame.geometry) == 1
    firsts = shapely.get_geometry(frame.geometry.to_numpy(), 0)
    geometries = np.where(is_single, firsts, frame.geometry.to_numpy())
    is_point = shapely.get_type_id(geometries) == shapely.GeometryType.POINT
    is_point &= ~shapely.is_empty(geometries)
    if not is_point.all():
        raise ValueError(
            f'{path} has features that are no points: id {name_some(sample.ids[~is_point].tolist())}'
        )
    placed = geopandas.GeoSeries(geometries, crs=frame.crs)
    moved = placed if frame.crs == crs else placed.to_crs(crs)
    offsets = shapely.get_coordinates(moved.to_numpy()) - design.place(sample.rows, sample.cols)
    if (turn := find_turn(crs)) is not None:
        offsets[:, 0] = turn.shortest(offsets[:, 0])
    a, b, _, d, e, _ = design.transform
    pixels = np.linalg.solve(np.array([[a, b], [d, e]]), offsets.T).T
    metres = _METRES_OFF / (_METRES_PER_DEGREE if crs.is_geographic else 1)
    off = np.abs(pixels).max(axis=1)
    is_off = ~((off <= _PIXELS_OFF) | (np.abs(offsets).max(axis=1) <= metres))
    if is_off.any():
        raise ValueError(
            f'{path} has {int(is_off.sum())} points that lie elsewhere than they were drawn: id '
            f'{name_some(sample.ids[is_off].tolist())}, by up to {np.nanmax(off[is_off]):.1f} pixels; '
            'put them back'
        )


def _check_weights(sample: Sample, path: str | PathLike[str]) -> None:
    """Refuse probabilities that are none, or that do not sum up to the strata."""
    wrong = ~((sample.probabilities > 0) & (sample.probabilities <= 1 + _ROUNDING))
    wrong |= ~(sample.weights > 0)
    if wrong.any():
        raise ValueError(
            f'inclusion probabilities are in (0, 1] and weights > 0, {path} has others: id '
            f'{name_some(sample.ids[wrong].tolist())}'
        )
    for index, stratum in enumerate(sample.design.strata):
        own = sample.strata == index
        count = int(own.sum())
        if count > stratum.count:
            raise ValueError(
                f'{path} has {count} points in the stratum {stratum.name!r}, of which '
                f'{stratum.count} were drawn; remove those that were added'
            )
        total = float(sample.weights[own].sum())
        if count == stratum.count and abs(total / stratum.area - 1) > _ROUNDING:
            raise ValueError(
                f'the probabilities in {path} do not sum: the points of the stratum '
                f'{stratum.name!r} stand for {total:,.0f} {sample.design.unit}, and it has '
                f'{stratum.area:,.0f}; take the columns as draw-sample wrote them'
            )
