"""Figures as JSON and CSV: files that other programs read, whole or absent."""

import csv
import json
import math
from collections.abc import Iterable, Sequence
from os import PathLike

from .atomic import new_file


def finite_or_none(number: float) -> float | None:
    """Give None for a number that is not finite, which JSON has no word for."""
    return number if math.isfinite(number) else None


def write_json(path: str | PathLike[str], content: object, *, overwrite: bool = False) -> None:
    """Write JSON, in lines that can be compared.

    Args:
        path: The file.
        content: What JSON has words for; None for a figure that is not known.
        overwrite: Replace an existing file.

    Raises:
        FileExistsError: If the file exists and *overwrite* is False.
        ValueError: If a number is not finite.
    """
    with new_file(path, overwrite=overwrite) as temporary:
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + '\n', encoding='utf-8')


def write_csv(
    path: str | PathLike[str], rows: Iterable[Sequence[object]], *, overwrite: bool = False
) -> None:
    """Write a table.

    Args:
        path: The file.
        rows: Its cells, titles first; None is written as an empty cell.
        overwrite: Replace an existing file.

    Raises:
        FileExistsError: If the file exists and *overwrite* is False.
    """
    with (
        new_file(path, overwrite=overwrite) as temporary,
        temporary.open('w', encoding='utf-8', newline='') as file,
    ):
        csv.writer(file).writerows(rows)
