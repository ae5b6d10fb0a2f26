"""Read what options are given as text, and count what their defaults depend on."""

import os
import re

_UNITS = {'': 1, 'K': 2**10, 'M': 2**20, 'G': 2**30, 'T': 2**40}
_SIZE = re.compile(r'\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*', re.IGNORECASE)


def usable_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def parse_shard(shard: str) -> tuple[int, int]:
    """Read which share of a prediction is meant.

    Args:
        shard: Such as '0/3', the first of three.

    Returns:
        Number of the shard, from 0, and number of shards.

    Raises:
        ValueError: If it is none.
    """
    index, _, count = shard.partition('/')
    if index.isdecimal() and count.isdecimal() and int(index) < int(count):
        return int(index), int(count)
    raise ValueError(f"shard must be 'I/N' with I in [0, N), such as '0/3', got {shard!r}")


def parse_bytes(limit: int | str) -> int:
    """Read a number of bytes.

    Args:
        limit: A number, or text such as '1GiB', '512 MiB', '2G'; units are powers of 1024.

    Returns:
        Bytes, > 0.

    Raises:
        ValueError: If it is neither.
    """
    found = _SIZE.fullmatch(str(limit))
    count = int(float(found[1]) * _UNITS[found[2].upper()]) if found else 0
    if count < 1:
        raise ValueError(
            f"memory_limit must be a number of bytes or text such as '1GiB', got {limit!r}"
        )
    return count


def parse_number(name: str, value: int | str) -> int:
    """Take a number of pixels; any word but 'auto' is refused."""
    if isinstance(value, str):
        text = f"{name} must be a number of pixels or 'auto', got {value!r}"
        raise ValueError(text)  # noqa: TRY004 - the command says what a ValueError says
    return value
