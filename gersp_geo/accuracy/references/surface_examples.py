"""Pixels at which a map and a reference of areas differ, to be looked at."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from ...windows import Window
from ..disagreements import Disagreement, choose_disagreements
from ..figures import SampledCounts
from .judged_map import JudgedMap
from .legends import Legend
from .surface_units import Translation
from .surfaces import Surface

# Pairs of classes, windows that are looked at, and the side of the latter in pixels.
_PAIRS, _WINDOWS, _SIDE = 8, 24, 512

# So many windows may hold nothing of a reference besides, as most do where polygons are few.
_MOST_EMPTY = 400

# Pixels of each pair of which some are chosen, and of those in one window.
_MOST_ALIKE, _MOST_NEAR = 24, 4


def find_examples(
    judged: JudgedMap, surface: Surface, legend: Legend, *, counts: SampledCounts
) -> tuple[Disagreement, ...]:
    """Choose pixels of the confusions that cover most, at random from some parts of the map.

    Args:
        judged: The map.
        surface: The reference.
        legend: Says which classes it holds.
        counts: What was found.

    Returns:
        The largest confusion first, by the area of all of it; the same for the same files.
    """
    sizes = (counts.counts if counts.weights is None else counts.weights).sum(axis=0)
    pixel = float(judged.row_areas[0]) if counts.weights is None else 1.0
    wrong = np.where(np.eye(len(sizes), dtype=np.bool_), 0, sizes * pixel)
    largest = np.argsort(-wrong, axis=None, kind='stable')[:_PAIRS]
    values = [each.value for each in counts.classes]
    wanted = {
        (values[row], values[col]): float(wrong[row, col])
        for row, col in zip(*np.unravel_index(largest, wrong.shape), strict=True)
        if wrong[row, col] > 0
    }
    found = _look(judged, surface, Translation(surface, legend), set(wanted))
    pairs = [(pair, place) for pair in wanted for place in found[pair]]
    return choose_disagreements(
        rows=np.array([row for _, (row, _) in pairs], dtype=np.int64),
        cols=np.array([col for _, (_, col) in pairs], dtype=np.int64),
        mapped=np.searchsorted(values, [ours for (ours, _), _ in pairs]),
        reference=np.searchsorted(values, [theirs for (_, theirs), _ in pairs]),
        weights=np.array([wanted[pair] for pair, _ in pairs]),
        classes=counts.classes,
    )


def _look(
    judged: JudgedMap, surface: Surface, translation: Translation, wanted: set[tuple[int, int]]
) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Look for pixels of pairs of classes in windows at random that hold some of the reference."""
    random = np.random.default_rng(0)
    found: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    seen = 0
    for window in _shuffle(judged.header.height, judged.header.width, random):
        if seen == _WINDOWS or all(len(found[pair]) >= _MOST_ALIKE for pair in wanted):
            break
        references = surface.read(window)
        if not references.any():
            continue
        seen += 1
        codes = judged.read(window)
        judged.leave_out(window, codes, references)
        theirs, ours = translation.table(references)[references], codes.astype(np.int64) - 1
        for pair in sorted(wanted):
            if len(found[pair]) < _MOST_ALIKE:
                near = np.argwhere((ours == pair[0]) & (theirs == pair[1]))
                chosen = random.permutation(len(near))[:_MOST_NEAR]
                found[pair] += [
                    (window.row_off + int(row), window.col_off + int(col))
                    for row, col in near[chosen].tolist()
                ]
    for places in found.values():
        # else those of the first window would be chosen
        random.shuffle(places)
    return found


def _shuffle(height: int, width: int, random: np.random.Generator) -> Iterator[Window]:
    """Cut a map into windows, and go through some of them at random."""
    rows, cols = -(-height // _SIDE), -(-width // _SIDE)
    most = min(rows * cols, _WINDOWS + _MOST_EMPTY)
    for place in random.choice(rows * cols, most, replace=False).tolist():
        row, col = (_SIDE * each for each in divmod(place, cols))
        yield Window(
            row_off=row, col_off=col, height=min(_SIDE, height - row), width=min(_SIDE, width - col)
        )
