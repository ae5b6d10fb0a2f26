"""One scene or many: which files are meant, what becomes of each, and what became of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from warnings import catch_warnings

from ..datasets.scene_names import Name, Paths, find_rasters, names_one, split_names
from ..geoio.formats import FEATURE_SUFFIXES, GEOTIFF_SUFFIXES, PICTURE_SUFFIXES
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
    source: Paths,
    destination: Name,
    *,
    suffix: str,
    preview: Name | None = None,
    work: Name | None = None,
) -> Jobs:
    """Say which scene becomes which file.

    Args:
        source: As in :func:`~gersp_geo.datasets.scene_names.find_rasters`.
        destination: The file of a single scene; a folder for several, in which each file is called
            like its scene.
        suffix: How files in a folder end.
        preview: Picture of a single scene; a folder for several.
        work: Folder in which what becomes an object in a store is made.

    Returns:
        What is made.

    Raises:
        FileNotFoundError: If a scene does not exist, or a folder, list or pattern holds none.
        ValueError: If two scenes would become one file, a folder is called like a file, or an
            output is neither on a local disk nor in a store that is written to.
    """
    final = made_as(destination, work)
    picture = None if preview is None else made_as(preview, work)
    names = split_names(source)
    scenes = find_scenes(names, results=(destination, preview))
    if names_one(names):
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
            raise ValueError(
                f'{other} and {scene} would both become {both}; rename one, or predict them into '
                'two folders'
            )
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


def find_scenes(source: Paths, *, results: Sequence[Name | None] = ()) -> list[str]:
    """List the scenes that are meant, without results of earlier calls in a folder among them.

    Args:
        source: As in :func:`~gersp_geo.datasets.scene_names.find_rasters`.
        results: Where results go.

    Raises:
        FileNotFoundError: If a scene does not exist, or a folder, list or pattern holds none.
        ValueError: If a file belongs to another one, or a list cannot be read.
    """
    return find_rasters(source, without=[name for name in results if name is not None])


def check_present(source: Paths, *, model: Name | None) -> None:
    """Refuse what is not there, without what opens it.

    Args:
        source: As in :func:`find_scenes`.
        model: File of a model, or a name of one elsewhere; None where it may be something else.

    Raises:
        FileNotFoundError: If the model or a scene does not exist, or a folder, list or pattern
            holds no scene.
        ValueError: As :func:`find_scenes` says.
    """
    if model is not None and not is_elsewhere(model) and not Path(model).is_file():
        raise FileNotFoundError(f'{model} does not exist')
    # who lists them for the work warns
    with catch_warnings(action='ignore'):
        find_scenes(source)


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


def _check_folder(path: Path, *, name: str) -> None:
    """Refuse a folder for several scenes whose name is that of a file."""
    if path.is_file() or (path.suffix.lower() in _FILE_SUFFIXES and not path.is_dir()):
        raise ValueError(
            f'several scenes become a folder, and {name} looks like a file; pass the name of '
            'a folder'
        )
