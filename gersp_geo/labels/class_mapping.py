"""Classes as a user writes them: a name, and the values that are this class."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..messages import name_some
from .sources import IGNORE

type ClassValue = int | float | str
"""A number, a text, or a colour as '#rrggbb'."""

type ClassValues = ClassValue | Sequence[ClassValue | Sequence[int]]
"""One value or several; a colour may be [red, green, blue]."""

type Classes = Mapping[str, ClassValues]

IGNORED = -1
"""Stands for the class of a value that is to label nothing."""

# nobody would read more values in a message
show = partial(name_some, most=6)

COLOR = re.compile(r'#([0-9a-fA-F]{6})')


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassMapping[Key: (int, str)]:
    """Which class each value is."""

    names: tuple[str, ...]
    """Names of the classes 0, 1, ..."""

    numbers: dict[Key, int]
    """Class of each value; :data:`IGNORED` where it is to label nothing."""

    def first(self) -> list[Key]:
        """List one value of each class: the first."""
        by_class: dict[int, Key] = {}
        for key, number in self.numbers.items():
            by_class.setdefault(number, key)
        return [by_class[number] for number in range(len(self.names))]


def map_classes[Key: (int, str)](
    classes: Classes, ignore: Sequence[Any], *, read: Callable[[Any], Key], colors: bool = False
) -> ClassMapping[Key]:
    """Say which class each value is.

    Args:
        classes: Name to value or values, in the order of the classes.
        ignore: Values that label nothing.
        read: Brings one value to the form in which values are compared, or raises ``ValueError``.
        colors: Whether three whole numbers are one colour rather than three values.

    Raises:
        ValueError: If there is no class or too many, a class has no value, a value is none, or
            belongs to two.
    """
    if not 0 < len(classes) <= IGNORE:
        raise ValueError(f'classes must name 1 to {IGNORE} classes, got {len(classes)}')
    numbers: dict[Key, int] = {}
    named = [*classes.items(), ('ignore', ignore)]
    owners: dict[Key, str] = {}
    for number, (name, values) in enumerate(named):
        listed = _list(values, colors=colors)
        if not listed and number < len(classes):
            raise ValueError(f'classes must give each class a value, got none for {name!r}')
        for key in dict.fromkeys(map(read, listed)):
            if key in owners:
                raise ValueError(
                    f'a value belongs to one class, got {show_value(values, key, read)} for both '
                    f'{owners[key]!r} and {name!r}; leave it at one of them'
                )
            owners[key] = name
            numbers[key] = number if number < len(classes) else IGNORED
    return ClassMapping(names=tuple(map(str, classes)), numbers=numbers)


def _list(values: Any, *, colors: bool) -> list[Any]:
    """Make a list of one value or several."""
    if isinstance(values, str) or not isinstance(values, Sequence):
        return [values]
    is_color = len(values) == 3 and all(isinstance(value, int) for value in values)
    return [values] if colors and is_color else list(values)


def show_value(values: Any, key: Any, read: Callable[[Any], Any]) -> str:
    """Write a value as the user did."""
    listed = _list(values, colors=False)
    for value in listed:
        try:
            if read(value) == key:
                return repr(value)
        except ValueError:
            continue
    return repr(values)


def read_number(value: Any) -> int:
    """Read a whole number.

    Raises:
        ValueError: If it is none.
    """
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or isinstance(value, bool) or (number != value and str(number) != value):
        raise ValueError(
            f'values of masks of one band are whole numbers, got {value!r}; colours such as '
            "'#3c1098' are for masks of red, green and blue, or with a colour table"
        )
    return number


def read_color(value: Any) -> int:
    """Read a colour as one number, 65536 red + 256 green + blue.

    Raises:
        ValueError: If it is none.
    """
    if isinstance(value, str) and (found := COLOR.fullmatch(value)):
        return int(found[1], 16)
    is_three = isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 3
    if is_three and all(type(part) is int and 0 <= part <= 255 for part in value):
        red, green, blue = value
        return int(red << 16 | green << 8 | blue)
    raise ValueError(
        "colours of masks are written '#rrggbb' (in quotes) or [red, green, blue] of 0 to 255, got "
        f'{value!r}'
    )


def read_text(value: Any) -> str:
    """Write a value as :func:`~gersp_geo.geoio.vector.attribute_texts` does."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def write_color(number: int) -> str:
    """Write a colour that :func:`read_color` read."""
    return f'#{number:06x}'


def split_color(number: int) -> tuple[int, int, int]:
    """Split a colour into red, green and blue."""
    return number >> 16, number >> 8 & 255, number & 255
