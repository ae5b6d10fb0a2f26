"""Workers as actors of Ray, on one machine or many."""

import os
import re
from collections.abc import Sequence
from contextlib import ExitStack, redirect_stdout, suppress
from dataclasses import replace
from io import StringIO
from queue import SimpleQueue
from threading import Event as Flag
from threading import Thread
from time import monotonic
from typing import Any

from ...messages import one_line
from ..options import PredictionOptions
from .events import Event, Warned, WorkerStopped
from .ray_connection import connect, import_ray
from .worker import Assignment, serve, share_cores

# seconds after which the user hears that no worker has started
_NO_ROOM = 30.0

# seconds that Ray has to end what it runs
_GRACE = 5.0

# questions for news per second to all workers together, and seconds between two to one of them
_RATE, _PAUSE = 100, 0.2


class RayCrew:
    """Has Ray start workers wherever there is room, and asks them for news.

    Ray ends them with the driver, however that ends. Machines give their own settings to workers,
    such as those of GDAL; the working folder is that of the driver, where it exists.
    """

    def __init__(self, assignment: Assignment) -> None:
        """Connect to a cluster, or start one on this machine; no worker is started yet.

        Args:
            assignment: What the workers are to do, as if there was one.

        Raises:
            ValueError: If the extra ``ray`` is not installed, or there is no room for so many.
            OSError: If no cluster answers.
        """
        self._exits = ExitStack()
        # Ray writes a page about each death, where the summary belongs; the driver has a line
        self._exits.enter_context(redirect_stdout(StringIO()))
        options = assignment.options
        try:
            self._ray = import_ray()
            if not self._ray.is_initialized():
                self._exits.callback(self._ray.shutdown)
                connect(self._ray, options)
            nodes = [node['Resources'] for node in self._ray.nodes() if node['Alive']]
            rooms = [(int(each.get('CPU', 0)), int(each.get('GPU', 0))) for each in nodes]
            self.size, cores, gpus = share_cluster(rooms, options)
        except BaseException:
            self._exits.close()
            raise
        if not gpus and options.device == 'auto':
            # Ray has not given the worker an accelerator, even if there is one
            options = replace(options, device='cpu')
        self._assignments = [
            replace(assignment, options=options, name=f'{assignment.run}-{number}', threads=cores)
            for number in range(self.size)
        ]
        self._actor = self._ray.remote(RayWorker).options(
            num_cpus=cores, num_gpus=gpus, max_restarts=0, scheduling_strategy='SPREAD'
        )
        self._actors: dict[int, Any] = {}
        self._answers: dict[Any, int] = {}
        self._waits_since: float | None = monotonic()

    def start(self) -> None:
        """Start all workers."""
        for number in range(self.size):
            self._start(number)

    def events(self, timeout: float) -> list[tuple[int, Event]]:
        """Wait for news, for some seconds at most."""
        refs = [*self._answers]
        ready, _ = self._ray.wait(refs, num_returns=len(refs), timeout=timeout)
        found = [each for ref in ready for each in self._read(ref)]
        if self._waits_since is not None and monotonic() - self._waits_since > _NO_ROOM:
            self._waits_since = None
            free = self._ray.available_resources().get('CPU', 0)
            wait = (
                f'no worker has started for {_NO_ROOM:.0f} s; {free:g} CPUs of the cluster are free'
            )
            found.append(
                (0, Warned(text=f'{wait}; others may leave room, or ask for fewer --workers'))
            )
        return found

    def replace(self, number: int) -> None:
        """Start another worker in the place of one that is dead."""
        assignment = self._assignments[number]
        self._assignments[number] = replace(assignment, name=f'{assignment.name}+')
        self._start(number)

    def stop(self) -> None:
        """End all workers, whatever they are doing."""
        refs = [*self._answers]
        for number in [*self._actors]:
            self._end(number)
        if refs:
            # what they hold is free once they are gone
            self._ray.wait(refs, num_returns=len(refs), timeout=_GRACE)
        self._answers.clear()
        self._exits.close()

    def _start(self, number: int) -> None:
        """Start one worker."""
        self._actors[number] = self._actor.remote(self._assignments[number], os.getcwd())
        self._ask(number)

    def _end(self, number: int) -> None:
        """Let Ray have the place of a worker for others."""
        self._ray.kill(self._actors.pop(number))

    def _ask(self, number: int) -> None:
        """Ask a worker for news, the more rarely the more workers there are."""
        seconds = max(_PAUSE, self.size / _RATE)
        self._answers[self._actors[number].news.remote(seconds)] = number

    def _read(self, ref: Any) -> list[tuple[int, Event]]:
        """Read an answer, and ask again unless it is the last one."""
        number = self._answers.pop(ref)
        try:
            found: list[Event] = self._ray.get(ref)
        except self._ray.exceptions.RayError as error:
            found = [WorkerStopped(reason=_describe(error), is_dead=True)]
        else:
            self._waits_since = None
        if any(isinstance(event, WorkerStopped) for event in found):
            self._end(number)
        else:
            self._ask(number)
        return [(number, event) for event in found]


class RayWorker:
    """A worker in a process that Ray has started; it works in a thread, and answers in another."""

    def __init__(self, assignment: Assignment, folder: str) -> None:
        """Begin to work.

        Args:
            assignment: What to do.
            folder: Working folder of the driver.
        """
        with suppress(OSError):
            os.chdir(folder)
        self._news: SimpleQueue[Event] = SimpleQueue()
        self._is_over = Flag()
        Thread(target=self._serve, args=(assignment,), name='worker', daemon=True).start()

    def news(self, seconds: float) -> list[Event]:
        """Say what has happened since the last time, after some seconds or when all is over."""
        self._is_over.wait(seconds)
        return [self._news.get() for _ in range(self._news.qsize())]

    def _serve(self, assignment: Assignment) -> None:
        """Work until nothing is left."""
        try:
            options = share_cores(assignment.options, workers=1, cores=assignment.threads or 1)
            serve(replace(assignment, options=options), self._news.put)
        finally:
            self._is_over.set()


def share_cluster(
    rooms: Sequence[tuple[int, int]], options: PredictionOptions
) -> tuple[int, int, int]:
    """Say how many workers a cluster has, all alike, since threads can decide the last bit.

    Args:
        rooms: CPUs and GPUs of each machine, as Ray counts them.
        options: Say how many workers are asked for, and on which device.

    Returns:
        Workers, CPUs of each and GPUs of each.

    Raises:
        ValueError: If there is no room for so many.
    """
    has_gpus = options.device != 'cpu' and any(gpus for _, gpus in rooms)
    most = max((cpus for cpus, _ in rooms), default=0)

    def count(cores: int) -> int:
        """Count the workers for which there is room."""
        return sum(min(cpus // cores, gpus if has_gpus else cpus) for cpus, gpus in rooms)

    if options.workers != 'auto':
        wanted = options.workers
    elif has_gpus:
        wanted = count(1)
    else:
        # a small machine, such as the head, would make all workers small
        wanted = sum(2 * cpus >= most > 0 for cpus, _ in rooms)
    fitting = [cores for cores in range(1, most + 1) if count(cores) >= wanted > 0]
    if not fitting:
        room = count(1) if most else 0
        raise ValueError(
            f'workers need a CPU{" and a GPU" if has_gpus else ""} each, and the cluster has them '
            f'for {room}, got {wanted}; ask for fewer --workers, or add machines'
        )
    return wanted, max(fitting), int(has_gpus)


def _describe(error: Exception) -> str:
    """Say in a few words why Ray has lost a worker."""
    text = one_line(error)
    if 'creation task' in text:
        # the error of the worker stands at the end of its traceback
        return str(error).strip().splitlines()[-1].strip()
    if 'is unavailable' in text:
        return 'its machine does not answer'
    reasons = re.search(r'because (its [a-z ]+)', text), re.search(r'exit detail: ([^.]+)', text)
    return ': '.join(found[1] for found in reasons if found) or text[:200]
