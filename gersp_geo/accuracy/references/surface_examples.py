"""Pixels at which a map and a reference of areas differ, to be looked at."""

from collections import defaultdict

import numpy as np

from ...windows import Window
from ..disagreements import Disagreement, choose_disagreements
from ..figures import SampledCounts
from .judged_map import JudgedMap
from .legends import Legend
from .surface_units import Translation
from .surfaces import Surface

# Pairs of classes and windows that are looked at, and the side of the latter in pixels.
_PAIRS, _WINDOWS, _SIDE = 8, 24, 512

# Pixels of each pair that are shown.
_MOST_ALIKE = 3


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
        The largest confusion first; the same for the same files.
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
    pairs = [(pair, place) for pair in wanted for place in found[pair][:_MOST_ALIKE]]
    return choose_disagreements(
        rows=np.array([row for _, (row, _) in pairs], dtype=np.int64),
        cols=np.array([col for _, (_, col) in pairs], dtype=np.int64),
        mapped=np.searchsorted(values, [ours for (ours, _), _ in pairs]),
        reference=np.searchsorted(values, [theirs for (_, theirs), _ in pairs]),
        weights=np.array([wanted[pair] / len(found[pair]) for pair, _ in pairs]),
        classes=counts.classes,
    )


def _look(
    judged: JudgedMap, surface: Surface, translation: Translation, wanted: set[tuple[int, int]]
) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Look for pixels of pairs of classes in windows at random."""
    random = np.random.default_rng(0)
    found: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    height, width = judged.header.height, judged.header.width
    for _ in range(_WINDOWS):
        if all(len(found[pair]) >= _MOST_ALIKE for pair in wanted):
            break
        rows, cols = min(_SIDE, height), min(_SIDE, width)
        window = Window(
            row_off=int(random.integers(height - rows + 1)),
            col_off=int(random.integers(width - cols + 1)),
            height=rows,
            width=cols,
        )
        codes, references = judged.read(window), surface.read(window)
        judged.leave_out(window, codes, references)
        theirs, ours = translation.table(references)[references], codes.astype(np.int64) - 1
        for pair in sorted(wanted):
            if len(found[pair]) < _MOST_ALIKE:
                places = np.argwhere((ours == pair[0]) & (theirs == pair[1]))
                chosen = random.permutation(len(places))[: _MOST_ALIKE - len(found[pair])]
                found[pair] += [
                    (window.row_off + int(row), window.col_off + int(col))
                    for row, col in places[chosen].tolist()
                ]
    return found
