"""Open files, bounded in number, one set per process."""

import os
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, ExitStack
from typing import Any


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
        self._owner = os.getpid()
        self._open: OrderedDict[Key, tuple[Handle, ExitStack]] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        """Leave open files behind when sent to another process."""
        return {'opener': self.opener, 'limit': self.limit}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Start without open files."""
        self.opener, self.limit = state['opener'], state['limit']
        self._owner, self._open = os.getpid(), OrderedDict()

    def __len__(self) -> int:
        """Number of files open in this process."""
        return len(self._open) if self._owner == os.getpid() else 0

    def get(self, key: Key) -> Handle:
        """Return the open file of *key*, valid at least until the next call."""
        if self._owner != os.getpid():
            self._owner, self._open = os.getpid(), OrderedDict()
        if key not in self._open:
            with ExitStack() as stack:
                handle = stack.enter_context(self.opener(key))
                self._open[key] = handle, stack.pop_all()
            if len(self._open) > self.limit:
                _, (_, oldest) = self._open.popitem(last=False)
                oldest.close()
        self._open.move_to_end(key)
        return self._open[key][0]
