"""The record of how file values become the input of a model, and of what its output means."""

import math
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from numbers import Real
from typing import Any, Self

CHANGE_CLASSES = ('no change', 'change')
"""Classes of a model that compares two dates and returns one logit, where nothing names them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """How the values of a file become the input of a model, and what its output means.

    For band *b*, the model sees ``(value * scale[b] - mean[b]) / std[b]``; of two dates, in both.
    The record travels inside checkpoints as plain dictionaries and lists, so that
    ``weights_only=True`` reads it.
    """

    bands: tuple[str, ...]
    """Names of the input bands, in the model's order."""

    scale: tuple[float, ...]
    """Per band: the factor from file values to the unit of *mean* and *std*."""

    mean: tuple[float, ...]
    """Per band: subtracted after scaling."""

    std: tuple[float, ...]
    """Per band: divides after subtracting; > 0."""

    dtype: str | None = None
    """NumPy type of the file values that *scale* belongs to, where it is known."""

    size: int | None = None
    """Side of the training patches in pixels."""

    res_m: float | None = None
    """Ground resolution of the training images in metres per pixel."""

    nodata: float | None = None
    """File value that means "no observation", where the files themselves do not say."""

    class_names: tuple[str, ...] = ()
    """Names of the output classes, in the order of the logits; of a regression, of its values."""

    class_colors: tuple[tuple[int, int, int], ...] = ()
    """Per class: red, green and blue, each in [0, 255]."""

    units: tuple[str, ...] = ()
    """Of a regression: the unit of each output."""

    value_range: tuple[float, ...] = ()
    """Of a regression: the lowest and the highest value that was learned from."""

    task_class: str | None = None
    """Import path of the task that the checkpoint belongs to."""

    def __post_init__(self) -> None:
        """Check that every per-band field has one value per band.

        Raises:
            ValueError: If lengths differ, or a value is not finite, or a standard deviation not
                positive.
        """
        for name in ('scale', 'mean', 'std'):
            values = getattr(self, name)
            if len(values) != len(self.bands):
                raise ValueError(
                    f'{name} must have one value per band ({len(self.bands)}), got {len(values)}'
                )
            if not all(_is_number(value) for value in values):
                raise ValueError(f'{name} must be finite numbers, got {_short(values)}')
        if not all(value > 0 for value in self.std):
            raise ValueError(f'std must be > 0 in every band, got {self.std}')
        if self.class_colors and len(self.class_colors) != len(self.class_names):
            raise ValueError(
                f'class_colors must have one colour per class ({len(self.class_names)}), '
                f'got {len(self.class_colors)}'
            )

    def to_dict(self) -> dict[str, Any]:
        """Convert to dictionaries, lists and numbers, as JSON and checkpoints hold them."""
        record = asdict(self)
        record['class_colors'] = [list(color) for color in self.class_colors]
        # what only a regression has is left out elsewhere, as former versions did not know it
        return {
            key: list(v) if isinstance(v, tuple) else v
            for key, v in record.items()
            if v or key not in ('units', 'value_range')
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Self:
        """Read what :meth:`to_dict` wrote.

        Raises:
            ValueError: If a required field is missing, a field is unknown, or a value is of another
                kind.
        """
        known = {field.name for field in fields(cls)}
        if unknown := set(record) - known:
            raise ValueError(
                f'preprocessing has unknown fields {_short(sorted(map(str, unknown)))}'
            )
        if missing := {'bands', 'scale', 'mean', 'std'} - set(record):
            raise ValueError(f'preprocessing lacks the fields {sorted(missing)}')
        _check_kinds(record)
        values: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in record.items()
        }
        values['class_colors'] = tuple(tuple(c) for c in record.get('class_colors', ()))
        return cls(**values)


def _is_number(value: object) -> bool:
    """Say whether a value is a finite number that a float can hold."""
    # a truth is a number to Python
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _is_text(value: object) -> bool:
    """Say whether a value is text that files can hold: GDAL and XML take no control characters."""
    return isinstance(value, str) and not any(
        unicodedata.category(c) in ('Cc', 'Cs') or c in '\ufffe\uffff' for c in value
    )


def _is_byte(value: object) -> bool:
    """Say whether a value is a whole number in [0, 255]."""
    return _is_number(value) and value in range(256)


def _is_color(value: object) -> bool:
    """Say whether a value is red, green and blue."""
    return isinstance(value, list | tuple) and len(value) == 3 and all(map(_is_byte, value))


def _is_list(value: object, kind: Callable[[object], bool]) -> bool:
    """Say whether a value is a list of values of one kind."""
    return isinstance(value, list | tuple) and all(map(kind, value))


# per field: what it must be, for messages, and whether a value is that
_KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    'bands': ('a list of at least one name', lambda v: _is_list(v, _is_text) and len(v) > 0),
    'scale': ('a list of finite numbers', lambda v: _is_list(v, _is_number)),
    'mean': ('a list of finite numbers', lambda v: _is_list(v, _is_number)),
    'std': ('a list of finite numbers', lambda v: _is_list(v, _is_number)),
    'dtype': ('the name of a type, or null', lambda v: v is None or _is_text(v)),
    'size': (
        'a whole number >= 1, or null',
        lambda v: v is None or (_is_number(v) and v >= 1 and v == int(v)),
    ),
    'res_m': ('a finite number, or null', lambda v: v is None or _is_number(v)),
    # NaN and infinities may be what a file has where there is nothing
    'nodata': (
        'a number, or null',
        lambda v: v is None or _is_number(v) or (isinstance(v, float) and not math.isfinite(v)),
    ),
    'class_names': ('a list of names', lambda v: _is_list(v, _is_text)),
    'class_colors': ('a list of [red, green, blue] in [0, 255]', lambda v: _is_list(v, _is_color)),
    'units': ('a list of texts', lambda v: _is_list(v, _is_text)),
    'value_range': (
        'a list of the lowest and the highest value',
        lambda v: _is_list(v, _is_number) and len(v) in (0, 2),
    ),
    'task_class': ('an import path, or null', lambda v: v is None or _is_text(v)),
}


def _check_kinds(record: Mapping[str, Any]) -> None:
    """Refuse a record with values of another kind than :meth:`Preprocessing.to_dict` writes."""
    for name, value in record.items():
        wanted, is_right = _KINDS[name]
        if not is_right(value):
            raise ValueError(f'{name} must be {wanted}, got {_short(value)}')


def _short(value: object) -> str:
    """Write a value in a few words."""
    try:
        text = repr(value)
    # RecursionError: brackets within brackets; ValueError: a number of thousands of digits
    except (RecursionError, ValueError):
        return type(value).__name__
    return text if len(text) <= _MOST_CHARACTERS else f'{text[:_MOST_CHARACTERS]}...'


_MOST_CHARACTERS = 80
