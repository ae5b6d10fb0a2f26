"""Files of a report, each whole or absent."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...geoio.vector import Attribute, Features, new_features
from ...geoio.write import finite_or_none, new_file, write_csv, write_json
from .summary import Matrix, Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# of NumPy's kinds of types; the others are written as text
_KINDS: Mapping[str, Literal['bool', 'int64', 'float64']] = {
    'b': 'bool', 'i': 'int64', 'u': 'int64', 'f': 'float64',
}  # fmt: skip


def write_summary(folder: Path, summary: Summary, facts: Mapping[str, Any]) -> None:
    """Write ``metrics.json`` and ``metrics.csv``, and the confusion matrix as both.

    Args:
        folder: Where; files of an earlier report are replaced.
        summary: The metrics. NaN becomes null in JSON, which has no name for it, and empty in CSV.
        facts: Where they come from, for ``metrics.json``.
    """
    content = {
        **facts,
        'counted': summary.unit,
        **summary.notes,
        'overall': plain(summary.overall),
        'classes': {
            name: {'count': summary.counts[name]} | plain(metrics)
            for name, metrics in summary.classes.items()
        },
    }
    write_json(folder / 'metrics.json', content, overwrite=True)
    titles = list(summary.overall)
    rows = [
        [name, count, *(cell(metrics.get(title)) for title in titles)]
        for name, count, metrics in [
            *((name, summary.counts[name], values) for name, values in summary.classes.items()),
            ('', sum(summary.counts.values()), summary.overall),
        ]
    ]
    write_csv(folder / 'metrics.csv', [['class', 'count', *titles], *rows], overwrite=True)
    if summary.matrix is not None:
        write_matrix(folder, summary.matrix)


def write_matrix(folder: Path, matrix: Matrix) -> None:
    """Write ``confusion_matrix.csv`` and ``.json``; rows are what is true."""
    counts = matrix.counts.tolist()
    content = {
        'true': list(matrix.rows), 'predicted': list(matrix.columns), 'counts': counts,
    }  # fmt: skip
    write_json(folder / 'confusion_matrix.json', content, overwrite=True)
    rows = [[name, *row] for name, row in zip(matrix.rows, counts, strict=True)]
    corner = 'true \\ predicted' if matrix.rows == matrix.columns else 'label'
    write_csv(folder / 'confusion_matrix.csv', [[corner, *matrix.columns], *rows], overwrite=True)


def write_figure(path: Path, figure: 'Figure') -> None:
    """Write a figure as PNG."""
    with new_file(path, overwrite=True) as temporary:
        figure.savefig(temporary, format='png')


def write_splits(path: Path, table: Any) -> None:
    """Write a GeoDataFrame, one row per block of ground, as a vector file."""
    columns = {
        str(name): table[name].to_numpy() for name in table.columns if name != table.geometry.name
    }
    attributes = [
        Attribute(name=name, kind=_KINDS.get(values.dtype.kind, 'string'))
        for name, values in columns.items()
    ]
    arrays = {a.name: columns[a.name].astype(a.dtype) for a in attributes}
    features = Features(polygons=np.asarray(table.geometry.array, dtype=object), columns=arrays)
    with new_features(path, crs=table.crs.to_wkt(), attributes=attributes, overwrite=True) as write:
        write(features)


def plain(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """Write numbers as JSON has them."""
    return {name: finite_or_none(value) for name, value in metrics.items()}


def cell(value: float | None) -> str:
    """Write a number, or nothing."""
    return '' if value is None or math.isnan(value) else repr(value)
