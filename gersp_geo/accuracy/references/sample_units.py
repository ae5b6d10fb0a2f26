"""Points of a sample that was drawn from a map, judged by this or another one."""

import numpy as np
import shapely
from geopandas import GeoSeries
from numpy.typing import NDArray
from pyproj import CRS

from ...geoio.crs import crs_text
from ...geoio.grids import Grid
from ...geoio.vector import place_around
from ..figures import Design
from ..sampling.samples import Sample
from .judged_map import JudgedMap
from .legends import Legend
from .opening import check_place, pixels_of
from .point_units import (
    AskedDesign,
    PlacedPoints,
    PointUnits,
    count_placed,
    keep_known,
    read_map,
    share_judged,
)
from .surfaces import PointReference

# Share by which the area of a map may miss that of the sample before it is told.
_SAME_AREA = 1e-3

# part by which weights of one stratum may differ by rounding
_SAME_WEIGHT = 1e-6


def count_sample(
    judged: JudgedMap,
    sample: Sample,
    legend: Legend,
    *,
    source: str,
    design: AskedDesign,
    progress: bool,
) -> PointUnits:
    """Compare a map with a sample that was drawn from it or from another one.

    Strata stay those of the sample, whatever the map says there (Stehman, 2014).

    Args:
        judged: The map.
        sample: As it was drawn and interpreted.
        legend: Says which classes its points are.
        source: Its file.
        design: 'auto' takes that of the sample.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: If *design* is another one, no point has a class, or a value is none.
    """
    drawn = sample.design
    _check_design(judged, sample, source=source, design=design)
    rows, cols = _place(judged, sample, source=source)
    found = PlacedPoints.of(
        PointReference(
            source=source, ids=sample.ids, rows=rows, cols=cols, texts=list(sample.references)
        ),
        legend,
    )
    if missing := drawn.count - len(sample):
        found.notes.append(f'{missing:,} of {drawn.count:,} points that were drawn are not there.')
    read_map(found, judged)
    whole = np.bincount(sample.strata, minlength=len(drawn.strata))
    there = np.bincount(sample.strata[found.origin], minlength=len(drawn.strata))
    judging = share_judged(
        found, sample.references, sample.strata[found.origin], count=len(drawn.strata)
    )
    keep_known(found)
    mapped = judged.count(progress=progress)
    # a stratum stands for that part of it which the map shows and which is not ignored
    shown = np.where(whole > 0, there / np.maximum(whole, 1), 1.0) * judging
    areas = {each.name: each.area for each in drawn.strata}
    differs = int((sample.map_classes[found.origin] != found.ours).sum())
    if differs:
        found.notes.append(
            f'The map says another class than {drawn.source}, from which the sample was drawn, at '
            f'{differs:,} of {len(found.ours):,} points: the strata are those of the latter.'
        )
    total = sum(mapped.values())
    covered = float(shown @ np.array(list(areas.values())))
    if abs(covered / total - 1) > _SAME_AREA:
        found.notes.append(
            f'The sample stands for {covered:,.0f} {judged.unit}, and the map has '
            f'{total:,.0f}: mapped areas are those of the map.'
        )
    found.notes[:0] = drawn.notes
    kind: Design = 'unknown' if design == 'none' else drawn.kind
    strata = sample.strata[found.origin]
    if kind == 'unknown':
        strata, areas, shown = np.zeros_like(strata), {'map': total}, np.ones(1)
    unequal = None if kind == 'unknown' else _find_unequal(sample.weights[found.origin], strata)
    return count_placed(
        judged, found, legend, kind=kind, strata=strata, areas=areas, shares=shown,
        mapped=mapped, unequal=unequal,
    )  # fmt: skip


def _find_unequal(
    weights: NDArray[np.float64], strata: NDArray[np.int64]
) -> NDArray[np.float64] | None:
    """Say how much points count, 1 on average in a stratum; None where all count alike in theirs.

    Points of a stratum that was taken as a whole stand for the areas of their own pixels, which
    differ in degrees.
    """
    means = np.bincount(strata, weights=weights) / np.maximum(np.bincount(strata), 1)
    found: NDArray[np.float64] = weights / means[strata]
    return None if np.allclose(found, 1, rtol=0, atol=_SAME_WEIGHT) else found


def _check_design(judged: JudgedMap, sample: Sample, *, source: str, design: AskedDesign) -> None:
    """Refuse what would take a sample for another one.

    Raises:
        ValueError: If *design*, the area or the unit of areas is not that of the sample.
    """
    drawn = sample.design
    if design not in ('auto', 'none', drawn.kind):
        raise ValueError(
            f"{source} was drawn as a {drawn.kind} sample, got design (--design) '{design}'; leave "
            'it out'
        )
    if judged.zone is not None and drawn.area is None:
        raise ValueError(
            f'{source} was drawn from the whole of {drawn.source}, so that no area can be cut out of '
            'it; leave area (--area) out, or draw a sample with it'
        )
    if drawn.unit != judged.unit:
        raise ValueError(
            f'areas of {source} are in {drawn.unit}, those of {judged.name} in {judged.unit}; draw '
            'the sample from a map in the CRS of this one'
        )


def _place(
    judged: JudgedMap, sample: Sample, *, source: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the pixels of a map at the points of a sample that may be of another one."""
    check_place(judged.header, name=judged.name, needed_by=source)
    assert judged.header.crs is not None  # checked before
    points = shapely.points(sample.design.place(sample.rows, sample.cols))
    series = GeoSeries(points, crs=CRS.from_wkt(sample.design.crs))
    crs = CRS.from_wkt(crs_text(judged.header.crs))
    return pixels_of(place_around(series, [Grid.of(judged.header)], crs=crs), judged.header)
