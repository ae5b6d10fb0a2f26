"""Carry a plan out: parts, and the files that are made of them."""

import warnings
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

from .device_memory import fit_batch, naming_shortage
from .disk_space import advising, check_room
from .engine import predict_parts
from .finishing import finish_parts, is_made, refuse_existing
from .outputs.output import Result
from .plan import PredictionPlan
from .progress import progress_bar, waiting
from .resume.entries import Counts, Entry
from .resume.identity import identify, layout_of_parts, running, trials_of
from .resume.journal import PARTS, Journal, is_begun, refuse_busy, refuse_other
from .resume.parts import PlannedPart, damaged_files, known_entries, list_parts, runs_of
from .runtime import choose_runtime


def run_plan(plan: PredictionPlan, *, progress: bool) -> Any:
    """Carry a plan out, from where an earlier run was stopped.

    Args:
        plan: The plan.
        progress: Whether to show a progress bar.

    Returns:
        What was produced.

    Raises:
        FileExistsError: If a file exists and may not be replaced.
        ValueError: If there are parts of another prediction, or shards that are not done.
        OSError: If a file cannot be read or written.
    """
    started = perf_counter()
    check_room(plan)
    planned, identity = list_parts(plan), identify(plan)
    if not plan.options.overwrite:
        refuse_existing(plan, identity)
    name = PARTS if plan.shard is None else f'shard-{plan.shard[0]}-of-{plan.shard[1]}'
    folder = plan.folder
    if plan.options.merge and not is_begun(folder):
        raise ValueError(f'no shard of {plan.destination} has begun; nothing can be merged')
    if is_begun(folder) and not plan.options.overwrite:
        # before what takes time
        refuse_other(folder, identity)
    if plan.shard is None and not plan.options.merge:
        # workers and shards know nothing of what a single process does
        refuse_busy(folder)
    if not plan.options.merge:
        plan = fit_batch(plan)
        with naming_shortage(plan):
            plan = choose_runtime(plan, key=identity['model_sha256'], progress=progress)
    # a merge forwards nothing: any device will do
    how = layout_of_parts(plan) if plan.options.merge else running(plan)
    begins_anew, facts = plan.options.overwrite and not plan.options.merge, None
    with (
        advising(plan),
        Journal.open(
            folder, identity | how, notes=trials_of(plan), name=name, overwrite=begins_anew
        ) as journal,
    ):
        before = _sound_entries(plan, planned, journal)
        try:
            _vary(plan, progress=progress)
            if not plan.options.merge:
                parts = _share(planned, plan, before)
                with progress_bar(sum(part.pixels for part in parts), shown=progress) as advance:
                    predict_parts(plan, runs_of(parts), journal, advance=advance)
        finally:
            entries = known_entries(plan, planned, journal)
            is_alone = plan.shard is None and not plan.options.merge
            if not entries and is_alone and not _has_varied(plan):
                # nothing that another call could go on from; shards may still be at work
                journal.remove()
        predicted = perf_counter()
        if plan.shard is None:
            with waiting('the final file', shown=progress):
                journal.clear_fragments()
                facts = finish_parts(plan, planned, entries, identity, place=plan.folder)
            journal.remove()
    now = perf_counter()
    result = Result(
        counts=Counts.total([entry.counts for entry in entries.values()]),
        parts=len(entries) - len(before),
        parts_before=len(before),
        pixels_now=sum(part.pixels for part in planned if part.number in entries.keys() - before),
        seconds=now - started,
        seconds_finishing=now - predicted,
        is_complete=plan.shard is None,
        facts=facts,
    )
    return plan.output.summarize(plan, result)


def _vary(plan: PredictionPlan, *, progress: bool) -> None:
    """Make the further maps that a map is compared with, or go on with them.

    They lie among the parts of the map, and are made as it is: by the same form of the model.
    """
    for variation in plan.variations:
        alike = replace(
            variation, batch_size=plan.batch_size, runtime=plan.runtime,
            torch_threads=plan.torch_threads,
        )  # fmt: skip
        if not is_made(alike, identify(alike)):
            run_plan(alike, progress=progress)


def _has_varied(plan: PredictionPlan) -> bool:
    """Say whether any part of a further map is there."""
    return any(Path(each.destination).exists() or each.folder.exists() for each in plan.variations)


def _sound_entries(
    plan: PredictionPlan, planned: Sequence[PlannedPart], journal: Journal
) -> dict[int, Entry]:
    """Read what is done, without parts whose files are damaged: these are made anew.

    Raises:
        ValueError: If parts are merged, and so are not made here.
    """
    entries = known_entries(plan, planned, journal)
    damaged = damaged_files(plan, _share(planned, plan, ()), entries, journal)
    if not damaged:
        return entries
    number, name = next(iter(damaged.items()))
    text = (
        f'{len(damaged)} of {len(entries)} finished parts of {plan.destination} are damaged, the '
        f'first is number {number}, {journal.folder / name}'
    )
    if plan.options.merge:
        raise ValueError(f'{text}; run {journal.writer_of(number)} again, then merge')
    warnings.warn(f'{text}; they are made anew', stacklevel=2)
    return {number: entry for number, entry in entries.items() if number not in damaged}


def _share(
    planned: Sequence[PlannedPart], plan: PredictionPlan, done: Collection[int]
) -> list[PlannedPart]:
    """Choose the parts that are to be predicted."""
    index, count = plan.shard or (0, 1)
    # neighbours belong together: rows between them need not be forwarded twice
    mine = planned[index * len(planned) // count : (index + 1) * len(planned) // count]
    return [part for part in mine if part.number not in done]
