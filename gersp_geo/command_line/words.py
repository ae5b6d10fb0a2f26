"""Words that stand for values, read."""

import argparse
from pathlib import Path

type Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001

STANDARD_OUTPUT = Path('-')
"""Where a file could be named."""


def named_number(text: str) -> tuple[str, float]:
    """Parse ``water=0.95``, or a number without a name."""
    name, _, number = text.rpartition('=')
    try:
        return name, float(number)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f'must be ACCURACY or CLASS=ACCURACY, got {text!r}'
        ) from error


def named_values(text: str) -> tuple[str, tuple[str, ...]]:
    """Parse ``water=1,2``."""
    name, _, values = text.rpartition('=')
    if not name or not values:
        raise argparse.ArgumentTypeError(f'must be CLASS=VALUE or CLASS=VALUE,VALUE, got {text!r}')
    return name, tuple(values.split(','))


def numbers(text: str) -> tuple[int, ...]:
    """Parse ``4,3,2``."""
    return tuple(int(word) for word in text.split(','))


def number_or_auto(text: str, *, least: int = 1) -> int | str:
    """Parse a whole number or ``auto``."""
    if text == 'auto':
        return text
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(
            f"must be a whole number >= {least}, or 'auto', got {text!r}"
        )
    return int(text)
