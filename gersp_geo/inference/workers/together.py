"""Have scenes made by several workers: who starts them, and where they run."""

import shutil
from dataclasses import replace
from time import time
from typing import Any
from uuid import uuid4

from ...geoio.write import check_writable
from ..jobs import Kind, maker_of
from ..option_values import usable_cores
from ..options import PredictionOptions
from ..progress import ScenesProgress
from ..resume.journal import PARTS, refuse_busy, work_folder
from ..scenes import Done, Jobs
from ..work import Work
from .driver import Crew, Ledger, drive
from .events import Event
from .leftovers import tidy
from .worker import Assignment, share_cores, work_on


def predict_together(
    kind: Kind, model: Any, jobs: Jobs, options: PredictionOptions
) -> tuple[tuple[Done, ...], tuple[tuple[str, str], ...]]:
    """Have scenes made by the workers that options ask for.

    Args:
        kind: What the model makes.
        model: File or name of the model; each worker loads it.
        jobs: The scenes.
        options: How results are made.

    Returns:
        As :func:`.scenes.run_jobs`.

    Raises:
        TypeError: If the model is no file or name.
        OSError: If a single scene fails, or no worker is left.
        ValueError: If a worker cannot do what is asked for.
    """
    if options.work is not None:
        check_writable(f'{options.work}/journal')
    for job in jobs.scenes:
        refuse_busy(work_folder(job.final, options.work), PARTS)
    assignment = Assignment(
        kind=kind, model=model, jobs=jobs, options=options, run=uuid4().hex[:8], name='', started=time()
    )  # fmt: skip
    ledger = _join(assignment) if options.join else _drive(assignment)
    outcomes = [(job.scene, ledger.outcomes[number]) for number, job in enumerate(jobs.scenes)]
    failures = tuple((scene, found) for scene, found in outcomes if isinstance(found, str))
    if failures and jobs.is_single:
        raise OSError(failures[0][1])
    return tuple(found for _, found in outcomes if isinstance(found, Done)), failures


def _join(assignment: Assignment) -> Ledger:
    """Be one of several workers that nobody drives."""
    options, jobs = assignment.options, assignment.jobs
    names = [job.scene for job in jobs.scenes]
    ledger = Ledger(scenes=len(names))
    maker = maker_of(assignment.kind)[0].load(assignment.model, options)
    work = Work(maker=maker, options=options, is_single=jobs.is_single)
    with ScenesProgress(len(names), workers=1, shown=options.progress) as bar:

        def report(event: Event) -> None:
            ledger.take(event, names)
            ledger.show(bar)

        alone = replace(assignment, name=f'{assignment.run}-0', is_driven=False)
        work_on(alone, work, report)
    return ledger


def _drive(assignment: Assignment) -> Ledger:
    """Start workers, and wait for them."""
    options, jobs = assignment.options, assignment.jobs
    if callable(assignment.model):
        raise TypeError(
            'workers load the model themselves; pass the path of a checkpoint or graph, or the '
            f'name of weights, got {type(assignment.model).__name__}'
        )
    if options.overwrite:
        folders = [work_folder(job.final, options.work) for job in jobs.scenes]
        for folder in folders:
            refuse_busy(folder)
        for folder in folders:
            # as a single process does, which begins anew; files stay until others are made
            shutil.rmtree(folder, ignore_errors=True)
    ledger = Ledger(scenes=len(jobs.scenes))
    try:
        drive(_hire(assignment), jobs, ledger, progress=options.progress)
    finally:
        made = [number for number, found in ledger.outcomes.items() if isinstance(found, Done)]
        tidy(jobs, made, root=options.work)
    return ledger


def _hire(assignment: Assignment) -> Crew:
    """Choose where workers run, and how many there are."""
    options = assignment.options
    if options.cluster is not None:
        from .cluster import RayCrew

        return RayCrew(assignment)
    from .processes import ProcessCrew

    count = len(options.devices) if options.workers == 'auto' else options.workers
    cores = usable_cores()
    shared = share_cores(options, workers=count, cores=cores)
    return ProcessCrew(
        [
            replace(
                assignment,
                name=f'{assignment.run}-{number}',
                threads=max(1, cores // count),
                options=replace(shared, device=options.devices[number % len(options.devices)]),
            )
            for number in range(count)
        ]
    )
