"""Number and name the classes of polygons by the values of an attribute."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from numpy.typing import NDArray

from ..messages import name_some
from .class_mapping import IGNORED, Classes, map_classes, read_text

# a mask of uint8 holds so many beside "no class"
MOST_CLASSES = 255

# nobody would read more values in a message
show = partial(name_some, most=8)

NUMBER = re.compile(r'[+-]?[0-9]+')


def choose_classes(
    texts: Sequence[str | None],
    used: NDArray[np.bool_],
    given: Sequence[str],
    *,
    attribute: str,
    source: str,
    most: int | None = MOST_CLASSES,
) -> tuple[tuple[str, ...], NDArray[np.int16]]:
    """Number the values of an attribute.

    Class numbers, that is whole numbers of any type and text of digits, are sorted as numbers.
    Names that are given may be values, in any order and with others that do not occur; or, for
    class numbers, one name per number of the file in ascending order.

    Args:
        texts: Value of each feature, None for those without.
        used: Per feature, whether it meets an image.
        given: Names of the classes; empty takes the values.
        attribute: Where the values stand, for messages.
        source: The file, for messages.
        most: So many classes there may be; None means any number.

    Returns:
        Names of the classes 0, 1, ..., and per feature its class, -1 for none.

    Raises:
        ValueError: If there is no value or are too many, or the names do not fit.

    Warns:
        UserWarning: If features have no value, or values look alike.
    """
    where = f'{attribute!r} of {source}'
    over = [text for text, is_used in zip(texts, used, strict=True) if is_used]
    needed = {text for text in over if text is not None}
    if not needed:
        raise ValueError(
            f'{where} has no value in the {len(over)} features over the images; pass another '
            'attribute'
        )
    warn_of_missing(over, where=where)
    values = sort_values({text for text in texts if text is not None})
    order = tuple(given) or tuple(values)
    if most is not None and len(order) > most:
        held = f'class_names has {len(order)}' if given else f'{where} has {len(order)} values'
        raise ValueError(
            f'there may be at most {most} classes, {held}; pass an attribute with fewer, '
            'or class_names of those over the images'
        )
    if not given:
        warn_of_lookalikes(values, where=where)
    names = name_values(values, needed, given, where=where)
    numbers = {value: order.index(name) for value, name in names.items()}
    codes = [-1 if text is None else numbers.get(text, -1) for text in texts]
    return order, np.array(codes, dtype=np.int16)


def assign_classes(
    texts: Sequence[str | None],
    used: NDArray[np.bool_],
    classes: Classes,
    ignore: Sequence[Any],
    *,
    where: str,
) -> tuple[tuple[str, ...], NDArray[np.int16]]:
    """Number the values of an attribute as a mapping says.

    Args:
        texts: Value of each feature, None for those without.
        used: Per feature, whether it meets an image.
        classes: Name to value or values.
        ignore: Values that label nothing.
        where: Names attribute and file.

    Returns:
        Names of the classes 0, 1, ..., and per feature its class, -1 for none.

    Raises:
        ValueError: If features over the images have a value of no class, or none has one of any.

    Warns:
        UserWarning: If features have no value.
    """
    mapping = map_classes(classes, ignore, read=read_text)
    over = [text for text, is_used in zip(texts, used, strict=True) if is_used]
    counted = Counter(text for text in over if text is not None)
    unknown = [value for value in counted if value not in mapping.numbers]
    if unknown:
        held = show([f'{value!r} ({counted[value]} of {len(over)} features)' for value in unknown])
        known = [*mapping.numbers]
        raise ValueError(
            f'{where} holds values of no class: {held}; add them to classes, or to ignore, whose '
            f'features label nothing{hint(unknown, known)}'
        )
    warn_of_missing(over, where=where)
    codes = [IGNORED if text is None else mapping.numbers.get(text, IGNORED) for text in texts]
    return mapping.names, np.array(codes, dtype=np.int16)


def warn_of_missing(over: Sequence[str | None], *, where: str) -> None:
    """Count the features without a value, of those over the images."""
    if missing := over.count(None):
        rank_zero_warn(
            f'{missing} of the {len(over)} features over the images have no value in {where}: they '
            'label nothing'
        )


def sort_values(values: set[str]) -> list[str]:
    """Sort values: as numbers if they all are some, else as text."""
    if are_numbers(values):
        return sorted(values, key=lambda value: (int(value), value))
    try:
        return sorted(values, key=lambda value: (float(value), value))
    except ValueError:
        return sorted(values)


def are_numbers(values: set[str] | Sequence[str]) -> bool:
    """Whether all values are class numbers."""
    return all(NUMBER.fullmatch(value) for value in values)


def name_values(
    values: Sequence[str], needed: set[str], given: Sequence[str], *, where: str
) -> dict[str, str]:
    """Say which class each value is.

    Args:
        values: All, in the order of their classes.
        needed: Those that occur over the images.
        given: Names of the classes; may be empty.
        where: Names attribute and file.

    Returns:
        Value to name, for all that are needed.

    Raises:
        ValueError: If names are repeated, or do not fit the values.
    """
    if twice := sorted({name for name in given if given.count(name) > 1}):
        raise ValueError(f'class_names must differ, got {show(twice)} more than once')
    if not given or needed <= set(given):
        return {value: value for value in values if not given or value in given}
    # with a number among the names, it would be open which class is meant
    is_named = are_numbers(values) and not any(NUMBER.fullmatch(name) for name in given)
    if is_named and len(given) == len(values):
        names = dict(zip(values, given, strict=True))
        pairs = ', '.join(f'{name} = {value}' for value, name in names.items())
        rank_zero_info(f'class numbers in {where}: {pairs}')
        return names
    if is_named:
        raise ValueError(
            f'class_names must be one name for each class number of {where}, {show(values)}, in '
            f'this order, got {len(given)} for {len(values)}: {show(given)}'
        )
    unknown = [value for value in values if value in needed and value not in given]
    raise ValueError(
        f'{where} holds {show([*map(repr, unknown)])}, which class_names lack: '
        f'{show([*map(repr, given)])}; name all values as they are written{hint(unknown, given)}'
    )


def warn_of_lookalikes(values: Sequence[str], *, where: str) -> None:
    """Name values that differ in nothing but case, spaces or leading zeros."""
    alike: dict[str, list[str]] = {}
    for value in values:
        alike.setdefault(plain(value), []).append(value)
    if twice := [' and '.join(map(repr, group)) for group in alike.values() if len(group) > 1]:
        rank_zero_warn(
            f'{where} holds values that look alike, each a class of its own: {show(twice)}; spell '
            'them alike, or pass class_names with both'
        )


def plain(value: str) -> str:
    """Write a value without what a reader overlooks."""
    if NUMBER.fullmatch(value):
        return str(int(value))
    return ' '.join(unicodedata.normalize('NFKC', value).casefold().split())


def hint(unknown: Sequence[str], given: Sequence[str]) -> str:
    """Point at the first value that a name nearly is."""
    known = {plain(name): name for name in given}
    for value in unknown:
        if plain(value) in known:
            return f' ({value!r} is not {known[plain(value)]!r})'
    return ''
