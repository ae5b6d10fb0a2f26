"""Matrices of classes as tables whose cells are shaded."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from ..accuracy.figures import MapClass
from .page import Child, element, swatch, table

# the darkest shade, through which text is still read
_DARKEST = 0.55


def matrix_table(
    values: NDArray[np.number], classes: Sequence[MapClass], *, caption: str
) -> Element:
    """Write a matrix whose cells are shaded by their share of the row.

    Args:
        values: Counts, or percent, shape (K, K).
        classes: Of rows and columns.
        caption: Above it.
    """
    names = [swatch(one.color, one.name) for one in classes]
    return shaded_table(values, rows=names, columns=[one.name for one in classes], caption=caption)


def shaded_table(
    values: NDArray[np.number],
    *,
    rows: Sequence[Child],
    columns: Sequence[Child],
    caption: str,
    totals: bool = True,
) -> Element:
    """Write numbers whose cells are shaded by their share of the row.

    Args:
        values: Counts, or percent, shape (rows, columns).
        rows: Names of the rows.
        columns: Names of the columns.
        caption: Above it.
        totals: Whether to add sums of rows and columns, and to stress the diagonal.
    """
    is_count = values.dtype.kind in 'iu'
    sums = values.sum(axis=1, keepdims=True)
    shares = np.divide(values, sums, out=np.zeros(values.shape), where=sums > 0)

    def write(value: float) -> str:
        return f'{value:,}' if is_count else f'{value:.2f}'

    written: list[list[Child]] = []
    for i, (name, row) in enumerate(zip(rows, values.tolist(), strict=True)):
        cells: list[Child] = [
            element(
                'td',
                write(value),
                class_='shaded right' if totals and i == j else 'shaded',
                style=f'--part:{_DARKEST * shares[i, j]:.3f}',
            )
            for j, value in enumerate(row)
        ]
        written.append([name, *cells, *([write(sum(row))] if totals else [])])
    if totals:
        below = [write(total) for total in values.sum(axis=0).tolist()]
        written.append(['Sum', *below, write(values.sum().item())])
    head = ['', *columns, *(['Sum'] if totals else [])]
    return table(written, head=head, caption=caption, kind='matrix')
