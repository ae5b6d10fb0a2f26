"""Workers as processes of this machine."""

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import Any

from .events import Event, WorkerStopped
from .worker import Assignment, serve

# seconds that a worker has to give back what it holds
_GRACE = 5.0


class ProcessCrew:
    """Starts processes anew, as CUDA and threads of libraries survive no fork."""

    def __init__(self, assignments: Sequence[Assignment]) -> None:
        """Set up; nothing is started yet.

        Args:
            assignments: What each worker is to do.
        """
        self.size = len(assignments)
        self._assignments = list(assignments)
        self._context = multiprocessing.get_context('spawn')
        self._workers: dict[int, tuple[BaseProcess, Connection[Any, Any]]] = {}

    def start(self) -> None:
        """Start all workers."""
        for number in range(self.size):
            self._start(number)

    def events(self, timeout: float) -> list[tuple[int, Event]]:
        """Wait for news, for some seconds at most."""
        found: list[tuple[int, Event]] = []
        ready = wait([connection for _, connection in self._workers.values()], timeout)
        for number, (process, connection) in list(self._workers.items()):
            if connection not in ready:
                continue
            try:
                event: Event = connection.recv()
            # what a killed process was about to say is cut off
            except (EOFError, OSError):
                process.join(_GRACE)
                event = WorkerStopped(reason=_describe(process.exitcode), is_dead=True)
            if isinstance(event, WorkerStopped):
                del self._workers[number]
                connection.close()
            found.append((number, event))
        return found

    def replace(self, number: int) -> None:
        """Start another worker in the place of one that is dead."""
        assignment = self._assignments[number]
        self._assignments[number] = replace(assignment, name=f'{assignment.name}+')
        self._start(number)

    def stop(self) -> None:
        """End all workers, whatever they are doing."""
        for process, _ in self._workers.values():
            process.terminate()
        for process, connection in self._workers.values():
            process.join(_GRACE)
            # stopped, or in the middle of something that does not end
            process.kill()
            process.join()
            connection.close()
        self._workers.clear()

    def _start(self, number: int) -> None:
        """Start one worker."""
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=_serve, args=(self._assignments[number], theirs), name=f'worker {number}',
            daemon=True,
        )  # fmt: skip
        with _holding_interrupts():
            process.start()
        # else the end of the process would not be seen
        theirs.close()
        self._workers[number] = (process, ours)


@contextmanager
def _holding_interrupts() -> Iterator[None]:
    """Have processes that are started here never see a Ctrl-C, not even while they import."""
    if not hasattr(signal, 'pthread_sigmask'):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(assignment: Assignment, connection: 'Connection[Any, Any]') -> None:
    """Work, as a process of its own."""
    # Ctrl-C reaches the driver too, which ends its workers
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    Thread(target=_follow_parent, name='parent', daemon=True).start()
    with suppress(BrokenPipeError):
        serve(assignment, connection.send)


def _leave(number: int, frame: object) -> None:
    """End, but give back what is held."""
    raise SystemExit(128 + number)


def _follow_parent() -> None:
    """End with the driver, however that ends."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _describe(code: int | None) -> str:
    """Say how a process ended."""
    if code is not None and code < 0:
        return f'killed by {signal.Signals(-code).name}'
    return f'it ended with {code}'
