"""Open files, bounded in number, one set per process."""

import os
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, ExitStack
from typing import Any
from weakref import finalize


class HandlePool[Key: Hashable, Handle]:
    """Open files, each opened on its first use in a process, and few at a time.

    A forked worker opens its own: handles that survive a fork share one file position with the
    parent. Not for several threads of one process.
    """

    def __init__(
        self, opener: Callable[[Key], AbstractContextManager[Handle]], *, limit: int = 64
    ) -> None:
        """Initialize a new HandlePool instance.

        Args:
            opener: Opens the file of a key.
            limit: Files that stay open, >= 1; the longest unused is closed first.
        """
        self.opener, self.limit = opener, limit
        self._begin()

    def __getstate__(self) -> dict[str, Any]:
        """Leave open files behind when sent to another process."""
        return {'opener': self.opener, 'limit': self.limit}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Start without open files."""
        self.opener, self.limit = state['opener'], state['limit']
        self._begin()

    def __len__(self) -> int:
        """Number of files open in this process."""
        return len(self._open) if self._owner == os.getpid() else 0

    def get(self, key: Key) -> Handle:
        """Return the open file of *key*, valid at least until the next call."""
        if self._owner != os.getpid():
            self._begin()
        if key not in self._open:
            with ExitStack() as stack:
                handle = stack.enter_context(self.opener(key))
                self._open[key] = handle, stack.pop_all()
            if len(self._open) > self.limit:
                _, (_, oldest) = self._open.popitem(last=False)
                oldest.close()
        self._open.move_to_end(key)
        return self._open[key][0]

    def _begin(self) -> None:
        """Start without open files in this process, and close those to come before it ends."""
        self._owner = os.getpid()
        self._open: OrderedDict[Key, tuple[Handle, ExitStack]] = OrderedDict()
        # a GDAL file that the dying interpreter closes reports through modules that are gone
        finalize(self, close_all, self._open, owner=self._owner)


def close_all(files: OrderedDict[Any, tuple[Any, ExitStack]], *, owner: int) -> None:
    """Close the files of a pool, in the process that opened them."""
    if owner == os.getpid():
        while files:
            _, (_, stack) = files.popitem()
            stack.close()
