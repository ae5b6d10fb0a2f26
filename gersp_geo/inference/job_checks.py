"""What is refused of one scene or many before the model is loaded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..geoio.write import check_writable
from .options import PredictionOptions
from .output_paths import refuse_inputs
from .outputs.output import Maker
from .scenes import Jobs
from .stored_results import refuse_scenes, shown


def check_several(given: Mapping[str, Any], count: int) -> None:
    """Refuse options that belong to one scene.

    Args:
        given: Options by name, as they were given.
        count: Number of scenes.

    Raises:
        ValueError: If one is given.
    """
    if given.get('probabilities') is not None:
        raise ValueError(
            "probabilities name one file; for several scenes, pass output='probabilities'"
        )
    if given.get('raster') is not None:
        raise ValueError(
            f'raster names one file, {given["raster"]}, and there are several scenes; leave it '
            'out, or describe them one by one'
        )
    if given.get('after') is not None:
        raise ValueError(
            f'after (--after) is the second date of one scene, got {count} scenes from a folder or '
            'a list; predict two dates per call'
        )


def keep_apart(jobs: Jobs, maker: type[Maker], options: PredictionOptions) -> None:
    """Refuse files that would replace what another scene becomes, or a scene.

    Raises:
        ValueError: If one would.
    """
    made: dict[Path, str] = {}
    for job in jobs.scenes:
        for file in maker.list_files(job.final, options):
            other = made.setdefault(file.path, job.scene)
            if other != job.scene:
                raise ValueError(
                    f'{other} and {job.scene} would both become '
                    f'{shown(file.path, options.work)}; rename one'
                )
    if options.overwrite:
        scenes = [job.scene for job in jobs.scenes]
        refuse_inputs([*made], inputs=scenes)
        refuse_scenes([*made], options.work, inputs=[*scenes, options.after])


def keep_inputs(jobs: Jobs, options: Mapping[str, Any]) -> None:
    """Refuse outputs that cannot be made, or that would replace a file that is read.

    Raises:
        OSError: If one cannot be made.
        ValueError: If one is not on a local disk, or would replace such a file.
    """
    for job in jobs.scenes:
        for path in (job.final, job.picture):
            if path is not None:
                check_writable(path)
    for path in (options.get('probabilities'), options.get('raster')):
        if path is not None:
            check_writable(path)
    if not options.get('overwrite'):
        # whatever exists is refused
        return
    outputs = [path for job in jobs.scenes for path in (job.final, job.picture)]
    outputs += [options.get('probabilities'), options.get('raster')]
    inputs = [*(job.scene for job in jobs.scenes), options.get('after')]
    refuse_inputs(outputs, inputs=inputs)
    refuse_scenes(outputs, options.get('work'), inputs=[*inputs, options.get('area')])
    refuse_inputs(outputs, inputs=[options.get('area')], role='the area')
