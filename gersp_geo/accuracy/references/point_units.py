"""Points of a reference: units of a sample, or of nobody knows what."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..codes import to_codes
from ..figures import Design, SampledCounts
from ..sampling.files import design_path
from .judged_map import JudgedMap, count_units
from .legends import IGNORED, Legend
from .surfaces import PointReference

type AskedDesign = Literal['auto', 'stratified', 'simple', 'census', 'none']
"""How a user says that a reference was chosen."""


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
class PlacedPoints:
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
    def of(cls, points: PointReference, legend: Legend) -> 'PlacedPoints':
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
    judged: JudgedMap,
    points: PointReference,
    legend: Legend,
    *,
    design: AskedDesign,
    progress: bool,
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
    if points.is_drawn and design == 'auto':
        raise ValueError(
            f'{points.source} has the columns of a sample, and no design; put the '
            f'{design_path(points.source).name} that draw-sample wrote beside it, or pass design '
            "(--design) 'none'"
        )
    found = PlacedPoints.of(points, legend)
    read_map(found, judged)
    mapped = judged.count(progress=progress)
    kind: Design = 'unknown' if design == 'auto' or design == 'none' else design
    values = sorted(mapped)
    strata, areas = np.zeros_like(found.ours), {'map': sum(mapped.values())}
    if kind == 'stratified':
        strata = np.searchsorted(values, found.ours)
        names = judged.described.tell_apart(values)
        areas = {name: mapped[value] for name, value in zip(names, values, strict=True)}
    shares = share_judged(found, points.texts, strata, count=len(areas))
    keep_known(found)
    _drop_repeated(found, judged)
    strata = np.searchsorted(values, found.ours) if kind == 'stratified' else found.ours * 0
    return count_placed(
        judged, found, legend, kind=kind, strata=strata, areas=areas, shares=shares, mapped=mapped
    )


def count_placed(
    judged: JudgedMap,
    found: PlacedPoints,
    legend: Legend,
    *,
    kind: Design,
    strata: NDArray[np.int64],
    areas: Mapping[str, float],
    shares: NDArray[np.float64],
    mapped: Mapping[int, float],
    unequal: NDArray[np.float64] | None = None,
) -> PointUnits:
    """Put points into matrices.

    Args:
        judged: The map.
        found: The points that are units.
        legend: Says which classes they are.
        kind: How they were drawn.
        strata: Of each point.
        areas: Of the strata.
        shares: Of the strata that are judged, as points show it.
        mapped: Area of each class in the map.
        unequal: How much each point counts, 1 on average in a stratum.
    """
    counted = Counter(found.theirs.tolist())
    notes = legend.check_numbers(counted, list(mapped), where=found.source)
    sizes = np.bincount(strata, minlength=len(areas))
    judged_areas = np.array(list(areas.values())) * shares
    each = judged_areas / np.maximum(sizes, 1)
    # of a stratum without units nothing is known of either
    unjudged = np.where(sizes > 0, sizes / np.where(shares > 0, shares, 1) - sizes, 0.0)
    return PointUnits(
        rows=found.rows,
        cols=found.cols,
        ours=found.ours,
        theirs=found.theirs,
        weights=each[strata] if unequal is None else each[strata] * unequal,
        counts=judged.describe_counts(
            count_units(strata, found.ours, found.theirs),
            weights=None
            if unequal is None
            else count_units(strata, found.ours, found.theirs, amounts=unequal),
            design=kind,
            strata=dict(zip(areas, judged_areas.tolist(), strict=True)),
            mapped=mapped,
            notes=[*found.notes, *notes],
            unjudged=None if kind == 'unknown' or (shares == 1).all() else unjudged,
        ),
    )


def read_map(found: PlacedPoints, judged: JudgedMap) -> None:
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


def share_judged(
    found: PlacedPoints, texts: Sequence[str | None], strata: NDArray[np.int64], *, count: int
) -> NDArray[np.float64]:
    """Say which share of each stratum is judged: what is ignored, as points show it, is none of it.

    Points that nobody has looked at say nothing about that.

    Args:
        found: Points on the map, before those that say nothing are left out.
        texts: What all points of the file say; None for nothing.
        strata: Of the points on the map.
        count: Number of strata.
    """
    said = np.array([texts[place] is not None for place in found.origin.tolist()], dtype=np.bool_)
    known = np.bincount(strata[said], minlength=count)
    kept = np.bincount(strata[found.theirs != IGNORED], minlength=count)
    return np.asarray(np.where(known > 0, kept / np.maximum(known, 1), 1.0))


def keep_known(found: PlacedPoints) -> None:
    """Leave out points that say nothing.

    Raises:
        ValueError: If none says anything.
    """
    found.keep(found.theirs != IGNORED, 'have no class, or one that is ignored')
    if not len(found.ids):
        raise ValueError(
            f'no point of {found.source} on the map has a class; fill the column of classes'
        )


def _drop_repeated(found: PlacedPoints, judged: JudgedMap) -> None:
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
