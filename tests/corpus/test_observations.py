"""Any type, tag, mask and rule: an observation is what was written as one."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from tests.corpus.command import Command, Models
from tests.corpus.comparing import check_values, check_vectors
from tests.corpus.oracle import Scene
from tests.corpus.rasters import TYPES, draw, placed, write

TAGS: dict[str, tuple[float, ...]] = {
    'u': (0.0, 255.0, 7.0),
    'i': (0.0, -1.0, -128.0),
    'f': (0.0, -9999.0, float('nan'), -0.1),
}


@st.composite
def scenes(draw_: st.DrawFn) -> dict[str, Any]:
    """Choose a scene."""
    dtype = draw_(st.sampled_from(TYPES))
    values = TAGS[dtype[0]]
    where = draw_(st.sampled_from(['untold', 'tag', 'given', 'tag and given']))
    return {
        'dtype': dtype,
        'count': draw_(st.sampled_from([1, 2, 3, 4])),
        'shape': (draw_(st.integers(1, 50)), draw_(st.integers(1, 50))),
        'tag': draw_(st.sampled_from(values)) if 'tag' in where else None,
        'given': draw_(st.sampled_from(values)) if 'given' in where else None,
        'mask': draw_(st.sampled_from(['none', 'inside', 'beside', 'transparency']))
        if dtype not in ('i1', 'f2')
        else 'none',
        'unreal': dtype[0] == 'f' and draw_(st.booleans()),
        'interleave': draw_(st.sampled_from(['pixel', 'band'])),
        'rule': draw_(st.sampled_from(['', '', 'any', 'all'])),
        'seed': draw_(st.integers(0, 9)),
    }


def build(folder: Path, chosen: dict[str, Any]) -> Scene:
    """Write a scene, and say what is missing where."""
    dtype, count, (rows, cols) = chosen['dtype'], chosen['count'], chosen['shape']
    generator = np.random.default_rng(chosen['seed'])
    pixels, missing = draw(count, dtype, rows=rows, cols=cols), np.zeros((count, rows, cols), bool)
    marks = [value for value in (chosen['tag'], chosen['given']) if value is not None]
    marks += [float('nan'), float('inf')] if chosen['unreal'] else []
    for value in marks:
        for hole in (
            generator.random((count, rows, cols)) < 0.1,
            shared(generator, count, rows, cols),
        ):
            pixels[hole] = np.asarray(value).astype(dtype)
    for value in marks:
        with np.errstate(invalid='ignore'):
            mark = np.asarray(value).astype(dtype)
        # NaN equals nothing, and is missing anyway
        missing |= pixels == mark
    if dtype[0] == 'f':
        missing |= ~np.isfinite(pixels)
    how = {'nodata': chosen['tag'], 'interleave': chosen['interleave'], 'photometric': 'MINISBLACK'}
    hidden = None if chosen['mask'] == 'none' else generator.random((rows, cols)) < 0.3
    path = _write(folder / 'a.tif', pixels, hidden, chosen['mask'], how)
    is_small = np.dtype(dtype).itemsize == 1
    return placed(
        path, pixels, missing=missing, hidden=hidden, filled=not is_small,
        rule=chosen['rule'] or ('any' if is_small else 'all'),
        options=(
            *(('--observed', chosen['rule']) if chosen['rule'] else ()),
            *(('--nodata', repr(chosen['given'])) if chosen['given'] is not None else ()),
        ),
    )  # fmt: skip


def shared(generator: np.random.Generator, count: int, rows: int, cols: int) -> NDArray[np.bool_]:
    """Draw holes that all bands share."""
    hole = generator.random((rows, cols)) < 0.1
    hole[rows // 2 :, : cols // 2] = True
    return np.broadcast_to(hole, (count, rows, cols))


def _write(
    path: Path,
    pixels: NDArray[Any],
    hidden: NDArray[np.bool_] | None,
    mask: str,
    how: dict[str, Any],
) -> Path:
    """Write pixels and what hides them."""
    if mask == 'transparency':
        assert hidden is not None
        opaque = np.where(hidden, 0, 255 if pixels.dtype.kind != 'i' else 127).astype(pixels.dtype)
        colors = (*(ColorInterp.undefined,) * len(pixels), ColorInterp.alpha)
        return write(path, np.concatenate([pixels, opaque[None]]), colors=colors, **how)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=mask == 'inside'):
        return write(path, pixels, mask=None if hidden is None else ~hidden, **how)


@settings(derandomize=True)
@given(scenes())
def test_an_observation_is_what_was_written_as_one(
    command: Command, models: Models, chosen: dict[str, Any]
) -> None:
    with TemporaryDirectory(dir=command.folder) as name:
        here = replace(command, folder=Path(name))
        check_values(build(Path(name), chosen), here, models)


@pytest.mark.slow
@given(scenes())
def test_so_it_is_in_patches(command: Command, models: Models, chosen: dict[str, Any]) -> None:
    with TemporaryDirectory(dir=command.folder) as name:
        here = replace(command, folder=Path(name))
        check_vectors(build(Path(name), chosen), here, models)
