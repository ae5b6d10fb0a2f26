"""What trainings leave behind: logged values, reports of validation and test, pictures, records."""

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from ..messages import one_line
from .charts import Curves

_LOG = 'metrics.csv'
# what tells the log of a run from a table of the same name in a report
_PLACES = ('step', 'epoch')


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training, validation or test, as its logger wrote it."""

    folder: Path
    """Of the logger."""

    logged: Curves = field(repr=False)
    """Steps and values, by name; values that are not finite are NaN or infinite."""

    epochs: int
    """So many were begun."""

    @property
    def steps(self) -> int:
        """The number of steps that were logged, at least."""
        last = [curve[0][-1] for curve in self.logged.values() if len(curve[0])]
        return int(max(last, default=-1)) + 1

    @property
    def is_training(self) -> bool:
        """Whether losses of a training are among what was logged."""
        return any('loss' in name and not name.startswith(('val', 'test')) for name in self.logged)

    def read_text(self, *names: str) -> tuple[str, str]:
        """Read the first of some files that is there: its name and its text, or nothing."""
        for name in names:
            with suppress(OSError):
                return name, (self.folder / name).read_text(encoding='utf-8', errors='replace')
        return '', ''

    def read_picture(self, name: str) -> bytes | None:
        """Read a picture; None where there is none."""
        with suppress(OSError):
            return (self.folder / name).read_bytes()
        return None

    def read_json(self, name: str) -> Mapping[str, Any]:
        """Read a table; empty where there is none.

        Raises:
            ValueError: If it is damaged.
        """
        path = self.folder / name
        if not path.is_file():
            return {}
        try:
            return dict(json.loads(path.read_text(encoding='utf-8')))
        except (TypeError, ValueError) as error:
            raise ValueError(f'{path} is not the table of a report: {one_line(error)}') from error


def find_runs(folder: str | PathLike[str]) -> tuple[list[Run], list[Path]]:
    """Find the newest training in a folder, and what was validated or tested after it.

    Args:
        folder: Of one run, or one that holds several, at any depth.

    Returns:
        The runs, oldest first, and the folders of those that are older.

    Raises:
        FileNotFoundError: If the folder does not exist, or holds no log.
        ValueError: If a log is damaged.
    """
    base = Path(folder)
    if not base.is_dir():
        raise FileNotFoundError(f'{base} is not a folder; pass the folder of a run')
    own = base / _LOG
    paths = [own] if is_log(own) else [path for path in base.rglob(_LOG) if is_log(path)]
    if not paths:
        raise FileNotFoundError(
            f'{base} holds no {_LOG} of a run, the only log that is read; train with '
            '--trainer.logger lightning.pytorch.loggers.CSVLogger'
        )
    # of equal times, version_10 after version_9
    paths.sort(key=lambda path: (path.stat().st_mtime, len(path.name), path))
    runs: list[Run] = []
    for path in reversed(paths):
        runs.insert(0, read_run(path))
        if runs[0].is_training:
            break
    return runs, [path.parent for path in paths[: len(paths) - len(runs)]]


def is_log(path: Path) -> bool:
    """Say whether a table is what a logger writes; a report names its own alike."""
    try:
        with path.open(encoding='utf-8', errors='replace') as file:
            names = file.readline().strip().split(',')
    except OSError:
        return False
    return any(place in names for place in _PLACES)


def read_run(log: Path) -> Run:
    """Read what a CSV logger wrote.

    Raises:
        ValueError: If the table is damaged.
    """
    import pandas as pd

    try:
        frame = pd.read_csv(log, encoding='utf-8', encoding_errors='replace')
    except ValueError as error:
        raise ValueError(f'{log} is not a log of a run: {one_line(error)}') from error
    numbers = frame.apply(pd.to_numeric, errors='coerce')
    # a run that was resumed may have logged steps again
    steps = numbers['step'] if 'step' in numbers else numbers['epoch']
    logged = {}
    for name in numbers.columns.difference(_PLACES, sort=False):
        # pandas has no other word for an empty cell
        known = frame[name].notna() & steps.notna()
        if known.any():
            logged[str(name)] = steps[known].tolist(), numbers.loc[known, name].tolist()
    last = numbers['epoch'].max() if 'epoch' in numbers else math.nan
    return Run(folder=log.parent, logged=logged, epochs=int(last) + 1 if math.isfinite(last) else 0)


def newest_checkpoint(folders: Sequence[Path]) -> Path | None:
    """Find the checkpoint that was written last in some folders; None where there is none."""
    found = {path for folder in folders for path in folder.rglob('*.ckpt') if path.is_file()}
    return max(found, key=lambda path: (path.stat().st_mtime, str(path)), default=None)
