"""One scene or many: which files are meant, and what became of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from .engine import is_made, run_plan
from .identity import identify
from .loading import Forward, LoadedModel, load_model
from .options import PredictionOptions
from .outputs import PredictionSummary
from .plan import PredictionPlan
from .preparing import plan_prediction, prepare
from .preview import check_picture, write_preview

# what a folder is searched for
_SUFFIXES = ('.tif', '.tiff', '.gtif', '.vrt', '.jp2', '.img')


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenesSummary:
    """What became of several scenes."""

    summaries: tuple[PredictionSummary, ...]
    """Of those that were predicted."""

    made_before: tuple[str, ...] = ()
    """Maps of others that an earlier call had made of the same scene, by the same model and options."""

    failures: tuple[tuple[str, str], ...] = ()
    """Of the others: scene, and what was wrong with it."""

    previews: tuple[str, ...] = ()
    """Pictures that were written."""

    def __str__(self) -> str:
        """Lay the summaries out for a terminal, failures last."""
        lines = [str(summary) for summary in self.summaries]
        lines += [f'preview  {path}' for path in self.previews]
        count = len(self.summaries) + len(self.made_before) + len(self.failures)
        if count > 1:
            before = f', {len(self.made_before)} before' if self.made_before else ''
            lines.append(f'{len(self.summaries)} of {count} scenes predicted{before}')
        lines += [f'failed   {scene}: {reason}' for scene, reason in self.failures]
        return '\n'.join(lines)


def predict_scenes(
    model: str | PathLike[str] | Forward,
    source: Sequence[str | PathLike[str]],
    destination: str | PathLike[str],
    *,
    preview: str | PathLike[str] | None = None,
    progress: bool = True,
    **options: Any,
) -> ScenesSummary:
    """Predict one scene into a file, or several into a folder, one after the other.

    Args:
        model: As in :func:`.engine.predict_geotiff`; loaded once.
        source: Files, names that GDAL understands, folders or patterns.
        destination: The map of a single scene; a folder for several, in which each map is called
            like its scene.
        preview: Picture of a single scene and its map to write; a folder for several.
        progress: Whether to show a progress bar per scene.
        **options: As in :func:`.engine.predict_geotiff`.

    Returns:
        What was produced. A scene of several that fails does not stop the others.

    Raises:
        FileNotFoundError: If a folder or pattern holds no scene, or the model does not exist.
        ValueError: If the options do not fit any scene, or two scenes have one name.
        OSError: If a single scene fails.
    """
    chosen = PredictionOptions(**options)
    scenes = find_scenes(source)
    is_single = len(scenes) == 1 and names_one(source)
    jobs = {
        scene: Path(destination) if is_single else Path(destination, _map_name(scene))
        for scene in scenes
    }
    check_names(jobs)
    if chosen.probabilities is not None and not is_single:
        raise ValueError(
            "probabilities name one file; for several scenes, pass output='probabilities'"
        )
    _check_pair(chosen, scenes, is_single=is_single)
    loaded = _load(model, chosen)
    done, there, failed, pictures = [], [], [], []
    for scene, final in jobs.items():
        picture = picture_of(preview, final, is_single=is_single)
        try:
            if picture is not None:
                check_picture(picture, overwrite=chosen.overwrite or not is_single)
            placed, plan = prepare(loaded, scene, final, chosen, may_exist=not is_single)
            if not (is_single or chosen.overwrite) and is_made(plan, identify(placed, plan)):
                there.append(str(final))
                continue
            summary = run_plan(placed, plan, progress=progress)
            done.append(summary)
            if picture is not None and summary.complete:
                pictures.append(_preview(plan, summary, picture))
        except (OSError, ValueError) as error:
            if is_single:
                raise
            failed.append((scene, ' '.join(str(error).split())))
    return ScenesSummary(
        summaries=tuple(done),
        made_before=tuple(there),
        failures=tuple(failed),
        previews=tuple(pictures),
    )


def plan_scenes(
    model: str | PathLike[str] | Forward,
    source: Sequence[str | PathLike[str]],
    destination: str | PathLike[str],
    *,
    calibrate: bool = False,
    progress: bool = True,
    **options: Any,
) -> tuple[str, bool]:
    """Say what :func:`predict_scenes` would do with the same arguments.

    Args:
        model: As in :func:`predict_scenes`.
        source: As in :func:`predict_scenes`.
        destination: As in :func:`predict_scenes`.
        calibrate: As in :func:`.preparing.plan_prediction`.
        progress: Accepted so that one set of arguments serves both.
        **options: As in :func:`predict_scenes`.

    Returns:
        One plan per scene, or what is wrong with it, as text; and whether all could be made.
    """
    chosen = PredictionOptions(**options)
    scenes = find_scenes(source)
    is_single = len(scenes) == 1 and names_one(source)
    _check_pair(chosen, scenes, is_single=is_single)
    loaded = _load(model, chosen)
    plans, failures = [], []
    for scene in scenes:
        final = Path(destination) if is_single else Path(destination, _map_name(scene))
        try:
            plan = plan_prediction(loaded, scene, final, calibrate=calibrate, **options)
            plans.append(str(plan))
        except (OSError, ValueError) as error:
            if is_single:
                raise
            failures.append(f'failed     {scene}: {" ".join(str(error).split())}')
    return '\n\n'.join([*plans, *failures]), not failures


def _load(model: str | PathLike[str] | Forward, options: PredictionOptions) -> LoadedModel:
    """Load the model once for all scenes."""
    return load_model(
        model,
        preprocessing=options.preprocessing,
        task_class=options.task_class,
        dates=options.dates,
    )


def _check_pair(options: PredictionOptions, scenes: Sequence[str], *, is_single: bool) -> None:
    """Refuse several earlier scenes for one later one."""
    if options.after is not None and not is_single:
        raise ValueError(
            f'after (--after) is the later date of one scene, got {len(scenes)} scenes from a folder or '
            'a list; predict one pair per call'
        )


def find_scenes(sources: Sequence[str | PathLike[str]]) -> list[str]:
    """List the scenes that are meant.

    Args:
        sources: Files, names that only GDAL understands, folders (their rasters, without those in
            folders of theirs), or patterns with ``*``, ``?`` or ``[``.

    Returns:
        Names, each once, in the order given; those of a folder or pattern sorted.

    Raises:
        FileNotFoundError: If a folder or pattern holds none.
    """
    found: dict[str, None] = {}
    for given in sources:
        source = fspath(given)
        if Path(source).is_dir():
            names = sorted(str(path) for path in Path(source).iterdir() if _is_raster(path))
        elif has_magic(source) and not Path(source).exists() and '://' not in source:
            names = sorted(n for n in glob(source, recursive=True) if _is_raster(Path(n)))
        else:
            names = [source]
        if not names:
            raise FileNotFoundError(f'{source} holds no raster ({", ".join(_SUFFIXES)})')
        found |= dict.fromkeys(names)
    return list(found)


def _is_raster(path: Path) -> bool:
    """Say whether a file looks like a raster by its name."""
    return path.suffix.lower() in _SUFFIXES and not path.name.startswith('.')


def names_one(sources: Sequence[str | PathLike[str]]) -> bool:
    """Say whether one file is named, rather than a folder or a pattern that happens to hold one."""
    only = fspath(sources[0])
    return (
        len(sources) == 1
        and not Path(only).is_dir()
        and (not has_magic(only) or Path(only).exists())
    )


def _map_name(scene: str) -> str:
    """Name the map of a scene."""
    return f'{Path(scene).stem}.tif'


def check_names(jobs: dict[str, Path]) -> None:
    """Refuse two scenes whose maps would have one name."""
    scenes: dict[Path, str] = {}
    for scene, final in jobs.items():
        if final in scenes:
            raise ValueError(f'{scenes[final]} and {scene} would both become {final}; rename one')
        scenes[final] = scene


def picture_of(preview: str | PathLike[str] | None, final: Path, *, is_single: bool) -> Path | None:
    """Name the picture of a map."""
    if preview is None:
        return None
    return Path(preview) if is_single else Path(preview, f'{final.stem}.png')


def _preview(plan: PredictionPlan, summary: PredictionSummary, path: Path) -> str:
    """Draw the scene beside its map."""
    write_preview(
        plan.source,
        plan.destination,
        path,
        bands=plan.bands,
        nodata=plan.nodata,
        class_pixels=summary.class_pixels or None,
        overwrite=True,
        after=None if plan.after is None else plan.after.path,
        after_bands=None if plan.after is None else plan.after.bands,
    )
    return str(path)
