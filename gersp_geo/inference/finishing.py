"""Make files of finished parts, and know again what was made."""

import errno
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import __version__
from ..geoio.fingerprints import FINGERPRINT_TAG, read_fingerprint
from ..geoio.write import new_file, publish, sync_folder
from .plan import PredictionPlan
from .resume.entries import Entry
from .resume.identity import fingerprint, object_fingerprint
from .resume.journal import remove_leftover
from .resume.parts import PlannedPart
from .stored_results import (
    clear,
    deliver,
    goes_to_store,
    has_result,
    shown,
    stored_fingerprint,
    target_of,
)


def finish_parts(
    plan: PredictionPlan,
    planned: Sequence[PlannedPart],
    entries: Mapping[int, Entry],
    identity: Mapping[str, Any],
    *,
    place: Path,
) -> Any:
    """Turn parts into files, which appear when all are complete.

    Args:
        plan: The plan.
        planned: All parts.
        entries: What is known of them.
        identity: What decides the result.
        place: Folder in which files are made until they are complete.

    Returns:
        What the output learnt meanwhile.

    Raises:
        ValueError: If parts are missing.
        OSError: If a file cannot be read or written.
    """
    if missing := len(planned) - len(entries):
        raise ValueError(
            f'{missing} of {len(planned)} parts of {plan.destination} are not there yet; let every '
            'shard finish, then merge again'
        )
    place.mkdir(exist_ok=True)
    parts = [(part, entries[part.number]) for part in planned]
    tags = _provenance(plan, identity)
    finished, facts = plan.output.finish(plan, parts, plan.folder, tags, place=place)
    for path, final in finished:
        _bring(path, final)
        # parts are removed next: a power cut must not take both
        sync_folder(final.parent)
    if goes_to_store(plan.output.files, plan.options.work):
        made_of = object_fingerprint(plan, identity)
        deliver(plan.output.files, plan.options.work, fingerprint=made_of)
    return facts


def _bring(path: Path, final: Path) -> None:
    """Give a complete file its name, on whatever disk that is."""
    try:
        publish(path, final)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with new_file(final, overwrite=True) as unfinished:
            shutil.copyfile(path, unfinished)


def is_made(plan: PredictionPlan, identity: Mapping[str, Any]) -> bool:
    """Say whether all files of a plan are there, and were made by a prediction of this identity."""
    return all(_is_ours(plan, path, identity) for path in plan.output.files)


def _is_ours(plan: PredictionPlan, path: Path, identity: Mapping[str, Any]) -> bool:
    """Say whether a file, or the object that it becomes, was made by the same prediction."""
    if target_of(path, plan.options.work) is not None:
        found = stored_fingerprint(path, plan.options.work)
        return found is not None and found == object_fingerprint(plan, identity)
    return path.exists() and read_fingerprint(path) == fingerprint(identity)


def refuse_existing(plan: PredictionPlan, identity: Mapping[str, Any]) -> None:
    """Refuse to replace files, but those that an interrupted call has made; remove their parts.

    Raises:
        FileExistsError: If one exists that is not of this prediction, or all do.
    """
    if is_made(plan, identity):
        # all that was left to do when the last call was stopped
        remove_leftover(plan.folder, identity)
        clear(plan.output.files, plan.options.work)
    refuse_files(plan, identity)


def refuse_files(plan: PredictionPlan, identity: Mapping[str, Any]) -> None:
    """Refuse to replace files as :func:`refuse_existing` does, but remove nothing.

    Raises:
        FileExistsError: If one exists that is not of this prediction, or all do.
    """
    complete = is_made(plan, identity)
    for final in plan.output.files:
        work = plan.options.work
        if has_result(final, work) and (complete or not _is_ours(plan, final, identity)):
            advice = 'remove it' if plan.shard else 'overwrite (--overwrite)'
            raise FileExistsError(f'{shown(final, work)} exists; pass another path, or {advice}')


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
