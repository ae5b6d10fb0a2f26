"""References that cover areas, compared with a map pixel by pixel."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...windows import Window
from ..calibration import ProbabilityCheck
from ..codes import Codes
from ..figures import Design, SampledCounts
from ..reading import read_ahead
from .counting import Tally
from .judged_map import JudgedMap, shown_progress
from .legends import IGNORED, Legend
from .point_units import AskedDesign
from .surfaces import Surface

# Share of the area that a census may leave out: pixels along a border that polygons cut.
_COMPLETE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    """Pixels and areas of pairs of classes, and what is beside them."""

    pixels: Mapping[tuple[int, int, int], int]
    areas: Mapping[tuple[int, int, int], float]
    mapped: Mapping[int, float]
    unjudged: float
    unmapped: float


class Translation:
    """Classes of the codes of a reference, found when they are first met."""

    def __init__(self, surface: Surface, legend: Legend) -> None:
        """Initialize a new Translation instance."""
        self._surface, self._legend = surface, legend
        self._known: dict[int, int] = {0: IGNORED}
        self.values: dict[str, int] = {}

    def find(self, counted: Mapping[int, int]) -> dict[int, int]:
        """Find the classes of codes.

        Args:
            counted: Pixels of each code.

        Raises:
            ValueError: If a code stands for no class.
        """
        new = {
            code: self._surface.value(code)
            for code in sorted(counted)
            if code and code not in self._known
        }
        held: Counter[str] = Counter()
        for code, value in new.items():
            held[value] += counted[code]
        found = self._legend.match(held, where=self._surface.source)
        self.values.update(found)
        self._known.update({code: found[value] for code, value in new.items()})
        return self._known

    def table(self, codes: Codes) -> NDArray[np.int64]:
        """Make a table of the classes of all codes up to the largest of some."""
        counts = np.bincount(codes.ravel())
        known = self.find({int(c): int(counts[c]) for c in np.flatnonzero(counts)})
        classes = np.full(len(counts), IGNORED)
        for code, number in known.items():
            if code < len(classes):
                classes[code] = number
        return classes


def count_surface(
    judged: JudgedMap,
    surface: Surface,
    legend: Legend,
    *,
    design: AskedDesign,
    check: ProbabilityCheck | None = None,
    progress: bool,
) -> SampledCounts:
    """Compare a map with polygons or a raster, all pixels of which are units.

    Args:
        judged: The map.
        surface: The reference on its grid.
        legend: Says which classes it holds.
        design: How it was chosen; 'auto' takes a raster for a census of what it covers, and of
            polygons that nobody knows.
        check: Takes the probabilities of the pixels, if there are some.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: If nothing can be compared, a value is no class, or the design does not fit.
    """
    kind = _choose_design(surface, design)
    tally, translation = Tally(judged.row_areas), Translation(surface, legend)
    windows = judged.windows(
        block_rows=surface.block_rows, is_small=surface.is_small or check is not None
    )
    reads: list[Callable[[Window], Any]] = [judged.read, surface.read]
    if check is not None:
        reads.append(check.read)
    with shown_progress(windows, shown=progress) as shown:
        for window, (codes, references, *others) in read_ahead(reads, shown):
            judged.leave_out(window, codes, references)
            tally.add(window.row_off, codes, references)
            if check is not None:
                theirs = translation.table(references)[references]
                areas = judged.row_areas[window.row_off : window.row_stop]
                check.add_window(others[0], np.where(codes > 0, theirs, IGNORED), areas)
    compared = _compare(tally, translation)
    if not compared.pixels:
        raise ValueError(
            f'{surface.source} has no class at any observation of {judged.name}; check where both '
            'lie, and the area'
        )
    notes = [*surface.notes, *legend.tell(translation.values)]
    notes += _describe_rest(judged, surface, compared, design=design)
    of_reference: Counter[int] = Counter()
    covered: defaultdict[int, float] = defaultdict(float)
    for (_, ours, theirs), area in compared.areas.items():
        of_reference[theirs] += compared.pixels[0, ours, theirs]
        covered[ours] += area
    notes += legend.check_numbers(of_reference, list(compared.mapped), where=surface.source)
    mapped = covered if kind == 'census' else compared.mapped
    return judged.describe_counts(
        compared.pixels,
        weights=None if tally.is_even else compared.areas,
        design=kind,
        strata={'map': sum(mapped.values())},
        mapped=mapped,
        notes=notes,
    )


def _choose_design(surface: Surface, design: AskedDesign) -> Design:
    """Say what the pixels of a reference are.

    Raises:
        ValueError: If they are to be a random sample.
    """
    if design in ('stratified', 'simple'):
        raise ValueError(
            f"design (--design) '{design}' is of points that were drawn at random, {surface.source} "
            "covers areas, whose pixels are alike next to each other; 'census' and 'none' are for "
            'these'
        )
    if design == 'auto':
        return 'census' if surface.is_whole else 'unknown'
    return 'census' if design == 'census' else 'unknown'


def _compare(tally: Tally, translation: Translation) -> _Compared:
    """Turn pairs of codes into pairs of classes."""
    of_reference: Counter[int] = Counter()
    for (_, code), count in tally.pixels.items():
        of_reference[code] += count
    known = translation.find(of_reference)
    pixels: Counter[tuple[int, int, int]] = Counter()
    areas: defaultdict[tuple[int, int, int], float] = defaultdict(float)
    mapped: defaultdict[int, float] = defaultdict(float)
    unjudged = unmapped = 0.0
    for (code, reference), area in tally.areas.items():
        theirs = known[reference]
        if code:
            mapped[code - 1] += area
        if code and theirs != IGNORED:
            pair = 0, code - 1, theirs
            pixels[pair] += tally.pixels[code, reference]
            areas[pair] += area
        elif code:
            unjudged += area
        elif theirs != IGNORED:
            unmapped += area
    return _Compared(
        pixels=pixels, areas=areas, mapped=mapped, unjudged=unjudged, unmapped=unmapped
    )


def _describe_rest(
    judged: JudgedMap, surface: Surface, compared: _Compared, *, design: AskedDesign
) -> list[str]:
    """Say what was left out.

    Raises:
        ValueError: If a census left out more than a census may.
    """
    whole, covered = sum(compared.mapped.values()), sum(compared.areas.values())
    missing, notes = compared.unjudged / whole, []
    if missing > _COMPLETE and design == 'census':
        raise ValueError(
            f'a census covers all of the map or of an area, {surface.source} leaves out '
            f'{missing:.1%} of {judged.name}; restrict both to what it covers with area (--area), or '
            "pass design (--design) 'none'"
        )
    if missing:
        notes.append(
            f'The reference says nothing of {missing:.2%} of the map; all figures are of the rest.'
        )
    if compared.unmapped:
        share = compared.unmapped / (compared.unmapped + covered)
        notes.append(
            f'The map has no observation in {share:.2%} of what the reference covers, which is left '
            'out.'
        )
    if surface.contradicted:
        notes.append(
            f'Polygons that overlap say different things of {surface.contradicted:,} pixels, which '
            'are left out.'
        )
    return notes
