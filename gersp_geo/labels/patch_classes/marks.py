"""Which classes rows of a table have: one each, or any number of labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas
from lightning.pytorch.utilities import rank_zero_warn
from numpy.typing import NDArray

from ...geoio.vector import attribute_texts
from ...messages import name_some
from ..attribute_classes import choose_classes

_FLAGS = {'0': False, '1': True, '0.0': False, '1.0': True, 'false': False, 'true': True}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Marks:
    """Classes of some things: images, or places on the ground."""

    class_names: tuple[str, ...]
    """Names of the classes 0, 1, ..."""

    flags: NDArray[np.bool_]
    """Which classes each thing has, shape (n, classes)."""

    known: NDArray[np.bool_]
    """Whether somebody said so, shape (n,); of several labels, a thing may have none and be known."""


def mark_texts(
    texts: Sequence[str | None],
    used: NDArray[np.bool_],
    given: Sequence[str],
    *,
    attribute: str,
    source: str,
    separator: str | None,
) -> Marks:
    """Read the classes of rows from one column.

    Args:
        texts: Value of each row; None, and nothing but spaces, are unknown.
        used: Per row, whether it belongs to an image.
        given: Names of the classes; empty takes the values, sorted.
        attribute: Name of the column, for messages.
        source: The file, for messages.
        separator: Between several labels of a row; None if each has one class.

    Raises:
        ValueError: If there is no value, or the names do not fit.

    Warns:
        UserWarning: If rows have no value, values look alike, or may be several labels.
    """
    values = [text.strip() or None if text is not None else None for text in texts]
    if separator is None:
        warn_of_several([v for v, is_used in zip(values, used, strict=True) if v and is_used])
        parts: list[list[str | None]] = [[value] for value in values]
    else:
        parts = [split_labels(value, separator) for value in values]
    rows = np.repeat(np.arange(len(parts)), [len(words) for words in parts])
    names, codes = choose_classes(
        [word for words in parts for word in words],
        used[rows],
        tuple(given),
        attribute=attribute,
        source=source,
        most=None,
    )
    flags = np.zeros((len(parts), len(names)), dtype=np.bool_)
    flags[rows[codes >= 0], codes[codes >= 0]] = True
    return Marks(class_names=names, flags=flags, known=flags.any(axis=1))


def split_labels(value: str | None, separator: str) -> list[str | None]:
    """Split the labels of one row; what is empty is unknown."""
    words: list[str | None] = [
        word for part in (value or '').split(separator) if (word := part.strip())
    ]
    return words or [None]


def warn_of_several(values: Sequence[str]) -> None:
    """Warn of single classes that look like several labels."""
    if several := [value for value in values if ';' in value]:
        rank_zero_warn(
            f"{len(several)} of {len(values)} classes hold a ';', such as {several[0]!r}: each is "
            'a class of its own; if they are several labels, pass multilabel=True'
        )


def mark_columns(frame: pandas.DataFrame, columns: Sequence[str], *, source: str) -> Marks:
    """Read labels from columns of zeros and ones, one per class.

    Args:
        frame: One row per image or place.
        columns: Those of the classes, by their names.
        source: The file, for messages.

    Raises:
        ValueError: If a column is missing, or holds something else.
    """
    if missing := [name for name in columns if name not in frame.columns]:
        raise ValueError(
            f'{source} has no column for {name_some(missing)}, only {name_some([*frame.columns])}'
        )
    flags = np.zeros((len(frame), len(columns)), dtype=np.bool_)
    for number, name in enumerate(columns):
        texts = [(text or '').strip().lower() for text in attribute_texts(frame[name])]
        if wrong := [row for row, text in enumerate(texts) if text not in _FLAGS]:
            raise ValueError(
                f'{source} must hold 0 or 1 in the column {name!r} of a class, got '
                f'{texts[wrong[0]]!r} in row {wrong[0] + 1}; for labels in one column, pass '
                'attribute, and class_names for the columns that are classes'
            )
        flags[:, number] = [_FLAGS[text] for text in texts]
    known = np.ones(len(frame), dtype=np.bool_)
    return Marks(class_names=tuple(columns), flags=flags, known=known)
