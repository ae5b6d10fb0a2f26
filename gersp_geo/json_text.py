"""What a command found, as one object of JSON."""

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def to_json(found: object) -> str:
    r"""Write what was found in one line.

    Args:
        found: A dataclass, whose fields are written by their names without those that its ``repr``
            leaves out; or what gives its own content by ``as_record()`` or ``to_dict()``.

    Returns:
        JSON in ASCII, which every terminal and file takes, and in which a path whose bytes are no
        text has the escapes (``\udcff`` for 0xff) that ``os.fsencode`` turns back into bytes. A
        number that is not finite is null, and what JSON has no word for, such as a path, is text.
    """
    return json.dumps(plain(found), allow_nan=False)


def plain(value: Any) -> Any:
    """Turn a value, and all in it, into what JSON has words for."""
    if isinstance(value, float):
        # those of NumPy, too, which are floats
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    # the last is of arrays, tensors and their numbers
    for name in ('as_record', 'to_dict', 'tolist'):
        if hasattr(value, name):
            return plain(getattr(value, name)())
    if is_dataclass(value):
        return {
            field.name: plain(getattr(value, field.name)) for field in fields(value) if field.repr
        }
    if isinstance(value, Mapping):
        return {str(key): plain(content) for key, content in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    return str(value)
