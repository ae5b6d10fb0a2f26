"""Laws that hold for any engine of tiled prediction: pixels without an observation."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.windows import Window
from torch import Tensor, nn

from tests.inference.engines import (
    Blend,
    Engine,
    identity,
    new_scene,
    noise,
    on_every_engine,
    write_scene,
)

SIDE, SIZE, OVERLAP = 96, 16, 4
type Write = Callable[[Path, NDArray[np.uint8], NDArray[np.bool_]], Path]
every_blend = pytest.mark.parametrize('blend', ['hann', 'crop'])


def write_tag(path: Path, pixels: NDArray[np.uint8], hole: NDArray[np.bool_]) -> Path:
    return write_scene(path, np.where(hole, 0, pixels).astype('uint8'), nodata=0)


def write_large_tag(path: Path, pixels: NDArray[np.uint8], hole: NDArray[np.bool_]) -> Path:
    lowest = float(np.finfo('float32').min)
    return write_scene(path, np.where(hole, lowest, pixels).astype('float32'), nodata=lowest)


def write_nan(path: Path, pixels: NDArray[np.uint8], hole: NDArray[np.bool_]) -> Path:
    return write_scene(path, np.where(hole, np.nan, pixels).astype('float32'))


def write_mask_band(path: Path, pixels: NDArray[np.uint8], hole: NDArray[np.bool_]) -> Path:
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        new_scene(path, pixels.shape, dtype='uint8') as dst,
    ):
        dst.write(pixels)
        dst.write_mask(~hole)
    return path


def write_alpha(path: Path, pixels: NDArray[np.uint8], hole: NDArray[np.bool_]) -> Path:
    count, height, width = pixels.shape
    shape = (count + 1, height, width)
    with new_scene(path, shape, dtype='uint8', photometric='RGB', alpha='yes') as dst:
        dst.write(np.concatenate([pixels, np.where(hole, 0, 255).astype('uint8')[None]]))
        assert dst.colorinterp[-1] == ColorInterp.alpha
    return path


KINDS: dict[str, Write] = {
    'tag': write_tag,
    'lowest float': write_large_tag,
    'NaN': write_nan,
    'mask band': write_mask_band,
    'alpha': write_alpha,
}


@pytest.fixture
def pixels() -> NDArray[np.uint8]:
    """Three bands of different values, none of them 0."""
    return np.random.default_rng(3).integers(1, 255, (3, SIDE, SIDE), dtype='uint8')


def draw_holes() -> dict[str, NDArray[np.bool_]]:
    """Draw holes that hold whole batches of patches, parts of patches, or single pixels."""
    large, corner, collar, points = np.zeros((4, SIDE, SIDE), dtype=bool)
    large[20:75, 10:90] = True
    corner[50:, 40:] = True
    # nothing but a slanted band is observed, as in a satellite's swath
    rows, cols = np.indices((SIDE, SIDE))
    collar[np.abs(rows - cols) > 12] = True
    points[np.random.default_rng(4).random((SIDE, SIDE)) < 0.2] = True
    return {'inside': large, 'corner': corner, 'collar': collar, 'points': points}


HOLES = draw_holes()


@pytest.mark.quick('crop')
@on_every_engine('nodata')
@every_blend
def test_every_observed_pixel_returns_and_no_other(
    tmp_path: Path, engine: Engine, blend: Blend, pixels: NDArray[np.uint8]
) -> None:
    for (kind, write), (name, hole) in product(KINDS.items(), HOLES.items()):
        source = write(tmp_path / 'scene.tif', pixels, hole)
        stitched = engine.predict(
            identity, source, tmp_path, size=SIZE, overlap=OVERLAP, blend=blend, batch_size=5
        )
        expected = np.where(hole, np.nan, pixels)
        np.testing.assert_allclose(stitched, expected, rtol=1e-6, err_msg=f'{kind}, {name}')


@pytest.mark.quick('hann')
@on_every_engine('nodata')
@every_blend
def test_weights_sum_to_one_beside_skipped_patches(
    tmp_path: Path, engine: Engine, blend: Blend
) -> None:
    # habitat-mapper 0.16: a skipped patch leaves old values, two in one batch lose a real one
    def ones(images: Tensor) -> Tensor:
        return torch.ones_like(images)

    for name, hole in HOLES.items():
        source = write_tag(tmp_path / 'scene.tif', np.full((1, SIDE, SIDE), 9, 'uint8'), hole)
        expected = np.where(hole, np.nan, 1)[None]
        for overlap, batch_size in ((0, 3), (OVERLAP, 1), (OVERLAP, 64), (13, 3)):
            stitched = engine.predict(
                ones, source, tmp_path, size=SIZE, overlap=overlap, blend=blend,
                batch_size=batch_size,
            )  # fmt: skip
            np.testing.assert_allclose(stitched, expected, rtol=0, atol=1e-6, err_msg=name)


@pytest.mark.quick('hann')
@on_every_engine('nodata')
@every_blend
def test_a_hole_is_the_mean_of_its_band_to_what_lies_around(
    tmp_path: Path, engine: Engine, blend: Blend, pixels: NDArray[np.uint8]
) -> None:
    smooth = nn.AvgPool2d(5, stride=1, padding=2)
    margin = 2 if blend == 'hann' else 0
    for (kind, write), (name, hole) in product(KINDS.items(), HOLES.items()):
        source = write(tmp_path / 'scene.tif', pixels, hole)
        stitched = engine.predict(
            smooth, source, tmp_path, size=SIZE, overlap=OVERLAP, blend=blend, margin=margin
        )
        # the records of the tests have mean 0
        filled = np.where(hole, 0, pixels).astype('float32')
        padded = np.pad(filled, ((0, 0), (2, 2), (2, 2)), mode='reflect')
        whole = smooth(torch.from_numpy(padded)[None])[0, :, 2:-2, 2:-2].numpy()
        expected = np.where(hole, np.nan, whole)
        np.testing.assert_allclose(stitched, expected, rtol=0, atol=1e-4, err_msg=f'{kind}, {name}')


@on_every_engine('nodata')
@every_blend
def test_blocks_that_were_never_written_are_no_observation(
    tmp_path: Path, engine: Engine, blend: Blend
) -> None:
    # no nodata value: what was never written reads as 0, which may be a value elsewhere
    path = tmp_path / 'scene.tif'
    part = noise((2, 32, 48))
    part[:, :5, :7] = 0
    with new_scene(path, (2, 130, 140), dtype='float32', sparse_ok=True) as dst:
        dst.write(part, window=Window(48, 64, 48, 32))
    seen: list[int] = []

    def counting(images: Tensor) -> Tensor:
        seen.append(len(images))
        return images

    stitched = engine.predict(
        counting, path, tmp_path, size=SIZE, overlap=OVERLAP, blend=blend, batch_size=4
    )
    expected: NDArray[Any] = np.full((2, 130, 140), np.nan)
    expected[:, 64:96, 48:96] = part
    np.testing.assert_allclose(stitched, expected, rtol=0, atol=2e-6)
    # of 12 x 12 patches; one more may tell what the model returns
    assert sum(seen) <= 5 * 6 + 1


@on_every_engine('nodata')
@every_blend
def test_a_scene_without_an_observation_gives_a_map_without_one(
    tmp_path: Path, engine: Engine, blend: Blend
) -> None:
    source = write_scene(tmp_path / 'scene.tif', np.zeros((2, 50, 40), dtype='uint8'), nodata=0)
    values = engine.predict(identity, source, tmp_path, blend=blend)
    assert np.isnan(values).all()
    classes = engine.predict(identity, source, tmp_path, blend=blend, output='classes')
    np.testing.assert_array_equal(classes, np.full((1, 50, 40), 255))
