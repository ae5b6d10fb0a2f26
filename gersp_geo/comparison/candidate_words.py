"""Words of the user, told apart: what a candidate is called, and where its weights come from."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..models.remote_files import is_elsewhere

MEAN_COLORS = 'mean-colours'
STATISTICS = 'image-statistics'
RANDOM = 'random:'
TIMM = 'timm:'
LOCAL = 'local-dir:'


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateWord:
    """One word of the command."""

    text: str
    label: str | None
    """None where the user gave none."""

    source: str

    @property
    def name(self) -> str:
        """What tables call it: the label, else the name of the source, or the stem of its file."""
        if self.label is not None:
            return self.label
        # of the folder ., only the whole path has a name
        path = Path(os.path.abspath(self.source))
        return path.stem if path.is_file() else path.name if path.is_dir() else self.source


def parse_words(words: Sequence[str]) -> list[CandidateWord]:
    """Tell labels from sources, before anything of them is read.

    Raises:
        FileNotFoundError: If a source is neither a file, a folder nor a name that is known.
        ValueError: If there is no word, a word means two files, or labels do not tell.
    """
    if not words:
        raise ValueError('nothing to compare: give weights, random:resnet18 or mean-colours')
    parsed = [parse_word(word) for word in words]
    _check_labels(parsed)
    return parsed


def parse_word(text: str) -> CandidateWord:
    """Tell the label of a word from its source.

    Raises:
        FileNotFoundError: If the source is neither a file, a folder nor a name that is known.
        ValueError: If the word means two files, or its label is empty or not printable.
    """
    before, equals, after = text.partition('=')
    is_path = Path(text).exists()
    if equals and '/' not in before and is_path and Path(after).exists():
        raise ValueError(
            f'{text} is a file, and {after} with the label {before} is another; write ./{text}, or '
            'rename one'
        )
    has_label = bool(equals) and not is_path and '/' not in before
    label, source = (before.strip(), after) if has_label else (None, text)
    if label is not None and not (label and label.isprintable()):
        raise ValueError(f'a label is printable text before the =, got {text!r}')
    source = source.removeprefix(TIMM) if source.startswith(TIMM + LOCAL) else source
    source = source.removeprefix(LOCAL)
    if not (
        source in (MEAN_COLORS, STATISTICS)
        or source.startswith((RANDOM, TIMM))
        or '_Weights.' in source
        or is_elsewhere(source)
        or Path(source).exists()
    ):
        raise FileNotFoundError(
            f'{text}: there is no file or folder {source}, nor are these weights by name: '
            'GeRSP_Weights.RESNET50 and the like, hf-hub:ORG/NAME, an https URL, timm:NAME, '
            'random:NAME, mean-colours, image-statistics'
        )
    return CandidateWord(text=text, label=label, source=source)


def _check_labels(parsed: Sequence[CandidateWord]) -> None:
    """Refuse files that share a name by chance: nobody said that they are seeds of one method."""
    for word in parsed:
        if word.label is not None or not Path(word.source).exists():
            continue
        for other in parsed:
            if other.name == word.name and not _are_same(other.source, word.source):
                raise ValueError(
                    f'{word.source} and {other.source} would both be called {word.name!r}; write '
                    f'LABEL={word.source}, with one label for seeds of one method'
                )


def _are_same(one: str, other: str) -> bool:
    """Say whether two sources are one file or folder, or one name."""
    return one == other or (Path(other).exists() and Path(one).samefile(other))
