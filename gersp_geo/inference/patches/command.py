"""What ``gersp-geo predict`` does with backbones and classifiers: describe the patches of scenes."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from ..scenes import check_names, find_scenes, names_one
from .engine import run_patches
from .options import PatchOptions, PatchTask
from .preparing import load_patch_model, prepare_patches
from .summary import PatchSummary

# of the file of a scene, where several are described into a folder
_SUFFIX = '.parquet'


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchesSummary:
    """What became of some scenes."""

    summaries: tuple[PatchSummary, ...]
    """Of those that were described."""

    failures: tuple[tuple[str, str], ...] = ()
    """Of the others: scene, and what was wrong with it."""

    def __str__(self) -> str:
        """Lay the summaries out for a terminal, failures last."""
        lines = [str(summary) for summary in self.summaries]
        count = len(self.summaries) + len(self.failures)
        if count > 1:
            lines.append(f'{len(self.summaries)} of {count} scenes done')
        lines += [f'failed   {scene}: {reason}' for scene, reason in self.failures]
        return '\n'.join(lines)


def describe_scenes(
    task: PatchTask,
    model: str | PathLike[str],
    source: Sequence[str | PathLike[str]],
    destination: str | PathLike[str],
    *,
    preview: str | PathLike[str] | None = None,
    progress: bool = True,
    **options: Any,
) -> PatchesSummary:
    """Describe the patches of scenes; one of several that fails does not stop the others.

    Args:
        task: Vectors or classes.
        model: As in :func:`.engine.embed_scene` or :func:`.engine.classify_scene`; loaded once.
        source: Files, names that GDAL understands, folders or patterns.
        destination: File for a single scene, folder of tables for several.
        preview: Refused for now.
        progress: Whether to show a progress bar per scene.
        **options: As in these functions.

    Returns:
        What was written.

    Raises:
        ValueError: As these functions, or if options do not fit.
        OSError: As these functions.
    """
    if preview is not None:
        raise ValueError(f'patches are drawn by a GIS; leave out the preview {preview}')
    chosen = PatchOptions.of(options)
    jobs = _list_jobs(source, destination, chosen)
    loaded = load_patch_model(task, model, chosen)
    done, failed = [], []
    for scene, file in jobs.items():
        try:
            job = prepare_patches(loaded, scene, file, chosen)
            done.append(run_patches(job, progress=progress))
        except (OSError, ValueError) as error:
            if len(jobs) == 1:
                raise
            failed.append((scene, ' '.join(str(error).split())))
    return PatchesSummary(summaries=tuple(done), failures=tuple(failed))


def plan_scenes(
    task: PatchTask,
    model: str | PathLike[str],
    source: Sequence[str | PathLike[str]],
    destination: str | PathLike[str],
    *,
    calibrate: bool = False,
    progress: bool = True,
    **options: Any,
) -> tuple[str, bool]:
    """Say what :func:`describe_scenes` would do with the same arguments.

    Args:
        task: As there.
        model: As there.
        source: As there.
        destination: As there.
        calibrate: Refused: time is estimated for maps only.
        progress: Accepted so that one set of arguments serves both.
        **options: As there.

    Returns:
        One plan per scene, or what is wrong with it, as text; and whether all could be made.

    Raises:
        ValueError: As there.
        OSError: As there.
    """
    if calibrate:
        raise ValueError('calibrate measures for maps of pixels; leave it out for patches')
    chosen = PatchOptions.of(options)
    jobs = _list_jobs(source, destination, chosen)
    loaded = load_patch_model(task, model, chosen)
    plans, failures = [], []
    for scene, file in jobs.items():
        try:
            plans.append(str(prepare_patches(loaded, scene, file, chosen)))
        except (OSError, ValueError) as error:
            if len(jobs) == 1:
                raise
            failures.append(f'failed     {scene}: {" ".join(str(error).split())}')
    return '\n\n'.join([*plans, *failures]), not failures


def _list_jobs(
    source: Sequence[str | PathLike[str]], destination: str | PathLike[str], options: PatchOptions
) -> dict[str, Path]:
    """Say which scene becomes which file."""
    scenes = find_scenes(source)
    if len(scenes) == 1 and names_one(source):
        return {scenes[0]: Path(destination)}
    if options.raster is not None:
        raise ValueError(
            f'raster names one file, {options.raster}, and there are several scenes; leave it out, or '
            'describe them one by one'
        )
    jobs = {scene: Path(destination, Path(scene).stem + _SUFFIX) for scene in scenes}
    check_names(jobs)
    return jobs
