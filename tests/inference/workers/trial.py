"""A small scene that several workers predict by the command, in this process."""

import contextlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import numpy as np
import pytest
from rasterio.transform import from_origin

from gersp_geo.geoio.write.geotiff import write_raster
from gersp_geo.inference.jobs import maker_of
from gersp_geo.inference.options import MapOptions
from gersp_geo.inference.work import Work
from gersp_geo.inference.workers import shared_scene, worker
from gersp_geo.inference.workers.events import Event, WorkerStopped
from gersp_geo.inference.workers.worker import Assignment, work_on
from gersp_geo.main import main

# of the options, those of how a map is cut into parts
DEFAULTS: dict[str, Any] = MapOptions.__init__.__kwdefaults__ or {}

# Ten parts: five rows of patches in each of two panels
HOW = ('--size', '32', '--overlap', '8', '--memory-limit', '200KiB')


def write_scene(path: Path, *, height: int = 112, width: int = 140, seed: int = 0) -> Path:
    """Write a scene of three bands, part of which was never observed."""
    pixels = np.random.default_rng(seed).integers(1, 255, (3, height, width), dtype=np.uint8)
    pixels[:, :20, :20] = 0
    transform = from_origin(4e5, 5e6, 10, 10)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_raster(path, pixels, crs='EPSG:32633', transform=transform, nodata=0, overwrite=True)
    return path


def run(*words: object) -> tuple[int, str, str]:
    """Run the command in small parts; return exit code, output and error stream."""
    command, *others = map(str, words)
    line = [command, '--device', 'cpu', '--no-progress', *others]
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stderr(io.StringIO()) as error,
        contextlib.redirect_stdout(io.StringIO()) as output,
    ):
        patch.setitem(DEFAULTS, 'part_pixels', 1)
        # threads of a test are not the main one, where alone signals can be caught
        patch.setattr('gersp_geo.main.end_on_signals', lambda advice: None)
        patch.setattr(worker, '_PAUSE', 0.02)
        patch.setattr(shared_scene, '_OTHERS_FIRST', 0.05)
        code = main(line)
    return code, output.getvalue(), error.getvalue()


class ThreadCrew:
    """Workers as threads: all is real but the processes."""

    def __init__(self, assignments: Sequence[Assignment]) -> None:
        self.size = len(assignments)
        self._assignments = assignments
        self._news: SimpleQueue[tuple[int, Event]] = SimpleQueue()
        self._threads: list[Thread] = []

    def start(self) -> None:
        for number in range(self.size):
            self.replace(number)

    def events(self, timeout: float) -> list[tuple[int, Event]]:
        try:
            return [self._news.get(timeout=timeout)]
        except Empty:
            return []

    def replace(self, number: int) -> None:
        self._threads.append(Thread(target=self._serve, args=(number,)))
        self._threads[-1].start()

    def stop(self) -> None:
        for thread in self._threads:
            thread.join()

    def _serve(self, number: int) -> None:
        assignment = self._assignments[number]
        reason = None
        try:
            maker = maker_of(assignment.kind)[0].load(assignment.model, assignment.options)
            is_single = assignment.jobs.is_single
            work = Work(maker=maker, options=assignment.options, is_single=is_single)
            work_on(assignment, work, lambda event: self._news.put((number, event)))
        except (OSError, ValueError) as error:
            reason = str(error)
        self._news.put((number, WorkerStopped(reason=reason)))


@contextlib.contextmanager
def as_threads() -> Any:
    """Have ``--workers N`` start threads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('gersp_geo.inference.workers.processes.ProcessCrew', ThreadCrew)
        yield


def together(calls: Sequence[Callable[[], None]]) -> None:
    """Call functions at the same time; pass errors on."""
    errors: list[BaseException] = []

    def guarded(call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    threads = [Thread(target=guarded, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
