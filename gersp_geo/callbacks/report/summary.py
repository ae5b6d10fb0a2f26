"""The result of one validation or test."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...messages import align


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Matrix:
    """Counts of what was predicted for what is true."""

    rows: tuple[str, ...]
    """Names of the rows: what is true."""

    columns: tuple[str, ...]
    """Names of the columns: what was predicted."""

    counts: NDArray[np.int64]
    """Shape (rows, columns)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Metrics by name."""

    unit: str
    """What was counted, in plural: pixels, images, objects or values."""

    counts: Mapping[str, int]
    """Per class: how many of them there are in truth; of values, those that are known."""

    classes: Mapping[str, Mapping[str, float]]
    """Per class: its metrics; all NaN where there is none of it in truth."""

    overall: Mapping[str, float]
    """Metrics over all classes; means leave classes out that are NaN."""

    matrix: Matrix | None = None
    """Of pixels and images."""

    notes: Mapping[str, object] = field(default_factory=dict)
    """What else there is to know of the metrics, for the file."""

    def flat(self) -> dict[str, float]:
        """Name each metric as it is logged, without the stage: ``IoU``, ``IoU_forest``."""
        names = dict(zip(self.classes, metric_names(list(self.classes)), strict=True))
        per_class = {
            f'{metric}_{names[name]}': value
            for name, metrics in self.classes.items()
            for metric, value in metrics.items()
        }
        return {**self.overall, **per_class}

    def table(self) -> str:
        """Write all metrics as a table of plain text: a row per class, the last one for all."""
        titles = list(self.overall)
        rows = [['class', self.unit, *titles]]
        for name, metrics in self.classes.items():
            cells = [format_value(metrics[title]) if title in metrics else '' for title in titles]
            rows.append([name, f'{self.counts[name]:,}', *cells])
        cells = [format_value(self.overall[t]) if t in self.overall else '' for t in titles]
        rows.append(['all', f'{sum(self.counts.values()):,}', *cells])
        return '\n'.join(align(rows))


def format_value(value: float) -> str:
    """Write a metric in four digits; a dash is one that is not known."""
    return '-' if math.isnan(value) else f'{value:.4g}' if abs(value) >= 10 else f'{value:.3f}'


def metric_names(classes: Sequence[str]) -> list[str]:
    """Name classes as a part of a metric's name and of a file's: no spaces or slashes, none twice."""
    names: list[str] = []
    for number, name in enumerate(classes):
        plain = '_'.join(name.replace('/', ' ').split()) or f'class_{number}'
        names.append(f'{plain}_{number}' if plain in names else plain)
    return names


def mean_of_known(values: Iterable[float]) -> float:
    """Average those that are no NaN; NaN where there are none."""
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan
