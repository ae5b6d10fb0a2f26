"""Who does what: claims on the parts of a scene, as files in its work folder.

A claim is a file that only one worker can make: it is created exclusively. Its name is what is
claimed and the number of the attempt, such as ``12.0``; what becomes of it is an ending that it gets
by renaming: ``12.0.done``. That sets the first name free, so that whoever takes it looks for an
ending next. Nothing else is asked of a file system. What a worker that was thought dead does after
all harms nobody, since each attempt writes files of its own.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Literal

from ..resume.journal import is_locked

FINISHING = 'finish'
BEGINNING = 'begin'

ATTEMPTS = 4
"""Attempts of one run at a part, before its failure is that of the scene."""

type State = Literal['held', 'done', 'failed', 'refused']

# what a claim is renamed to
_ENDINGS = ('done', 'failed', 'refused')

# signs of life within a lease
_BEATS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """Tells a worker from all others."""

    name: str
    """Of its journal."""

    run: str
    """Of the command that it belongs to: what failed in another one may be tried again."""

    host: str
    """Machine, since it was started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The last attempt at something."""

    key: str
    """Number of a part, or a step of a scene."""

    attempt: int
    """How often it was taken before."""

    state: State
    """What became of it."""

    @property
    def name(self) -> str:
        """Of its file."""
        return f'{self.key}.{self.attempt}{"" if self.state == "held" else f".{self.state}"}'


class Claims:
    """The claims on what is to be done for one scene."""

    def __init__(self, folder: Path, worker: Worker, *, lease: float) -> None:
        """Look at the claims in a work folder.

        Args:
            folder: Holds the journals of the workers and, in a folder, their claims.
            worker: Who takes.
            lease: Seconds without a sign of life after which a worker elsewhere counts as dead.
        """
        self.folder = folder / 'claims'
        self.worker = worker
        self.held: dict[str, Claim] = {}
        self._lease = lease
        self._holders: dict[str, Worker] = {}
        self._lives: dict[str, tuple[int, float]] = {}

    def survey(self) -> dict[str, Claim]:
        """Read the last claim on everything; what one attempt has done is done."""
        found: dict[str, Claim] = {}
        with suppress(FileNotFoundError):
            for name in os.listdir(self.folder):
                claim = _parse(name)
                if claim is not None:
                    other = found.get(claim.key)
                    if other is None or _rank(other) < _rank(claim):
                        found[claim.key] = claim
        return found

    def is_free(self, claim: Claim | None) -> bool:
        """Say whether somebody should take what was last claimed so, or by nobody."""
        if claim is None:
            return True
        if claim.state == 'done':
            # what was made before, and is to be made again, is no matter of this run
            return claim.key == FINISHING and not self.is_of_this_run(claim)
        if claim.state == 'refused':
            return not self.is_of_this_run(claim)
        if claim.state == 'failed':
            return self.attempts(claim) < ATTEMPTS
        return self._is_lost(claim)

    def is_settled(self, claim: Claim | None) -> bool:
        """Say whether nobody will take it any more in this run."""
        return claim is not None and claim.state != 'held' and not self.is_free(claim)

    def attempts(self, claim: Claim) -> int:
        """Count the attempts of this run, up to one; what failed in another may be tried again."""
        every = (replace(claim, attempt=number) for number in range(claim.attempt + 1))
        return sum(self.is_of_this_run(each) for each in every)

    def take(self, key: str, last: Claim | None) -> Claim | None:
        """Claim something.

        Args:
            key: What.
            last: The last claim on it, which leaves it free.

        Returns:
            The claim, unless another worker was faster.

        Raises:
            FileNotFoundError: If all is made and forgotten meanwhile.
        """
        if last is not None and last.state == 'held' and self.attempts(last) >= ATTEMPTS:
            # a part that kills whoever tries it would do so for ever
            self._end(last, 'failed', 'each worker that tried has died')
            return None
        claim = Claim(key=key, attempt=0 if last is None else last.attempt + 1, state='held')
        path = self.folder / claim.name
        try:
            with path.open('x', encoding='utf-8') as stream:
                json.dump(asdict(self.worker), stream)
        except FileExistsError:
            return None
        if any(path.with_name(f'{path.name}.{ending}').exists() for ending in _ENDINGS):
            # somebody was faster, and has settled it since: the name was free again
            path.unlink(missing_ok=True)
            return None
        self.held[key] = claim
        return claim

    def note(self, key: str) -> None:
        """Write down that something is done which nobody has claimed."""
        with suppress(FileExistsError), (self.folder / f'{key}.0.done').open('x') as stream:
            json.dump(asdict(self.worker), stream)

    def settle(self, key: str, state: State, reason: str = '') -> None:
        """Say what became of something that this worker holds; no matter if nobody cares any more.

        Args:
            key: What.
            state: What became of it.
            reason: Why it failed.
        """
        claim = self.held.pop(key)
        # all may be forgotten meanwhile, and taken by others
        if self._holder(claim) == self.worker:
            self._end(claim, state, reason)

    def release(self, key: str) -> None:
        """Give something back."""
        claim = self.held.pop(key)
        (self.folder / claim.name).unlink(missing_ok=True)

    def reason_of(self, claim: Claim) -> str:
        """Say why an attempt failed."""
        return str(self._content(claim).get('reason', 'no reason is known'))

    def reopen(self, claim: Claim) -> None:
        """Let somebody do again what is done."""
        with suppress(FileNotFoundError):
            (self.folder / claim.name).rename(self.folder / f'{claim.key}.{claim.attempt}.failed')

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Show others that this worker lives."""
        over, path = Event(), self.folder.parent / f'{self.worker.name}.jsonl'

        def beat() -> None:
            while not over.wait(self._lease / _BEATS):
                # the folder is removed when all is made
                with suppress(OSError):
                    os.utime(path)

        thread = Thread(target=beat, name='beat', daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _end(self, claim: Claim, state: State, reason: str) -> None:
        """Give a claim an ending."""
        path = self.folder / claim.name
        # a worker that was thought dead may find nothing here
        with suppress(FileNotFoundError):
            if reason:
                content = self._content(claim) | {'reason': reason}
                path.write_text(json.dumps(content), encoding='utf-8')
            path.rename(self.folder / f'{claim.name}.{state}')

    def is_of_this_run(self, claim: Claim) -> bool:
        """Say whether a worker of the same command has claimed so."""
        holder = self._holder(claim)
        return holder is not None and holder.run == self.worker.run

    def _is_lost(self, claim: Claim) -> bool:
        """Say whether who holds a claim is dead, or seems to be."""
        holder = self._holder(claim)
        if holder is None:
            # killed while it wrote, or about to go on
            return self._is_silent(self.folder / claim.name)
        if holder.name == self.worker.name:
            return False
        path = self.folder.parent / f'{holder.name}.jsonl'
        if holder.host == self.worker.host and not is_locked(path):
            return True
        return self._is_silent(path)

    def _is_silent(self, path: Path) -> bool:
        """Say whether a file has not changed for a lease, by the clock of who watches."""
        try:
            changed = path.stat().st_mtime_ns
        except OSError:
            changed = -1
        now = monotonic()
        before, since = self._lives.setdefault(str(path), (changed, now))
        if before != changed:
            self._lives[str(path)] = (changed, now)
            return False
        return now - since >= self._lease

    def _holder(self, claim: Claim) -> Worker | None:
        """Say whose claim it is; None where it does not say so yet."""
        key = f'{claim.key}.{claim.attempt}'
        # what is held may be given back, and taken by another one
        if claim.state == 'held' or key not in self._holders:
            content = self._content(claim)
            content.pop('reason', None)
            try:
                self._holders[key] = Worker(**content)
            except TypeError:
                return None
        return self._holders[key]

    def _content(self, claim: Claim) -> dict[str, str]:
        """Read a claim; what is cut off says nothing."""
        for name in (claim.name, f'{claim.key}.{claim.attempt}'):
            with suppress(OSError, TypeError, ValueError):
                return dict(json.loads((self.folder / name).read_text(encoding='utf-8')))
        return {}


def this_host() -> str:
    """Name this machine, since it was started: on it, what is locked tells who lives."""
    boot = Path('/proc/sys/kernel/random/boot_id')
    return f'{socket.gethostname()} {boot.read_text().strip() if boot.exists() else ""}'


def _rank(claim: Claim) -> tuple[bool, int, bool]:
    """Order the claims on one thing: done, then the last, then what became of it."""
    return claim.state == 'done', claim.attempt, claim.state != 'held'


# the same names are seen again and again, in all scenes
@cache
def _parse(name: str) -> Claim | None:
    """Read the name of a claim; None for any other file."""
    key, _, rest = name.partition('.')
    attempt, _, state = rest.partition('.')
    if not attempt.isdecimal() or state not in ('', *_ENDINGS):
        return None
    return Claim(key=key, attempt=int(attempt), state=state or 'held')  # type: ignore[arg-type]  # checked above
