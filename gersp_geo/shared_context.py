"""Contexts that belong to the whole process, though several threads enter them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Lock


class SharedContext:
    """A context that the first of several threads opens and the last one closes.

    What it changes is then neither taken from a thread that is still at work, nor noted by another
    as what was there before.
    """

    def __init__(self, create: Callable[[], AbstractContextManager[object]]) -> None:
        """Initialize a new SharedContext instance.

        Args:
            create: Makes the context, anew whenever nobody holds it.
        """
        self._create = create
        self._lock = Lock()
        self._holders = 0
        self._open: AbstractContextManager[object] | None = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Hold the context."""
        with self._lock:
            if self._open is None:
                context = self._create()
                context.__enter__()
                self._open = context
            self._holders += 1
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1
                last = self._open
                if last is not None and not self._holders:
                    self._open = None
                    last.__exit__(None, None, None)
