"""What the command says: results on stdout, and all else on stderr."""

import logging
import os
import re
import shutil
import sys
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from typing import Any

from ..json_text import to_json
from ..messages import one_line


@dataclass(frozen=True, slots=True)
class Made:
    """What a command made, where the function that it calls has no summary of its own."""

    text: str
    record: dict[str, Any]

    def __str__(self) -> str:
        """Give the text."""
        return self.text

    def as_record(self) -> dict[str, Any]:
        """Give what JSON shows."""
        return self.record


@contextmanager
def telling(*, as_json: bool) -> Iterator[None]:
    """Leave stdout to the result: what libraries print there on the way goes to stderr.

    Args:
        as_json: Whether a program reads it; people may read both in one.
    """
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        yield


def tell(found: object, *, as_json: bool) -> None:
    """Print what a command found.

    Args:
        found: As text, or as of :func:`.to_json`.
        as_json: For programs.
    """
    encoding = sys.stdout.encoding or 'utf-8'
    text = f'{to_json(found) if as_json else found}\n'
    # the name of a file may be no text, or of letters that a terminal lacks; the work is done, and
    # an error would deny it
    sys.stdout.write(text.encode(encoding, 'backslashreplace').decode(encoding))


def say(text: object) -> None:
    """Write a message: one line, that a terminal is given in lines of its width."""
    sys.stderr.write(lay_out(text))


def lay_out(text: object) -> str:
    """Lay out a message as :func:`say` writes it."""
    line = f'gersp-geo: {one_line(text)}'
    if sys.stderr.isatty():
        line = textwrap.fill(
            line, _width(), subsequent_indent='  ', break_long_words=False, break_on_hyphens=False
        )
    return f'{line}\n'


def _width() -> int:
    """Count the columns of the terminal."""
    try:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        columns = 0
    # some terminals know nothing of their width and say 0
    return columns or shutil.get_terminal_size().columns


def warn(text: str) -> None:
    """Write a warning."""
    say(f'warning: {text}')


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Show warnings as :func:`shorten_warnings` does, until the block ends."""
    usual = warnings.formatwarning
    with warnings.catch_warnings():
        shorten_warnings()
        # plan and summary say where a map lies
        warnings.filterwarnings('ignore', message='Dataset has no geotransform')
        try:
            yield
        finally:
            warnings.formatwarning = usual


def shorten_warnings() -> None:
    """Show a warning in one line; the place in our own code that warns is of no use to a user."""
    # not showwarning, which would take warnings away from who records them
    warnings.formatwarning = lambda message, *_, **__: lay_out(f'warning: {message}')


def quieten() -> None:
    """Hide messages that a user of the command can do nothing about."""
    shorten_warnings()
    # https://github.com/Lightning-AI/pytorch-lightning: uses a torch class on its way out
    warnings.filterwarnings('ignore', message='.*LeafSpec.*')
    # a few reader processes are a choice, not an oversight
    warnings.filterwarnings('ignore', message='.*does not have many workers.*')
    warnings.filterwarnings('ignore', message='.*exists and is not empty.*')
    # pictures have no place, and need none to be learned from
    warnings.filterwarnings('ignore', message='Dataset has no geotransform')
    # detectors check targets there, and data modules do nothing there
    warnings.filterwarnings('ignore', message='.*overridden .on_before_batch_transfer.*')
    # the words are checked here before LightningCLI sees them
    warnings.filterwarnings('ignore', message="LightningCLI's args parameter.*")
    advertisement = re.compile(r'try installing \[lit')
    for name in ('lightning.pytorch', 'lightning.pytorch.utilities.rank_zero'):
        logging.getLogger(name).addFilter(lambda r: not advertisement.search(r.getMessage()))
