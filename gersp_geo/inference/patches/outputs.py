"""The table and the map of patches."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import __version__
from ...geoio.vector import Features, new_features
from ...geoio.write import new_patch_map
from .grid import draw_patches
from .preparing import PatchJob
from .streaming import PatchRow

# what is collected before it is written: row groups of a table are read as a whole
_COLLECTED_BYTES = 64 * 2**20

# of a patch beside its numbers: polygon, its bytes in the file, name
_PATCH_BYTES = 512

type WritePatches = Callable[[PatchRow], None]
"""Takes described patches."""


@contextmanager
def new_outputs(job: PatchJob) -> Iterator[WritePatches]:
    """Write the files of a job; each appears when the block succeeds.

    Args:
        job: What is to be done.

    Yields:
        A function that takes patches.

    Raises:
        FileExistsError: If a file exists and may not be replaced.
        OSError: If there is no room.
    """
    with ExitStack() as stack:
        writers = []
        # finished last to first: the map, for which there may be no room, before the table
        if job.files.table is not None:
            writers.append(stack.enter_context(_new_table(job)))
        if job.files.raster is not None:
            writers.append(stack.enter_context(_new_map(job)))

        def write(patches: PatchRow) -> None:
            for each in writers:
                each(patches)

        yield write


def best_classes(patches: PatchRow) -> NDArray[np.int64]:
    """Choose the class of each patch; of equal ones the first."""
    assert patches.probabilities is not None
    return patches.probabilities.argmax(axis=1)


@contextmanager
def _new_table(job: PatchJob) -> Iterator[WritePatches]:
    """Write a row per patch."""
    assert job.files.table is not None
    held: list[PatchRow] = []
    held_bytes = 0
    with new_features(
        job.files.table,
        crs=job.plan.header.crs,
        attributes=job.attributes,
        metadata={'gersp_geo': _origin(job)},
        overwrite=job.options.cutting.overwrite,
    ) as write_features:

        def flush() -> None:
            polygons = [
                draw_patches(job.plan.header, job.plan.tiles, row=some.row, cols=some.cols)
                for some in held
            ]
            columns = [_to_columns(job, some) for some in held]
            merged = {name: np.concatenate([c[name] for c in columns]) for name in columns[0]}
            write_features(Features(polygons=np.concatenate(polygons), columns=merged))
            held.clear()

        def write(patches: PatchRow) -> None:
            nonlocal held_bytes
            held.append(patches)
            held_bytes += _count_bytes(patches)
            if held_bytes >= _COLLECTED_BYTES:
                flush()
                held_bytes = 0

        yield write
        if held:
            flush()


def _count_bytes(patches: PatchRow) -> int:
    """Count what is held of some patches."""
    arrays = (patches.cols, patches.vectors, patches.probabilities)
    numbers = sum(array.nbytes for array in arrays if array is not None)
    return numbers + _PATCH_BYTES * len(patches.cols)


def _to_columns(job: PatchJob, patches: PatchRow) -> dict[str, NDArray[Any]]:
    """Turn patches into columns of the table."""
    count = len(patches.cols)
    columns: dict[str, NDArray[Any] | None] = {
        'row': np.full(count, patches.row),
        'col': patches.cols,
        'observed': patches.observed,
        'probabilities': patches.probabilities,
        'embedding': patches.vectors,
    }
    if job.has_classes:
        assert patches.probabilities is not None
        best = best_classes(patches)
        columns['class'] = best
        columns['class_name'] = np.array(job.class_names, dtype=np.object_)[best]
        columns['score'] = patches.probabilities[np.arange(count), best]
    return {name: values for name, values in columns.items() if values is not None}


@contextmanager
def _new_map(job: PatchJob) -> Iterator[WritePatches]:
    """Write a pixel per patch."""
    assert job.files.raster is not None
    tags = {'TIFFTAG_SOFTWARE': f'gersp_geo {__version__}', **_tags(job)}
    with new_patch_map(
        job.files.raster,
        job.layout,
        tags,
        overview_resampling='mode' if job.has_classes else 'average',
        overwrite=job.options.cutting.overwrite,
    ) as write_row:

        def write(patches: PatchRow) -> None:
            values = _to_pixels(job, patches)
            first = int(patches.cols[0])
            # patches left out between others are nodata
            row = np.full(
                (len(values), int(patches.cols[-1]) + 1 - first),
                job.layout.nodata,
                dtype=job.layout.dtype,
            )
            row[:, patches.cols - first] = values
            write_row(patches.row, first, row)

        yield write


def _to_pixels(job: PatchJob, patches: PatchRow) -> NDArray[Any]:
    """Turn patches into pixels of the map, shape (bands, n)."""
    if job.has_classes:
        return best_classes(patches)[np.newaxis]
    values = patches.vectors if job.model.scores is None else patches.probabilities
    assert values is not None
    return values.T


def _tags(job: PatchJob) -> dict[str, str]:
    """Say how the patches were described."""
    tiles, plan = job.plan.tiles, job.plan
    return {
        'MODEL': job.model.name,
        'PATCH_SIZE': str(tiles.size),
        'PATCH_OVERLAP': str(tiles.overlap),
        'INPUT_BANDS': ','.join(map(str, plan.bands)),
        **({} if plan.observed == 'auto' else {'OBSERVED': plan.observed}),
    }


def _origin(job: PatchJob) -> str:
    """Say the same, and what the numbers are, as JSON in the metadata of the table."""
    return json.dumps(
        {
            'software': f'gersp_geo {__version__}',
            'scene': job.plan.source,
            **{name.lower(): value for name, value in _tags(job).items()},
            'class_names': list(job.class_names),
            'preprocessing': job.model.preprocessing.to_dict(),
        }
    )
