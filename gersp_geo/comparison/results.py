"""The table of what was found: a row per candidate and protocol, which the same command goes on from.

``results.csv`` is for people and other programs; predictions and the draws of few-shot lie beside it,
in ``predictions/``, under the key of their row.
"""

import csv
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any, cast, get_args
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ..geoio.write import new_file, write_csv
from .records import Candidate, Finding, FirstLayer, Interval, Protocol

try:
    import fcntl
except ImportError:  # not on Windows: there, one process at a time may write to a folder
    fcntl = None  # type: ignore[assignment]

NAME = 'results.csv'

# what a figure follows from, besides the candidate; each is a column, empty where it has no part
DECISIVE = (
    'data_digest', 'size', 'bands', 'rgb_bands', 'normalization', 'random_seed', 'k', 'draws',
    'resamples', 'epochs', 'lrs', 'batch_size', 'definition',
)  # fmt: skip
# what is told of it besides
TOLD = ('data', 'classes', 'n_train', 'n_val', 'n_test', 'gersp_geo', 'torch', 'timm', 'seconds')

_FOUND = ('accuracy', 'low', 'high', 'chosen', 'published')
_OF_CANDIDATE = ('label', 'source', 'seed', 'first_layer', 'weights_digest')
COLUMNS = ('label', 'source', 'seed', 'first_layer', 'protocol', 'labels_per_class', *_FOUND,
           *TOLD, *DECISIVE, 'weights_digest', 'key')  # fmt: skip

type Row = dict[str, str]
type Arrays = tuple[NDArray[np.float64], NDArray[np.int64]]
"""Accuracies of draws, and predictions."""


def row_key(
    candidate: Candidate,
    protocol: Protocol,
    labels_per_class: int | None,
    settings: Mapping[str, str],
) -> str:
    """Name a row by all that its figure follows from: 16 hexadecimal digits.

    What the candidate is called is no part of it. Its seed is where it draws something: what
    fine-tuning begins with, or a first layer.

    Args:
        candidate: What is judged.
        protocol: How.
        labels_per_class: Of few-shot.
        settings: At least :data:`DECISIVE`, '' for those without a part.
    """
    shares = '' if labels_per_class is None else str(labels_per_class)
    is_drawn = protocol == 'finetune' or candidate.first_layer == 'random'
    seed = str(candidate.seed) if is_drawn else ''
    parts = [candidate.digest, candidate.first_layer, seed, protocol, shares]
    parts += [settings[name] for name in DECISIVE]
    return sha256('\0'.join(parts).encode()).hexdigest()[:16]


class ResultsTable:
    """``results.csv`` of a folder, which several processes may add to."""

    def __init__(self, folder: Path) -> None:
        """Initialize a new ResultsTable instance.

        Args:
            folder: Of the table; need not exist.

        Raises:
            ValueError: If the file there is not such a table, or damaged.
        """
        self.folder, self.path = folder, folder / NAME
        self._rows = _read(self.path)

    def find(
        self,
        candidate: Candidate,
        protocol: Protocol,
        labels_per_class: int | None,
        settings: Mapping[str, str],
    ) -> Finding | None:
        """Look up what was found before with the same weights, data and settings.

        The row takes over what the candidate is called now.

        Returns:
            None if there is no row, or its predictions are missing or damaged.
        """
        key = row_key(candidate, protocol, labels_per_class, settings)
        if key not in self._rows or (arrays := self._read_arrays(key)) is None:
            return None
        row = self._rows[key]
        finding = _to_finding(row, candidate, arrays)
        if any(row[name] != text for name, text in _describe(candidate).items()):
            self._write(key, row | _describe(candidate))
        return finding

    def list_all(self) -> list[Finding]:
        """Read every row whose predictions are there, in the order of the file."""
        return [
            replace(_to_finding(row, _candidate(row), arrays), published=row['published'])
            for key, row in self._rows.items()
            if (arrays := self._read_arrays(key)) is not None
        ]

    def add(self, finding: Finding) -> None:
        """Write down a finding: its predictions first, so that a row is never without them.

        Raises:
            OSError: If there is no room.
            ValueError: If somebody has damaged the table in the meantime.
        """
        key = row_key(
            finding.candidate, finding.protocol, finding.labels_per_class, finding.settings
        )
        with new_file(self._arrays(key), overwrite=True) as temporary:
            np.savez_compressed(
                temporary,
                draws=np.asarray(finding.draws, dtype=np.float64),
                predictions=np.asarray(finding.predictions, dtype=np.int64),
            )
        self._write(key, _to_row(finding, key))

    def publish(self, finding: Finding) -> None:
        """Write the published value of a finding into its row."""
        key = row_key(
            finding.candidate, finding.protocol, finding.labels_per_class, finding.settings
        )
        if self._rows[key]['published'] != finding.published:
            self._write(key, self._rows[key] | {'published': finding.published})

    def _write(self, key: str, row: Row) -> None:
        """Put a row into the file as it is now, in place of an older one of the same key."""
        with _locked(self.folder):
            self._rows = _read(self.path) | {key: row}
            cells = [[row[name] for name in COLUMNS] for row in self._rows.values()]
            write_csv(self.path, [COLUMNS, *cells], overwrite=True)

    def _arrays(self, key: str) -> Path:
        """Name the file of the predictions of a row."""
        return self.folder / 'predictions' / f'{key}.npz'

    def _read_arrays(self, key: str) -> Arrays | None:
        """Read draws and predictions of a row; None if that is not possible."""
        arrays = read_arrays(self._arrays(key), 'draws', 'predictions')
        return None if arrays is None else (arrays[0], arrays[1])


def read_arrays(path: Path, *names: str) -> list[NDArray[Any]] | None:
    """Read arrays that NumPy has compressed; None if they are not there, or damaged."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return [arrays[name] for name in names]
    # what a wrong byte leads to depends on where it is
    except (OSError, EOFError, KeyError, ValueError, RuntimeError, BadZipFile, zlib.error):
        return None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time write."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / '.results.lock').open('ab') as stream:
        if fcntl is not None:
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _describe(candidate: Candidate) -> Row:
    """Write a candidate as cells."""
    cells = {name: str(value) for name, value in asdict(candidate).items()}
    return {name: cells['digest' if name == 'weights_digest' else name] for name in _OF_CANDIDATE}


def _to_row(finding: Finding, key: str) -> Row:
    """Write a finding as cells."""
    shares = finding.labels_per_class
    return {
        **_describe(finding.candidate),
        **{name: finding.settings[name] for name in (*TOLD, *DECISIVE)},
        'protocol': finding.protocol,
        'labels_per_class': '' if shares is None else str(shares),
        'accuracy': repr(finding.accuracy.value),
        'low': repr(finding.accuracy.low),
        'high': repr(finding.accuracy.high),
        'published': finding.published,
        'chosen': ' '.join(f'{name}={value!r}' for name, value in finding.chosen.items()),
        'key': key,
    }


def _to_finding(row: Row, candidate: Candidate, arrays: Arrays) -> Finding:
    """Read a row; *candidate* is what it is called now."""
    draws, predictions = arrays
    value, low, high = (float(row[name]) for name in ('accuracy', 'low', 'high'))
    return Finding(
        candidate=candidate,
        protocol=cast(Protocol, row['protocol']),
        labels_per_class=int(row['labels_per_class']) if row['labels_per_class'] else None,
        accuracy=Interval(value=value, low=low, high=high),
        draws=tuple(draws.tolist()),
        chosen=_parse_chosen(row['chosen']),
        settings={name: row[name] for name in (*TOLD, *DECISIVE)},
        predictions=tuple(predictions.tolist()),
    )


def _parse_chosen(text: str) -> dict[str, float]:
    """Read 'C=0.1 epoch=3.0'."""
    pairs = (word.partition('=') for word in text.split())
    return {name: float(value) for name, _, value in pairs}


def _read(path: Path) -> dict[str, Row]:
    """Read all rows by their keys; none where there is no file.

    Raises:
        ValueError: If it is not such a table, or damaged.
    """
    if not path.exists():
        return {}
    try:
        # spreadsheets write a mark of the encoding first
        text = path.read_text(encoding='utf-8-sig')
        head, *lines = csv.reader(StringIO(text, newline=''), strict=True) if text else [()]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f'{path} is no table of this command ({error}); pass another folder (-o)'
        ) from error
    if tuple(head) != COLUMNS:
        missing = [name for name in COLUMNS if name not in head]
        fault = f'it has no column {missing[0]!r}' if missing else 'its columns are others'
        raise ValueError(f'{path} is no table of this command ({fault}); pass another folder (-o)')
    rows: dict[str, Row] = {}
    for number, cells in enumerate(lines, 2):
        if fault := _find_fault(cells):
            raise ValueError(
                f'{path} is damaged: {fault} in row {number}; take that row out, or pass another '
                'folder (-o)'
            )
        row = dict(zip(COLUMNS, cells, strict=True))
        rows[row['key']] = row
    return rows


def _find_fault(cells: Sequence[str]) -> str:
    """Say what is wrong with a row; '' if nothing is."""
    if len(cells) != len(COLUMNS):
        return f'{len(cells)} cells instead of {len(COLUMNS)}'
    row = dict(zip(COLUMNS, cells, strict=True))
    try:
        accuracy, low, high = (float(row[name]) for name in ('accuracy', 'low', 'high'))
        shares = int(row['labels_per_class']) if row['labels_per_class'] else None
        candidate = _candidate(row)
        _parse_chosen(row['chosen'])
    except ValueError as error:
        return str(error)
    if not (0 <= accuracy <= 1 and math.isfinite(low) and math.isfinite(high)):
        return f'accuracy {row["accuracy"]} ({row["low"]} to {row["high"]})'
    if row['protocol'] not in get_args(Protocol.__value__):
        return f'protocol {row["protocol"]!r}'
    if row['key'] != row_key(candidate, cast(Protocol, row['protocol']), shares, row):
        return f'key {row["key"]!r}, which is not that of the other cells,'
    return ''


def _candidate(row: Row) -> Candidate:
    """Read the candidate of a row."""
    return Candidate(
        label=row['label'],
        source=row['source'],
        seed=int(row['seed']),
        digest=row['weights_digest'],
        first_layer=cast(FirstLayer, row['first_layer']),
    )
