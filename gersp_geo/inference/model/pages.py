"""Pages of memory that the C library keeps between batches, in place of new ones for each."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from ...shared_context import SharedContext

# of glibc's malloc.h
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3

# Smaller blocks than this are not given back to the system: those of one operation on a batch.
_KEPT = 2**30

# what glibc comes to by itself where large blocks are freed (DEFAULT_MMAP_THRESHOLD_MAX)
_USUAL = 32 * 2**20


@contextmanager
def _keeping_pages() -> Iterator[None]:
    """Let freed memory be used again, and give it back to the system at the end.

    glibc maps every block of more than 32 MiB anew, and the system clears each of its pages when it
    is first touched: that takes a quarter of the time of a U-Net on a CPU. Other C libraries are
    left as they are.

    Yields:
        Nothing.
    """
    library = _glibc()
    if library is None:
        yield
        return
    library.mallopt(_MMAP_THRESHOLD, _KEPT)
    library.mallopt(_TRIM_THRESHOLD, _KEPT)
    try:
        yield
    finally:
        library.mallopt(_MMAP_THRESHOLD, _USUAL)
        library.mallopt(_TRIM_THRESHOLD, 2 * _USUAL)
        library.malloc_trim(0)


keeping_pages = SharedContext(_keeping_pages)
"""Let freed memory be used again, until the last of several threads is done."""


@cache
def _glibc() -> ctypes.CDLL | None:
    """Find the C library, if it is glibc."""
    if sys.platform != 'linux':
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, 'gnu_get_libc_version') else None
