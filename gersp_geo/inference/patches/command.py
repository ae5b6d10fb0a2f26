"""What ``gersp-geo predict`` does with backbones and classifiers: describe the patches of scenes."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from ..preview import check_picture, write_patches_preview
from ..scenes import check_names, find_scenes, names_one, picture_of
from .engine import run_patches
from .options import PatchOptions, PatchTask
from .preparing import PatchJob, load_patch_model, prepare_patches
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

    previews: tuple[str, ...] = ()
    """Pictures that were written."""

    def __str__(self) -> str:
        """Lay the summaries out for a terminal, failures last."""
        lines = [str(summary) for summary in self.summaries]
        lines += [f'preview  {path}' for path in self.previews]
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
        preview: Picture of a single scene and its patches to write; a folder for several.
        progress: Whether to show a progress bar per scene.
        **options: As in these functions.

    Returns:
        What was written.

    Raises:
        ValueError: As these functions, or if options do not fit.
        OSError: As these functions.
    """
    chosen = PatchOptions.of(options)
    jobs = _list_jobs(source, destination, chosen)
    is_single = len(jobs) == 1 and names_one(source)
    loaded = load_patch_model(task, model, chosen)
    done, failed, drawn = [], [], []
    for scene, file in jobs.items():
        picture = picture_of(preview, file, is_single=is_single)
        try:
            if picture is not None:
                check_picture(picture, overwrite=chosen.cutting.overwrite)
            job = prepare_patches(loaded, scene, file, chosen)
            if picture is not None and job.files.table is None:
                raise ValueError(
                    f'a preview is drawn from a table, and {file} is none; write a .parquet file, '
                    'with the map beside it (--raster)'
                )
            done.append(run_patches(job, progress=progress))
            if picture is not None:
                drawn.append(_draw(job, picture))
        except (OSError, ValueError) as error:
            if is_single:
                raise
            failed.append((scene, ' '.join(str(error).split())))
    return PatchesSummary(summaries=tuple(done), failures=tuple(failed), previews=tuple(drawn))


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


def _draw(job: PatchJob, picture: Path) -> str:
    """Draw the scene beside its patches."""
    assert job.files.table is not None
    plan, layout = job.plan, job.layout
    write_patches_preview(
        plan.source, job.files.table, picture, header=plan.header, tiles=plan.tiles,
        bands=plan.bands, nodata=plan.nodata, names=layout.class_names,
        colors=layout.class_colors, overwrite=True,
    )  # fmt: skip
    return str(picture)


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
