"""One scene or many: which files are meant, what becomes of each, and what became of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from os import PathLike, fspath
from pathlib import Path

from ..geoio.formats import FEATURE_SUFFIXES, GEOTIFF_SUFFIXES, PICTURE_SUFFIXES, SCENE_SUFFIXES
from ..geoio.read import is_local
from ..geoio.storage import is_remote, list_objects
from ..messages import one_line
from ..models.remote_files import is_elsewhere
from .stored_results import made_as, shown, target_of

# names that end so are those of files, not of folders
_FILE_SUFFIXES = (*GEOTIFF_SUFFIXES, *FEATURE_SUFFIXES, *PICTURE_SUFFIXES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is made of one scene."""

    scene: str
    """The scene."""

    final: Path
    """The file made of it; for a store, what is uploaded."""

    target: str | None = None
    """The object that it becomes in a store; None for a file that stays on a disk."""

    picture: Path | None = None
    """The picture of both; None without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    """What is made of all scenes."""

    scenes: tuple[Job, ...]
    """One per scene."""

    is_single: bool
    """Whether one file is named, and made of one scene; else a folder is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of one scene."""

    summary: object | None
    """What was produced, to be printed; None if an earlier call had made it of the same scene, by
    the same model and options."""

    picture: str | None = None
    """The picture that was drawn, unless the summary names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenesSummary:
    """What became of some scenes."""

    results: tuple[Done, ...]
    """Of those that did not fail."""

    failures: tuple[tuple[str, str], ...]
    """Of the others: scene, and what was wrong with it."""

    verb: str
    """What was done to scenes, for the terminal: "predicted"."""

    def __str__(self) -> str:
        """Lay the summaries out for a terminal, failures last."""
        summaries = [str(done.summary) for done in self.results if done.summary is not None]
        lines = summaries + [f'preview  {done.picture}' for done in self.results if done.picture]
        count = len(self.results) + len(self.failures)
        if count > 1:
            before = len(self.results) - len(summaries)
            known = f', {before} before' if before else ''
            lines.append(f'{len(summaries)} of {count} scenes {self.verb}{known}')
        lines += [f'failed   {scene}: {reason}' for scene, reason in self.failures]
        if not lines:
            lines.append('another worker made the file, or it was made before')
        return '\n'.join(lines)


def list_jobs(
    source: Sequence[str | PathLike[str]],
    destination: str | PathLike[str],
    *,
    suffix: str,
    preview: str | PathLike[str] | None = None,
    work: str | PathLike[str] | None = None,
) -> Jobs:
    """Say which scene becomes which file.

    Args:
        source: As in :func:`find_scenes`.
        destination: The file of a single scene; a folder for several, in which each file is called
            like its scene.
        suffix: How files in a folder end.
        preview: Picture of a single scene; a folder for several.
        work: Folder in which what becomes an object in a store is made.

    Returns:
        What is made.

    Raises:
        FileNotFoundError: If a folder or pattern holds no scene.
        ValueError: If two scenes would become one file, a folder is called like a file, or an
            output is neither on a local disk nor in a store that is written to.
    """
    final = made_as(destination, work)
    picture = None if preview is None else made_as(preview, work)
    scenes = find_scenes(source)
    if len(scenes) == 1 and _names_one(source):
        job = Job(scene=scenes[0], final=final, target=target_of(final, work), picture=picture)
        return Jobs(scenes=(job,), is_single=True)
    for folder in (final, picture):
        if folder is not None:
            _check_folder(folder, name=shown(folder, work))
    known: dict[str, str] = {}
    for scene in scenes:
        other = known.setdefault(Path(scene).stem, scene)
        if other != scene:
            both = shown(final / (Path(scene).stem + suffix), work)
            raise ValueError(f'{other} and {scene} would both become {both}; rename one')
    return Jobs(
        scenes=tuple(
            Job(
                scene=scene,
                final=final / (stem + suffix),
                target=target_of(final / (stem + suffix), work),
                picture=None if picture is None else picture / f'{stem}.png',
            )
            for stem, scene in known.items()
        ),
        is_single=False,
    )


def check_present(
    source: Sequence[str | PathLike[str]], *, model: str | PathLike[str] | None
) -> None:
    """Refuse what is not there, without what opens it.

    Args:
        source: As in :func:`find_scenes`. One of several scenes may be missing.
        model: File of a model, or a name of one elsewhere; None where it may be something else.

    Raises:
        FileNotFoundError: If the model or the only scene does not exist, or a folder or pattern
            holds no scene.
    """
    if model is not None and not is_elsewhere(model) and not Path(model).is_file():
        raise FileNotFoundError(f'{model} does not exist')
    scenes = find_scenes(source)
    if _names_one(source) and is_local(scenes[0]) and not Path(scenes[0]).exists():
        raise FileNotFoundError(f'{scenes[0]} does not exist')


def run_jobs[Result](
    jobs: Jobs, work: Callable[[Job], Result]
) -> tuple[tuple[Result, ...], tuple[tuple[str, str], ...]]:
    """Do one job after the other; one of several that fails does not stop the others.

    Args:
        jobs: What is to be done.
        work: Does one of them.

    Returns:
        What came of those that did not fail; and of the others scene and reason, in one line.

    Raises:
        ValueError: If a single one fails.
        OSError: If a single one fails.
    """
    results, failures = [], []
    for job in jobs.scenes:
        try:
            results.append(work(job))
        except (OSError, ValueError) as error:
            if jobs.is_single:
                raise
            failures.append((job.scene, one_line(error)))
    return tuple(results), tuple(failures)


def find_scenes(sources: Sequence[str | PathLike[str]]) -> list[str]:
    """List the scenes that are meant.

    Args:
        sources: Files, names that only GDAL understands, folders (their rasters, without those in
            folders of theirs; in a store, names that end in a slash), or patterns with ``*``,
            ``?`` or ``[``.

    Returns:
        Names, each once, in the order given; those of a folder or pattern sorted.

    Raises:
        FileNotFoundError: If a folder or pattern holds none.
    """
    found: dict[str, None] = {}
    for given in sources:
        source = fspath(given)
        if is_remote(source) and source.endswith('/'):
            names = list_objects(source, SCENE_SUFFIXES)
        elif Path(source).is_dir():
            names = sorted(str(path) for path in Path(source).iterdir() if _is_raster(path))
        elif has_magic(source) and not Path(source).exists() and '://' not in source:
            names = sorted(n for n in glob(source, recursive=True) if _is_raster(Path(n)))
        else:
            names = [source]
        if not names:
            raise FileNotFoundError(f'{source} holds no raster ({", ".join(SCENE_SUFFIXES)})')
        found |= dict.fromkeys(names)
    return list(found)


def _is_raster(path: Path) -> bool:
    """Say whether a file looks like a raster by its name."""
    return path.suffix.lower() in SCENE_SUFFIXES and not path.name.startswith('.')


def _names_one(sources: Sequence[str | PathLike[str]]) -> bool:
    """Say whether one file is named, rather than a folder or a pattern that happens to hold one."""
    only = fspath(sources[0])
    return (
        len(sources) == 1
        and not Path(only).is_dir()
        and not (is_remote(only) and only.endswith('/'))
        and (not has_magic(only) or '://' in only or Path(only).exists())
    )


def _check_folder(path: Path, *, name: str) -> None:
    """Refuse a folder for several scenes whose name is that of a file."""
    if path.is_file() or (path.suffix.lower() in _FILE_SUFFIXES and not path.is_dir()):
        raise ValueError(
            f'several scenes become a folder, and {name} looks like a file; pass the name of '
            'a folder'
        )
