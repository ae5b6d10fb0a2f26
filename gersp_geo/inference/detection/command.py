"""What ``gersp-geo predict`` and ``plan`` do with detectors, of one scene or many."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from ..loading import load_model
from ..preview import check_picture
from ..scenes import check_names, find_scenes, names_one, picture_of
from .engine import run_detection
from .options import DetectionOptions
from .preparing import prepare_detection
from .summary import DetectionSummary

# of the file of a scene, where several are predicted into a folder
_SUFFIX = '.gpkg'


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectsSummary:
    """What became of some scenes."""

    summaries: tuple[DetectionSummary, ...]
    """Of those in which objects were looked for."""

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


def detect_scenes(
    model: str | PathLike[str],
    source: Sequence[str | PathLike[str]],
    destination: str | PathLike[str],
    *,
    preview: str | PathLike[str] | None = None,
    progress: bool = True,
    **options: Any,
) -> ObjectsSummary:
    """Find the objects in one scene, or in several, one after the other.

    Args:
        model: Checkpoint of a detection task; loaded once.
        source: Files, names that GDAL understands, folders or patterns.
        destination: File for a single scene, folder of GeoPackages for several.
        preview: Picture of a single scene and its objects to write; a folder for several.
        progress: Whether to show a progress bar per scene.
        **options: As in :func:`.engine.detect_objects`.

    Returns:
        What was found. A scene of several that fails does not stop the others.

    Raises:
        FileNotFoundError: If a folder or pattern holds no scene, or the model does not exist.
        ValueError: If an option does not fit, or two scenes have one name.
        OSError: If a single scene fails.
    """
    chosen = DetectionOptions.of(options)
    cutting = chosen.cutting
    jobs = _list_jobs(source, destination)
    is_single = len(jobs) == 1 and names_one(source)
    loaded = load_model(model, preprocessing=cutting.preprocessing, task_class=cutting.task_class)
    done, failed = [], []
    for scene, file in jobs.items():
        picture = picture_of(preview, file, is_single=is_single)
        try:
            if picture is not None:
                check_picture(picture, overwrite=cutting.overwrite or not is_single)
            detection = prepare_detection(loaded, scene, file, chosen)
            done.append(run_detection(detection, picture=picture, progress=progress))
        except (OSError, ValueError) as error:
            if len(jobs) == 1:
                raise
            failed.append((scene, ' '.join(str(error).split())))
    return ObjectsSummary(summaries=tuple(done), failures=tuple(failed))


def plan_detections(
    model: str | PathLike[str],
    source: Sequence[str | PathLike[str]],
    destination: str | PathLike[str],
    *,
    calibrate: bool = False,
    progress: bool = True,
    **options: Any,
) -> tuple[str, bool]:
    """Say what :func:`detect_scenes` would do with the same arguments.

    Args:
        model: As there.
        source: As there.
        destination: As there.
        calibrate: Refused: there is no estimate of time.
        progress: Accepted so that one set of arguments serves both.
        **options: As there.

    Returns:
        One plan per scene, or what is wrong with it, as text; and whether all could be made.

    Raises:
        ValueError: As there, or if *calibrate*.
        OSError: As there.
    """
    if calibrate:
        raise ValueError('calibrate is for maps, and a plan of objects tells no time; leave it out')
    chosen = DetectionOptions.of(options)
    cutting = chosen.cutting
    jobs = _list_jobs(source, destination)
    loaded = load_model(model, preprocessing=cutting.preprocessing, task_class=cutting.task_class)
    plans, failures = [], []
    for scene, file in jobs.items():
        try:
            planned = prepare_detection(loaded, scene, file, chosen).plan
            plans.append(f'{planned}\n{"objects":<10} {file}')
        except (OSError, ValueError) as error:
            if len(jobs) == 1:
                raise
            failures.append(f'failed     {scene}: {" ".join(str(error).split())}')
    return '\n\n'.join([*plans, *failures]), not failures


def _list_jobs(
    source: Sequence[str | PathLike[str]], destination: str | PathLike[str]
) -> dict[str, Path]:
    """Say which scene becomes which file."""
    scenes = find_scenes(source)
    if len(scenes) == 1 and names_one(source):
        return {scenes[0]: Path(destination)}
    jobs = {scene: Path(destination, Path(scene).stem + _SUFFIX) for scene in scenes}
    check_names(jobs)
    return jobs
