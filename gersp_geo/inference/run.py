"""Carry a plan out: parts, and the files that are made of them."""

import warnings
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

from .. import __version__
from ..geoio.fingerprints import FINGERPRINT_TAG, read_fingerprint
from ..geoio.gdal import gdal_cache
from ..geoio.write import publish, sync_folder
from .device_memory import fit_batch, naming_shortage
from .disk_space import advising, check_room
from .estimate import GDAL_CACHE
from .model.load import evaluating
from .outputs.output import Result
from .plan import PredictionPlan
from .progress import progress_bar, waiting
from .resume.identity import fingerprint, identify, layout_of_parts, running, trials_of
from .resume.journal import (
    Counts,
    Entry,
    Journal,
    is_begun,
    refuse_other,
    remove_leftover,
    work_folder,
)
from .resume.parts import PartWriter, PlannedPart, damaged_files, known_entries, list_parts, runs_of
from .runtime import choose_runtime, torch_threads
from .scene.batches import PatchBatch, read_rows


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
        _refuse_existing(plan, identity)
    name = 'parts' if plan.shard is None else f'shard-{plan.shard[0]}-of-{plan.shard[1]}'
    folder = work_folder(plan.destination)
    if plan.options.merge and not is_begun(folder):
        raise ValueError(f'no shard of {plan.destination} has begun; nothing can be merged')
    if is_begun(folder) and not plan.options.overwrite:
        # before what takes time
        refuse_other(folder, identity)
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
                _predict(plan, _share(planned, plan, before), journal, progress=progress)
        finally:
            entries = known_entries(plan, planned, journal)
            is_alone = plan.shard is None and not plan.options.merge
            if not entries and is_alone and not _has_varied(plan):
                # nothing that another call could go on from; shards may still be at work
                journal.remove()
        predicted = perf_counter()
        if plan.shard is None:
            with waiting('the final file', shown=progress):
                facts = _finish(plan, planned, journal, entries, _provenance(plan, identity))
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
    paths = [Path(variation.destination) for variation in plan.variations]
    return any(path.exists() or work_folder(path).exists() for path in paths)


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


def _predict(
    plan: PredictionPlan, parts: Sequence[PlannedPart], journal: Journal, *, progress: bool
) -> None:
    """Predict parts: read, forward, settle and write, row of patches by row of patches.

    Earlier rows of patches that bear upon a part are forwarded once more, so that a panel may be
    begun anywhere, with the same result.
    """
    output = plan.output
    with ExitStack() as stack:
        stack.enter_context(naming_shortage(plan))
        stack.enter_context(gdal_cache(GDAL_CACHE))
        stack.enter_context(evaluating(plan.loaded.forward))
        stack.enter_context(torch_threads(plan.torch_threads))
        pixels = sum(part.pixels for part in parts)
        advance = stack.enter_context(progress_bar(pixels, shown=progress))
        writer = stack.enter_context(PartWriter(plan, journal))
        predict = output.predictor(plan)
        for run in runs_of(parts):
            panel, of_row = run[0].panel, {row: part for part in run for row in part.rows}
            rows = range(run[0].rows.start, run[-1].rows.stop)
            needed = range(output.first_row(plan, rows), rows.stop)
            open_rows = output.open_rows(plan, panel, first_row=needed.start)
            with closing(read_rows(plan, panel, needed)) as events:
                for event in events:
                    if isinstance(event, PatchBatch):
                        open_rows.add(event, predict(event.pixels, event.known))
                        continue
                    settled = open_rows.settle(event)
                    if event.row in rows:
                        writer.add(of_row[event.row], settled)
                        advance(settled.height * panel.width)


def _finish(
    plan: PredictionPlan,
    planned: Sequence[PlannedPart],
    journal: Journal,
    entries: dict[int, Entry],
    tags: dict[str, str],
) -> Any:
    """Turn parts into files, which appear when all are complete."""
    if missing := len(planned) - len(entries):
        raise ValueError(
            f'{missing} of {len(planned)} parts of {plan.destination} are not there yet; let every '
            'shard finish, then merge again'
        )
    journal.clear_fragments()
    parts = [(part, entries[part.number]) for part in planned]
    finished, facts = plan.output.finish(plan, parts, journal.folder, tags)
    for path, final in finished:
        publish(path, final)
        # parts are removed next: a power cut must not take both
        sync_folder(final.parent)
    return facts


def is_made(plan: PredictionPlan, identity: Mapping[str, Any]) -> bool:
    """Say whether all files of a plan are there, and were made by a prediction of this identity."""
    return all(_is_ours(path, identity) for path in plan.output.files)


def _is_ours(path: Path, identity: Mapping[str, Any]) -> bool:
    """Say whether a file was made by the same prediction."""
    return path.exists() and read_fingerprint(path) == fingerprint(identity)


def _refuse_existing(plan: PredictionPlan, identity: Mapping[str, Any]) -> None:
    """Refuse to replace files, but those that an interrupted call has made."""
    complete = is_made(plan, identity)
    if complete:
        # all that was left to do when the last call was stopped
        remove_leftover(work_folder(plan.destination), identity)
    for final in plan.output.files:
        if final.exists() and (complete or not _is_ours(final, identity)):
            advice = 'remove it' if plan.shard else 'overwrite (--overwrite)'
            raise FileExistsError(f'{final} exists; pass another path, or {advice}')


def _provenance(plan: PredictionPlan, identity: Mapping[str, Any]) -> dict[str, str]:
    """Say in the result how it was made."""
    tags = {
        'TIFFTAG_SOFTWARE': f'gersp_geo {__version__}',
        'MODEL': plan.loaded.name,
        'PATCH_SIZE': str(plan.tiles.size),
        'PATCH_OVERLAP': str(plan.tiles.overlap),
        **({} if plan.options.step == 1 else {'PATCH_STEP': str(plan.options.step)}),
        **plan.output.tags,
        'INPUT_BANDS': ','.join(map(str, plan.bands)),
        FINGERPRINT_TAG: fingerprint(identity),
    }
    if plan.runtime is not None:
        tags['RUNTIME'] = plan.runtime.name
    if plan.options.precision != 'float32':
        tags['PRECISION'] = plan.options.precision
    if plan.options.observed != 'auto':
        tags['OBSERVED'] = plan.options.observed
    if plan.after is not None:
        tags['BEFORE'], tags['AFTER'] = Path(plan.source).name, Path(plan.after.path).name
        tags['AFTER_BANDS'] = ','.join(map(str, plan.after.bands))
    return tags if plan.loaded.sha256 is None else tags | {'MODEL_SHA256': plan.loaded.sha256}
