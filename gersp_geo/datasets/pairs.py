"""Which files show one place at several dates, by their names."""

import os
import re
from collections.abc import Sequence

import numpy as np


def group_dates(files: Sequence[str], regex: str) -> list[list[int]]:
    """Find the files of the same place.

    Args:
        files: Paths.
        regex: Of file names, in Python's verbose syntax, with a group ``date``. What is left of a
            path without its date names the place.

    Returns:
        Per file: the numbers of all files of its place, itself included, ascending.

    Raises:
        ValueError: If the pattern has no such group, or a place has one date only.
    """
    pattern = re.compile(regex, re.VERBOSE)
    if 'date' not in pattern.groupindex:
        raise ValueError(
            f'two dates need a filename_regex with a group (?P<date>...), got {regex!r}'
        )
    places: list[tuple[str, str]] = []
    groups: dict[tuple[str, str], list[int]] = {}
    for number, file in enumerate(files):
        folder, name = os.path.split(file)
        match = pattern.match(name)
        if match is None:
            raise ValueError(f'{file} does not match filename_regex {regex!r}')
        start, stop = match.span('date')
        places.append((folder, name[:start] + name[stop:]))
        groups.setdefault(places[-1], []).append(number)
    for numbers in groups.values():
        if len(numbers) < 2:
            raise ValueError(
                f'{files[numbers[0]]} is the only date of its place; two dates need a second file '
                'whose name differs in the date alone'
            )
    return [groups[place] for place in places]


def choose_date(numbers: Sequence[int], tile: int, *, place: tuple[int, int, int]) -> int:
    """Draw another date of the same place.

    Args:
        numbers: Files of the place, at least two.
        tile: The one that is not drawn.
        place: Seed, pass and index; the same ones give the same date.
    """
    others = [number for number in numbers if number != tile]
    if len(others) == 1:
        return others[0]
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(place)))
    return others[int(generator.integers(len(others)))]
