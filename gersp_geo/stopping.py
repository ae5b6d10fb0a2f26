"""SIGTERM and Ctrl-C end the command as a shell reports it, with one line that says what next."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

PATIENCE = b'\ngersp-geo: stopping after the step at hand; Ctrl-C again stops at once\n'


class StopRequest:
    """Whether this process was asked to stop, and what to tell the user once it has."""

    def __init__(self) -> None:
        """Initialize a new StopRequest instance."""
        self.number: int | None = None
        """The first signal that asked."""

        self.waits = False
        """Whether somebody looks at *number* now and then, and stops at a good place."""

        self.advice = 'the same command begins anew'
        """What next."""

        self.last: str | None = None
        """Once training has failed or stopped: the checkpoint to go on from, if there is one."""

        self.speaks = True
        """Whether this is the process of several that talks to the user."""

        self.process = os.getpid()

        self.of_children: Any = None
        """What listened to the ends of child processes until a signal asked to stop."""

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Note a signal.

        Raises:
            KeyboardInterrupt: If nobody waits for a good place, or this is a second Ctrl-C.
        """
        if os.getpid() != self.process:
            # forked to read data: it ends when its parent says so, and not of Ctrl-C
            if number == signal.SIGTERM:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
            return
        again, self.number = self.number is not None, self.number or number
        # batch systems send SIGTERM to every process, and some send it twice
        if again and number == signal.SIGTERM:
            return
        if again or not self.waits:
            raise KeyboardInterrupt
        # torch makes an error of a reader's end, wherever the step at hand is; a batch system ends
        # the readers too
        self.of_children = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if number == signal.SIGINT and self.speaks:
            # not through sys.stderr, which may be in the middle of a write
            os.write(2, PATIENCE)


@contextmanager
def stoppable() -> Iterator[StopRequest]:
    """Listen to SIGTERM and SIGINT.

    Yields:
        What they ask for.

    Raises:
        SystemExit: With 128 + the number of the signal, if one stopped the block; with 0 in a
            process that does not talk to the user, since the code of the one that does is the
            answer.
    """
    request = StopRequest()
    # Python lets no other thread listen
    heard = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGTERM, signal.SIGINT) if heard else ()
    before = {number: signal.signal(number, request) for number in numbers}
    try:
        yield request
    except (KeyboardInterrupt, SystemExit, RuntimeError) as stop:
        if request.number is None or not is_stop(stop):
            raise
        if not request.speaks:
            raise SystemExit(0) from stop
        sys.stderr.write(f'gersp-geo: stopped; {request.advice}\n')
        raise SystemExit(128 + request.number) from stop
    finally:
        if request.of_children is not None:
            signal.signal(signal.SIGCHLD, request.of_children)
        for number, handler in before.items():
            signal.signal(number, handler)


def is_stop(error: BaseException) -> bool:
    """Say whether an error follows from a signal, if there was one.

    Ctrl-C reaches all processes, and one that reads data and ends of it is an error of torch.
    """
    return not isinstance(error, RuntimeError) or 'DataLoader worker' in str(error)
