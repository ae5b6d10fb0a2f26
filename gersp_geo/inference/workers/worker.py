"""A worker: predicts parts of scenes until nothing is left that it could do."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import sleep
from typing import Any

import torch

from ...geoio.gdal import gdal_messages
from ...messages import one_line
from ..jobs import Kind, maker_of
from ..options import PredictionOptions
from ..scenes import Jobs
from ..work import Work
from .claims import Worker, this_host
from .events import Event, SceneFailed, Warned, WorkerStopped
from .leftovers import remove_empty
from .shared_scene import SharedScene, UnfitWorkerError

# seconds between looks at what others do
_PAUSE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What a worker is to do; plain values, which go to other processes and machines."""

    kind: Kind
    """What the model makes."""

    model: Any
    """File or name of the model."""

    jobs: Jobs
    """The scenes, the same ones for all workers."""

    options: PredictionOptions
    """How results are made; the device is that of this worker."""

    run: str
    """Tells the command from all others."""

    name: str
    """Tells the worker from all others of any command."""

    started: float
    """When the command began, in seconds since the epoch."""

    threads: int | None = None
    """Threads within an operation of the model, at most; None leaves that to torch."""

    is_driven: bool = True
    """Whether a driver has started all workers: it alone begins anew where files are to be
    replaced, and removes what nobody needs any more."""


def serve(assignment: Assignment, report: Callable[[Event], None]) -> None:
    """Load the model and work, as a process that does nothing else; errors are reported.

    Args:
        assignment: What to do.
        report: Is told of what happens.
    """
    reason, is_dead = None, False
    try:
        with _reporting_warnings(report), gdal_messages(_warn):
            if assignment.threads is not None:
                torch.set_num_threads(min(torch.get_num_threads(), assignment.threads))
            maker = maker_of(assignment.kind)[0].load(assignment.model, assignment.options)
            work = Work(
                maker=maker, options=assignment.options, is_single=assignment.jobs.is_single
            )
            work_on(assignment, work, report)
    except (OSError, ValueError, TypeError) as error:
        reason = one_line(error)
    # whatever it is, the driver starts another worker, and gives up at some time
    except Exception as error:  # noqa: BLE001
        reason, is_dead = f'{type(error).__name__}: {one_line(error)}', True
    report(WorkerStopped(reason=reason, is_dead=is_dead))


def work_on(assignment: Assignment, work: Work, report: Callable[[Event], None]) -> None:
    """Take parts of scenes until all scenes are made, or given up.

    Args:
        assignment: What to do.
        work: Makes results of scenes; has loaded the model.
        report: Is told of what happens.

    Raises:
        UnfitWorkerError: If this process cannot go on with what others have begun.
    """
    worker = Worker(name=assignment.name, run=assignment.run, host=this_host())
    open_scenes = [
        SharedScene(
            number, job, work, worker, report=report, is_driven=assignment.is_driven,
            started=assignment.started,
        )
        for number, job in enumerate(assignment.jobs.scenes)
    ]  # fmt: skip
    while open_scenes:
        states = [(scene, _visit(scene, report)) for scene in open_scenes]
        for scene in (scene for scene, state in states if state == 'settled'):
            if not assignment.is_driven:
                # else a worker of the same driver would try again what is given up
                remove_empty(scene.folder)
        open_scenes = [scene for scene, state in states if state != 'settled']
        if all(state == 'waiting' for _, state in states):
            sleep(_PAUSE)


def _visit(scene: SharedScene, report: Callable[[Event], None]) -> str:
    """Do what can be done of a scene; one that fails does not stop the others."""
    try:
        return scene.visit()
    except UnfitWorkerError:
        raise
    except (OSError, ValueError) as error:
        if scene.is_forgotten(error):
            return 'moved'
        report(SceneFailed(scene=scene.number, reason=one_line(error)))
        return 'settled'


def share_cores(options: PredictionOptions, *, workers: int, cores: int) -> PredictionOptions:
    """Give each worker of a machine its share of the threads that read."""
    if options.threads != 'auto':
        return options
    return replace(options, threads=max(1, min(options.thread_count, cores // workers)))


@contextmanager
def _reporting_warnings(report: Callable[[Event], None]) -> Iterator[None]:
    """Let the driver say what is to be said, once."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: report(Warned(text=one_line(message)))
        warnings.simplefilter('ignore')
        warnings.simplefilter('always', UserWarning)
        # plan and summary say where a map lies
        warnings.filterwarnings('ignore', message='Dataset has no geotransform')
        yield


def _warn(text: str) -> None:
    """Pass a message of GDAL on."""
    warnings.warn(text, stacklevel=2)
