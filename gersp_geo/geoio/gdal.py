"""Errors and messages of GDAL, and the memory that it takes."""

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import rasterio

# rasterio means to keep this class to itself, but WarpedVRT and rasterio.shutil.copy raise it
from rasterio._err import CPLE_BaseError as GDALError
from rasterio.env import get_gdal_config, set_gdal_config

from ..messages import one_line

__all__ = ('GDALError', 'enter_gdal', 'gdal_cache', 'gdal_messages')

# messages that differ in these are of one kind
_PLACE = re.compile(r'\d+')

# kinds that are told, and what all others are counted as
_MOST_KINDS, _OTHERS = 20, ''


def enter_gdal() -> None:
    """Take what GDAL says in this thread to rasterio; else GDAL writes it to the terminal itself.

    For the beginning of a thread: what is set here ends with it.
    """
    rasterio.Env().__enter__()


@contextmanager
def gdal_cache(size: int) -> Iterator[None]:
    """Bound the memory in which GDAL keeps decoded blocks, for the process.

    Args:
        size: Bytes.

    Yields:
        Nothing. The former bound holds again afterwards.
    """
    before = get_gdal_config('GDAL_CACHEMAX')
    with rasterio.Env(GDAL_CACHEMAX=size):
        try:
            yield
        finally:
            # Env forgets this one if it lies in another Env
            set_gdal_config('GDAL_CACHEMAX', before)


@contextmanager
def gdal_messages(write: Callable[[str], object]) -> Iterator[None]:
    """Tell what GDAL says within a block when it ends: once per kind, and how often.

    If the block fails, what it raises says what matters, and nothing else is told.

    Args:
        write: Takes one line without its end.

    Yields:
        Nothing.
    """
    logger, handler = logging.getLogger('rasterio'), _Counting(logging.WARNING)
    before, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        with rasterio.Env():
            yield
        for line in handler.lines():
            write(line)
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


class _Counting(logging.Handler):
    """Keeps the first message of each kind, and counts the others."""

    def __init__(self, level: int) -> None:
        """Set up."""
        super().__init__(level)
        self.first: dict[str, str] = {}
        self.counts: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a message."""
        text = one_line(record.getMessage())
        kind = _PLACE.sub('0', text)
        if kind not in self.first and len(self.first) == _MOST_KINDS:
            kind = _OTHERS
        self.first.setdefault(kind, text)
        self.counts[kind] += 1

    def lines(self) -> Iterator[str]:
        """Word each kind in a line."""
        for kind, text in self.first.items():
            count = self.counts[kind]
            yield text if count == 1 else f'{text} (and {count - 1:,} more messages of this kind)'
