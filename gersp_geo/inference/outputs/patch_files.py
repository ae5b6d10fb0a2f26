"""The table and the map of patches."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...geoio.fingerprints import FINGERPRINT_TAG
from ...geoio.vector import Attribute, Features, new_features
from ...geoio.write import MapLayout, OverviewResampling, new_patch_map
from ..plan import PredictionPlan
from .patch_grid import draw_patches
from .patch_rows import PatchRow

# what is collected before it is written: row groups of a table are read as a whole
_COLLECTED_BYTES = 64 * 2**20

# of a patch beside its numbers: polygon, its bytes in the file, name
_PATCH_BYTES = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchFiles:
    """How patches are written."""

    layout: MapLayout
    """Of the map of patches."""

    attributes: tuple[Attribute, ...]
    """Columns of the table."""

    class_names: tuple[str, ...]
    """Names of the logits' classes or labels; empty without logits."""

    has_classes: bool
    """Whether each patch is of one class."""


type WritePatches = Callable[[PatchRow], None]
"""Takes described patches."""


@contextmanager
def new_table(
    path: Path, files: PatchFiles, plan: PredictionPlan, tags: Mapping[str, str]
) -> Iterator[WritePatches]:
    """Write a row per patch.

    Args:
        path: GeoParquet to write.
        files: What it holds.
        plan: Says where patches lie.
        tags: How they were described, name to value.

    Yields:
        A function that takes patches.
    """
    held: list[PatchRow] = []
    held_bytes = 0
    metadata = {'gersp_geo': _origin(files, plan, tags), FINGERPRINT_TAG: tags[FINGERPRINT_TAG]}
    with new_features(
        path, crs=plan.header.crs, attributes=files.attributes, metadata=metadata, overwrite=True
    ) as write_features:

        def flush() -> None:
            polygons = [
                draw_patches(plan.header, plan.tiles, row=some.row, cols=some.cols) for some in held
            ]
            columns = [_to_columns(files, some) for some in held]
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


def _to_columns(files: PatchFiles, patches: PatchRow) -> dict[str, NDArray[Any]]:
    """Turn patches into columns of the table."""
    count = len(patches.cols)
    columns: dict[str, NDArray[Any] | None] = {
        'row': np.full(count, patches.row),
        'col': patches.cols,
        'observed': patches.observed,
        'probabilities': patches.probabilities,
        'embedding': patches.vectors,
    }
    if 'value' in {attribute.name for attribute in files.attributes}:
        values = columns.pop('embedding')
        assert values is not None
        columns['value'] = values[:, 0] if values.shape[1] == 1 else values
    if files.has_classes:
        assert patches.probabilities is not None
        best = patches.best_classes
        columns['class'] = best
        columns['class_name'] = np.array(files.class_names, dtype=np.object_)[best]
        columns['score'] = patches.probabilities[np.arange(count), best]
    return {name: values for name, values in columns.items() if values is not None}


@contextmanager
def new_map(path: Path, files: PatchFiles, tags: Mapping[str, str]) -> Iterator[WritePatches]:
    """Write a pixel per patch.

    Args:
        path: GeoTIFF to write.
        files: What it holds.
        tags: How patches were described, name to value.

    Yields:
        A function that takes patches.
    """
    layout = files.layout
    overviews: OverviewResampling = 'mode' if files.has_classes else 'average'
    with new_patch_map(
        path, layout, tags, overview_resampling=overviews, overwrite=True
    ) as write_row:

        def write(patches: PatchRow) -> None:
            values = _to_pixels(files, patches)
            first = int(patches.cols[0])
            # patches left out between others are nodata
            shape = (len(values), int(patches.cols[-1]) + 1 - first)
            row = np.full(shape, layout.nodata, dtype=layout.dtype)
            row[:, patches.cols - first] = values
            write_row(patches.row, first, row)

        yield write


def _to_pixels(files: PatchFiles, patches: PatchRow) -> NDArray[Any]:
    """Turn patches into pixels of the map, shape (bands, n)."""
    if files.has_classes:
        return patches.best_classes[np.newaxis]
    values = patches.vectors if patches.probabilities is None else patches.probabilities
    assert values is not None
    return values.T


def _origin(files: PatchFiles, plan: PredictionPlan, tags: Mapping[str, str]) -> str:
    """Say how patches were described, and what the numbers are, as JSON."""
    named = {
        'software' if name == 'TIFFTAG_SOFTWARE' else name.lower(): value
        for name, value in tags.items()
    }
    return json.dumps(
        {
            **named,
            'scene': plan.source,
            'class_names': list(files.class_names),
            'preprocessing': plan.loaded.preprocessing.to_dict(),
        }
    )
