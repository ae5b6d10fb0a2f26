"""One set of classes of two files of objects."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...messages import name_some
from .matching import UNCLASSED
from .references import CLASS_COLUMNS, ObjectFile, Texts

ANY_CLASS = 'object'
"""The only class where classes do not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes:
    """Classes of two files, by name."""

    names: tuple[str, ...]
    """Of both files; numbers are sorted as numbers."""

    predicted: Texts
    """Of each predicted object."""

    reference: Texts
    """Of each object of the reference; None of those that tell none."""

    notes: tuple[str, ...] = ()
    """What has to be said."""

    def number(self, texts: Texts) -> NDArray[np.int64]:
        """Number the classes of objects."""
        numbers = {name: number for number, name in enumerate(self.names)}
        found = [UNCLASSED if text is None else numbers[text] for text in texts]
        return np.array(found, dtype=np.int64)


def join_classes(
    predicted: ObjectFile, reference: ObjectFile, *, attribute: str | None, by_class: bool
) -> Classes:
    """Find the columns with the class, of which both files know some values.

    Args:
        predicted: What is judged.
        reference: What it is judged by.
        attribute: Column of the reference; None takes the first of class_name, class, label and
            category that has a value.
        by_class: Whether classes count.

    Raises:
        ValueError: If a column is missing, no class is common, or predicted objects have none.
    """
    one = [ANY_CLASS] * len(predicted.frame)
    columns = reference.class_columns(attribute) if by_class else []
    if not columns:
        alike = [ANY_CLASS] * len(reference.frame)
        why = 'Classes do not count' if not by_class else f'{reference.path} tells no class'
        note = f'{why}: any predicted object may show any object.'
        return Classes(names=(ANY_CLASS,), predicted=one, reference=alike, notes=(note,))
    texts, where = reference.texts(columns[0]), f'{columns[0]!r} of {reference.path}'
    known = {text for text in texts if text is not None}
    if not len(predicted.frame):
        return Classes(names=_sorted(known), predicted=[], reference=texts)
    column, found = _predicted_texts(predicted, known, attribute=attribute, where=where)
    values = {text for text in found if text is not None}
    notes = [f'Classes are those in {column} of {predicted.path} and in {where}.']
    if foreign := _sorted(values - known):
        count = sum(text not in known for text in found)
        notes.append(
            f'{count:,} predicted objects are of classes that the reference lacks, and are wrong: '
            f'{name_some(foreign)}.'
        )
    if without := sum(text is None for text in texts):
        notes.append(f'{without:,} objects of the reference have no class, and are left out.')
    return Classes(
        names=_sorted(known | values), predicted=found, reference=texts, notes=tuple(notes)
    )


def _predicted_texts(
    predicted: ObjectFile, known: set[str], *, attribute: str | None, where: str
) -> tuple[str, Texts]:
    """Read the class of each predicted object, from a column that has values of the reference."""
    columns = predicted.class_columns(attribute if attribute in predicted.frame else None)
    if not columns and len(known) == 1:
        return 'no column', [*known] * len(predicted.frame)
    if not columns:
        raise ValueError(
            f'{predicted.path} has no class in any of {", ".join(CLASS_COLUMNS)}, and {where} has '
            f'{len(known)}: {name_some(_sorted(known))}; add one, or leave classes out (one_class, '
            '--one-class)'
        )
    read = {name: predicted.texts(name) for name in columns}
    fitting = [item for item in read.items() if known.intersection(item[1])]
    if not fitting:
        values = {text for text in read[columns[0]] if text is not None}
        raise ValueError(
            f'no class is in both files: {columns[0]!r} of {predicted.path} holds '
            f'{name_some(_sorted(values))}, {where} holds {name_some(_sorted(known))}; name another '
            'attribute (--attribute), or leave classes out (one_class, --one-class)'
        )
    column, texts = fitting[0]
    if without := sum(text is None for text in texts):
        raise ValueError(
            f'every predicted object has a class, {without} of {len(predicted.frame)} in '
            f'{predicted.path} have none; delete them, or leave classes out (one_class, --one-class)'
        )
    return repr(column), texts


def _sorted(names: set[str]) -> tuple[str, ...]:
    """Sort names, class numbers as numbers."""
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=int))
    return tuple(sorted(names))
