"""Which images train, validate and test: by a table, by folders, or drawn by a seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas
from numpy.typing import NDArray

from ..datamodules.stratified_split import split_strata
from ..labels.objects.csv_rows import read_table
from ..labels.objects.matching import ImageNames
from ..labels.patch_classes.folders import mark_folders
from ..labels.patch_classes.marks import Marks, mark_texts
from ..labels.patch_classes.tables import IMAGE_COLUMNS, LABEL_COLUMNS, choose, per_image
from ..messages import name_some
from .records import SplitName

SPLITS: tuple[SplitName, ...] = ('train', 'val', 'test')

# what splits are called, in lower case
WORDS: dict[str, SplitName] = {
    'train': 'train', 'training': 'train', 'trn': 'train',
    'val': 'val', 'valid': 'val', 'validation': 'val', 'dev': 'val', 'eval': 'val',
    'evaluation': 'val',
    'test': 'test', 'testing': 'test', 'tst': 'test',
}  # fmt: skip
SPLIT_COLUMNS = ('split', 'set', 'subset', 'partition')

# shares of validation and test where nobody says which image is which
SHARE = 0.15


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assignment:
    """Class and split of each of some images."""

    classes: tuple[str, ...]
    """Names of the classes 0, 1, ..."""

    labels: NDArray[np.int64]
    """Class of each image, -1 for none."""

    splits: NDArray[np.int64]
    """Place in :data:`SPLITS` of each image, -1 for none."""

    note: str
    """Where the split comes from, as a sentence."""

    warnings: tuple[str, ...] = ()
    """What the user should know, a sentence each."""


def assign(
    files: Sequence[str],
    names: Sequence[str],
    folder: Path,
    *,
    table: Path | None,
    contents: Sequence[str],
    seed: int,
) -> Assignment:
    """Find class and split of each image.

    Args:
        files: Paths of the images.
        names: Their paths inside the folder, with / between their parts.
        folder: Where they lie.
        table: CSV that names images and their splits; None goes by folders.
        contents: Digest of each file; a drawn split keeps equal files together.
        seed: Draws a split where neither table nor folders tell.

    Raises:
        ValueError: If classes or splits do not tell, or no image trains or tests.
    """
    if table is not None:
        found = by_table(files, names, folder, table)
    elif folders := find_folders(names):
        found = by_folders(files, names, folder, folders)
    else:
        found = by_seed(files, names, folder, contents, seed=seed)
    for place, needed in ((0, 'trains'), (2, 'tests')):
        if not (found.splits == place).any():
            raise ValueError(
                f'{table or folder}: no image {needed}; one of its splits must be called '
                f'{SPLITS[place]}'
            )
    return found


def by_table(files: Sequence[str], names: Sequence[str], folder: Path, table: Path) -> Assignment:
    """Read splits, and classes where it has them, from a CSV; see :func:`assign`."""
    source, (rows, attribute) = str(table), _read_rows(table)
    wanted = pandas.unique(rows['image']).tolist()
    found = ImageNames(names).match(wanted, source=source)
    if not found:
        raise ValueError(
            f'none of the {len(wanted)} images that {source} names is in {folder}: it names '
            f'{name_some(wanted, most=3)}, and there is {files[0]}'
        )
    places = np.array([found.get(key, -1) for key in rows['image']], dtype=np.int64)
    splits = _read_splits(rows['split'], places, files, source=source)
    told: list[str] = []
    if absent := [name for name in wanted if name not in found]:
        told.append(
            f'{len(absent)} of the {len(wanted)} images that {source} names are not in {folder}: '
            f'{name_some(absent, most=3)}'
        )
    if idle := int((splits < 0).sum()):
        example = files[int((splits < 0).argmax())]
        told.append(
            f'{idle} of the {len(files)} images in {folder} are in no split of {source} and are '
            f'left out, one is {example}'
        )
    labels = np.full(len(files), -1, dtype=np.int64)
    if attribute is None:
        # what the table leaves out may lie anywhere
        used = np.flatnonzero(splits >= 0) if (splits >= 0).any() else np.arange(len(files))
        chosen = [files[i] for i in used.tolist()]
        marks = mark_folders(chosen, folder, splits=find_folders(names), given=())
        labels[used] = _numbers(marks)
    else:
        texts = mark_texts(
            rows['label'].tolist(), places >= 0, (), attribute=attribute, source=source,
            separator=None,
        )  # fmt: skip
        marks = per_image(texts, places, files, file=source, single=True)
        labels = _numbers(marks)
        told += _compare(marks, files, folder, source=source)
    if (nameless := (splits >= 0) & (labels < 0)).any():
        told.append(
            f'{int(nameless.sum())} images of a split have no class in {source} and are left out, one '
            f'is {files[int(nameless.argmax())]}'
        )
    splits = np.where(labels < 0, -1, splits)
    return _without_idle(
        marks.class_names, labels, splits, f'The split is that of {table.name}.', told
    )


def _read_rows(table: Path) -> tuple[pandas.DataFrame, str | None]:
    """Read a CSV as the columns image, split and label of text, and what it calls the last one."""
    if not table.is_file():
        raise FileNotFoundError(f'no file {table}; give the table of the split')
    source = str(table)
    rows = read_table(source)
    rows = rows[(rows != '').any(axis=1)].reset_index(drop=True)
    columns = {
        what: choose(rows, None, usual, file=source, what=what)
        for what, usual in (
            ('image', IMAGE_COLUMNS), ('label', LABEL_COLUMNS), ('split', SPLIT_COLUMNS)
        )
    }  # fmt: skip
    if missing := [what for what in ('image', 'split') if columns[what] is None]:
        raise ValueError(
            f'{source} has no column for {" and ".join(missing)}, only '
            f'{name_some([*rows.columns])}; call them filename and split'
        )
    named = pandas.DataFrame({what: rows[name] for what, name in columns.items() if name})
    for what in ('image', 'split'):
        named[what] = named[what].str.strip()
    if (named['image'] == '').any():
        raise ValueError(f'each row of {source} must name its image, got an empty one')
    return named, columns['label']


def _read_splits(
    words: 'pandas.Series[str]', places: NDArray[np.int64], files: Sequence[str], *, source: str
) -> NDArray[np.int64]:
    """Turn the words of rows into the split of each image; one in two splits is refused."""
    lower = words.str.lower()
    unknown = sorted({word for word in words[~lower.isin([*WORDS, ''])]})
    if unknown:
        raise ValueError(
            f'{source} has the splits {name_some(unknown)}; they must be train, val and test'
        )
    of = np.full(len(files), -1, dtype=np.int64)
    for place, word in zip(places.tolist(), lower, strict=True):
        if place < 0 or not word:
            continue
        split = SPLITS.index(WORDS[word])
        if of[place] not in (-1, split):
            raise ValueError(
                f'an image is in one split, {files[place]} is in {SPLITS[of[place]]} and '
                f'{SPLITS[split]} of {source}; keep one row'
            )
        of[place] = split
    return of


def find_folders(names: Sequence[str]) -> dict[str, str]:
    """Find folders of splits above or below those of classes, by the paths of images.

    Returns:
        Each such name under itself; empty where names of training and another split are not there.
    """
    parts = [name.split('/')[:-1] for name in names]
    for depth in (0, 1):
        words = {part[depth] for part in parts if len(part) > depth}
        known = {name: WORDS[name.lower()] for name in words if name.lower() in WORDS}
        if len(set(known.values())) > 1 and (depth == 0 or len(known) == len(words)):
            return {name: name for name in sorted(known)}
    return {}


def by_folders(
    files: Sequence[str], names: Sequence[str], folder: Path, folders: Mapping[str, str]
) -> Assignment:
    """Take splits from folders above or below those of the classes; see :func:`assign`."""
    splits = np.full(len(files), -1, dtype=np.int64)
    for number, name in enumerate(names):
        word = next((part for part in name.split('/')[:-1][:2] if part in folders), None)
        splits[number] = -1 if word is None else SPLITS.index(WORDS[word.lower()])
    used = np.flatnonzero(splits >= 0)
    marks = mark_folders([files[i] for i in used.tolist()], folder, splits=folders, given=())
    labels = np.full(len(files), -1, dtype=np.int64)
    labels[used] = _numbers(marks)
    told: list[str] = []
    if idle := len(files) - len(used):
        told.append(
            f'{idle} of {len(files)} images lie in none of the folders {name_some([*folders])} and '
            f'are left out, one is {files[int((splits < 0).argmax())]}'
        )
    note = f'The split is that of the folders {name_some([*folders])}.'
    return _without_idle(marks.class_names, labels, splits, note, told)


def by_seed(
    files: Sequence[str], names: Sequence[str], folder: Path, contents: Sequence[str], *, seed: int
) -> Assignment:
    """Draw a share of each class; equal files go together. See :func:`assign`."""
    marks = mark_folders(files, folder, splits={}, given=())
    numbers = {content: number for number, content in enumerate(dict.fromkeys(contents))}
    drawn = split_strata(
        marks.flags.astype(np.int64),
        parcels=[numbers[content] for content in contents],
        val_split=SHARE,
        test_split=SHARE,
        seed=seed,
    )
    splits = np.full(len(files), -1, dtype=np.int64)
    for place, name in enumerate(SPLITS):
        splits[list(getattr(drawn, name))] = place
    note = (
        f'The split is drawn by seed {seed}: about 70 % of each class train, 15 % validate, 15 % test; '
        'no published value has it.'
    )
    return _without_idle(marks.class_names, _numbers(marks), splits, note, _doubt_classes(names))


def _doubt_classes(names: Sequence[str]) -> list[str]:
    """Say where folders hold folders of the same names each, which are rather the classes."""
    inner: dict[str, set[str]] = {}
    for name in names:
        # '' for an image that lies in no folder below
        outer, *more = name.split('/')[:-1]
        inner.setdefault(outer, set()).add(more[0] if more else '')
    shared = set.intersection(*inner.values()) if len(inner) > 1 else set()
    if len(shared) < 2 or '' in set.union(*inner.values()):
        return []
    text = (
        f'the folders {name_some(sorted(inner))} are taken for the classes, and each of them holds '
        f'{name_some(sorted(shared))}; if those are the classes, call the outer folders train, val '
        'and test, or pass a table (--split)'
    )
    return [text]


def _numbers(marks: Marks) -> NDArray[np.int64]:
    """Number the class of each image, -1 for none."""
    return np.where(marks.known, marks.flags.argmax(axis=1), -1).astype(np.int64)


def _compare(marks: Marks, files: Sequence[str], folder: Path, *, source: str) -> list[str]:
    """Say where a table calls images otherwise than their folders, if it uses the same names."""
    names = [Path(file).parent.name for file in files]
    own = [marks.class_names[i] if i >= 0 else None for i in _numbers(marks)]
    if not set(marks.class_names) <= set(names):
        return []
    other = [
        (file, name, label)
        for file, name, label in zip(files, names, own, strict=True)
        if label is not None and name != label
    ]
    if not other:
        return []
    file, _, label = other[0]
    text = (
        f'{len(other)} images lie in the folder of another class than {source} says, which is '
        f'believed: {file} is {label}'
    )
    return [text]


def _without_idle(
    classes: Sequence[str],
    labels: NDArray[np.int64],
    splits: NDArray[np.int64],
    note: str,
    told: Sequence[str],
) -> Assignment:
    """Leave out classes of no image in any split, and say which are not trained."""
    used = sorted(set(labels[(splits >= 0) & (labels >= 0)].tolist()))
    numbers = np.full(len(classes) + 1, -1, dtype=np.int64)
    numbers[used] = np.arange(len(used))
    renumbered = numbers[labels]
    trained = set(renumbered[splits == 0].tolist())
    lacking = [classes[old] for new, old in enumerate(used) if new not in trained]
    more = (
        [
            # notes begin with a capital letter, which is not to be that of a class
            f'no image of {name_some(lacking)} trains, so that few or none of theirs can be right'
        ]
        if lacking
        else []
    )
    return Assignment(
        classes=tuple(classes[i] for i in used),
        labels=renumbered,
        splits=splits,
        note=note,
        warnings=(*told, *more),
    )
