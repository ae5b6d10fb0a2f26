"""Values of attributes as text, whatever type a file or pandas gives them."""

from datetime import date, time
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas

# from here on, floats leave whole numbers out
_EXACT = 2**53


def attribute_texts(values: pandas.Series) -> list[str | None]:
    """Write the values of an attribute as text.

    Args:
        values: Text, numbers, truth values or dates, some of which may be missing. pandas turns
            integers beside missing ones into floats: whole numbers are written without point.

    Returns:
        One per value; None for what is missing, not a number, or blank.

    Raises:
        ValueError: If a value is of another type, or a whole number that a float cannot tell from
            its neighbours.
    """
    return [_text(value, values.name) for value in values.astype(object)]


def _text(value: Any, attribute: object) -> str | None:
    """Write one value."""
    # of what has several elements, isna() gives several answers
    if np.ndim(value) == 0 and pandas.isna(value):
        return None
    match value:
        case str():
            return value if value.strip() else None
        case bool() | np.bool_():
            return str(bool(value))
        case Integral():
            return str(int(value))
        case Real():
            number = float(value)
            if not number.is_integer():
                return str(number)
            if abs(number) >= _EXACT:
                raise ValueError(
                    f'{attribute!r} holds {number:.0f} as a float, which cannot tell it from its '
                    'neighbours; write such numbers as text'
                )
            return str(int(number))
        case date() | time():
            return str(value)
    raise ValueError(
        f'{attribute!r} must hold text or numbers, got {type(value).__name__}: {str(value)[:40]}'
    )
