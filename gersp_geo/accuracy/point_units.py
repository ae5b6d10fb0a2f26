"""Points of a reference: units of a sample that was drawn, or of nobody knows what."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import shapely
from geopandas import GeoSeries
from numpy.typing import NDArray
from pyproj import CRS

from ..geoio.crs import crs_text
from ..geoio.grids import Grid
from ..geoio.vector import place_around
from .counting import to_codes
from .figures import Design, SampledCounts
from .judged_map import JudgedMap, count_units
from .legends import IGNORED, Legend
from .references import check_place, pixels_of
from .samples import Sample
from .surfaces import PointReference

type Asked = Literal['auto', 'stratified', 'simple', 'census', 'none']
"""How a user says that a reference was chosen."""

# Share by which the area of a map may miss that of the sample before it is told.
_SAME_AREA = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PointUnits:
    """Points of which both map and reference say a class, arrays of shape (n,)."""

    rows: NDArray[np.int64]
    """Row of the pixel of each in the map."""

    cols: NDArray[np.int64]
    """Column."""

    ours: NDArray[np.int64]
    """Class of the map."""

    theirs: NDArray[np.int64]
    """Class of the reference."""

    weights: NDArray[np.float64]
    """Area that each stands for."""

    counts: SampledCounts
    """What they are together."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Points:
    """Points on their way to being units, arrays of shape (n,)."""

    source: str
    ids: NDArray[np.int64]
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    theirs: NDArray[np.int64]
    origin: NDArray[np.int64]
    ours: NDArray[np.int64] = field(init=False)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, points: PointReference, legend: Legend) -> '_Points':
        """Find out which classes points are.

        Raises:
            ValueError: If a value is none.
        """
        texts = Counter(text for text in points.texts if text is not None)
        known = legend.match(texts, where=points.source)
        theirs = [IGNORED if text is None else known[text] for text in points.texts]
        found = cls(
            source=points.source, ids=points.ids, rows=points.rows, cols=points.cols,
            theirs=np.array(theirs, dtype=np.int64), origin=np.arange(len(points.ids)),
        )  # fmt: skip
        found.ours = np.full(len(points.ids), IGNORED)
        found.notes += legend.tell(texts)
        return found

    def keep(self, chosen: NDArray[np.bool_], why: str) -> None:
        """Leave the others out, and note how many that are."""
        if lost := int((~chosen).sum()):
            self.notes.append(f'{lost:,} of {len(chosen):,} points {why}, and are left out.')
        self.ids, self.rows, self.cols, self.theirs, self.ours, self.origin = (
            each[chosen]
            for each in (self.ids, self.rows, self.cols, self.theirs, self.ours, self.origin)
        )


def count_points(
    judged: JudgedMap, points: PointReference, legend: Legend, *, design: Asked, progress: bool
) -> PointUnits:
    """Compare a map with points of anybody.

    Args:
        judged: The map.
        points: What is known of single pixels of it.
        legend: Says which classes they are.
        design: How they were chosen; 'auto' means that nobody knows.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: If no point is left, two contradict each other, or a value is no class.
    """
    if design == 'census':
        raise ValueError(
            f"design (--design) 'census' is of references that cover everything, {points.source} "
            "holds points; these are 'stratified', 'simple' or 'none'"
        )
    found = _Points.of(points, legend)
    _read_map(found, judged)
    _keep_known(found)
    _drop_repeated(found, judged)
    mapped = judged.count(progress=progress)
    kind: Design = 'unknown' if design == 'auto' or design == 'none' else design
    strata, areas = np.zeros_like(found.ours), {'map': sum(mapped.values())}
    if kind == 'stratified':
        values = sorted(mapped)
        strata = np.searchsorted(values, found.ours)
        areas = _name_strata(judged, mapped, values)
    return _count(judged, found, legend, kind=kind, strata=strata, areas=areas, mapped=mapped)


def count_sample(
    judged: JudgedMap, sample: Sample, legend: Legend, *, source: str, design: Asked, progress: bool
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
    found = _Points.of(
        PointReference(
            source=source, ids=sample.ids, rows=rows, cols=cols, texts=list(sample.references)
        ),
        legend,
    )
    if missing := drawn.count - len(sample):
        found.notes.append(f'{missing:,} of {drawn.count:,} points that were drawn are not there.')
    _read_map(found, judged)
    whole = np.bincount(sample.strata, minlength=len(drawn.strata))
    there = np.bincount(sample.strata[found.origin], minlength=len(drawn.strata))
    _keep_known(found)
    mapped = judged.count(progress=progress)
    # a stratum stands for that part of it which the map shows
    shown = np.where(whole > 0, there / np.maximum(whole, 1), 1.0).tolist()
    areas = {each.name: each.area * share for each, share in zip(drawn.strata, shown, strict=True)}
    differs = int((sample.map_classes[found.origin] != found.ours).sum())
    if differs:
        found.notes.append(
            f'The map says another class than {drawn.source}, from which the sample was drawn, at '
            f'{differs:,} of {len(found.ours):,} points: the strata are those of the latter.'
        )
    total = sum(mapped.values())
    if abs(sum(areas.values()) / total - 1) > _SAME_AREA:
        found.notes.append(
            f'The sample stands for {sum(areas.values()):,.0f} {judged.unit}, and the map has '
            f'{total:,.0f}: mapped areas are those of the map.'
        )
    found.notes[:0] = drawn.notes
    kind: Design = 'unknown' if design == 'none' else drawn.kind
    strata = sample.strata[found.origin]
    if kind == 'unknown':
        strata, areas = np.zeros_like(strata), {'map': total}
    return _count(judged, found, legend, kind=kind, strata=strata, areas=areas, mapped=mapped)


def _count(
    judged: JudgedMap,
    found: _Points,
    legend: Legend,
    *,
    kind: Design,
    strata: NDArray[np.int64],
    areas: Mapping[str, float],
    mapped: Mapping[int, float],
) -> PointUnits:
    """Put points into matrices."""
    counted = Counter(found.theirs.tolist())
    notes = legend.check_numbers(counted, list(mapped), where=found.source)
    each = np.array(list(areas.values())) / np.maximum(np.bincount(strata, minlength=len(areas)), 1)
    return PointUnits(
        rows=found.rows,
        cols=found.cols,
        ours=found.ours,
        theirs=found.theirs,
        weights=each[strata],
        counts=judged.describe_counts(
            count_units(strata, found.ours, found.theirs),
            design=kind,
            strata=areas,
            mapped=mapped,
            notes=[*found.notes, *notes],
        ),
    )


def _read_map(found: _Points, judged: JudgedMap) -> None:
    """Read the classes of the map at points, and leave out those where it has none.

    Raises:
        ValueError: If it has one at no point.
    """
    found.keep(judged.holds(found.rows, found.cols), 'lie outside of the map or its area')
    values, valid = judged.pixels.read_at(found.rows, found.cols)
    codes = to_codes(values, valid[None], name=judged.name)[0]
    found.ours = codes.astype(np.int64) - 1
    found.keep(valid, 'lie where the map has no observation')
    if not len(found.ids):
        raise ValueError(
            f'no point of {found.source} lies on an observation of {judged.name}; check its '
            'coordinates and its CRS, and the area'
        )


def _keep_known(found: _Points) -> None:
    """Leave out points that say nothing.

    Raises:
        ValueError: If none says anything.
    """
    found.keep(found.theirs != IGNORED, 'have no class, or one that is ignored')
    if not len(found.ids):
        raise ValueError(
            f'no point of {found.source} on the map has a class; fill the column of classes'
        )


def _drop_repeated(found: _Points, judged: JudgedMap) -> None:
    """Count a pixel once that several points say the same of.

    Raises:
        ValueError: If they say different things.
    """
    keys = found.rows * judged.header.width + found.cols
    _, first, of = np.unique(keys, return_index=True, return_inverse=True)
    contradicting = np.flatnonzero(found.theirs != found.theirs[first][of])
    if len(contradicting):
        point = int(contradicting[0])
        other = int(first[of[point]])
        ours, theirs = (judged.described.name(int(found.theirs[i])) for i in (other, point))
        raise ValueError(
            f'features {found.ids[other]} and {found.ids[point]} of {found.source} lie in one pixel '
            f'and say {ours} and {theirs} ({len(contradicting):,} such in all); keep one of them'
        )
    chosen = np.zeros(len(keys), dtype=np.bool_)
    chosen[first] = True
    found.keep(chosen, 'lie in the pixel of another one and say the same')


def _check_design(judged: JudgedMap, sample: Sample, *, source: str, design: Asked) -> None:
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


def _name_strata(
    judged: JudgedMap, mapped: Mapping[int, float], values: Sequence[int]
) -> dict[str, float]:
    """Name the strata of a map, which are its classes; several may be called alike."""
    names = [judged.described.name(value) for value in values]
    return {
        name if names.count(name) == 1 else f'{name} ({value})': mapped[value]
        for name, value in zip(names, values, strict=True)
    }
