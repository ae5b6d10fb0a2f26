"""A scene that is not like the training data is told before the work, and no other is."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.windows import Window

from gersp_geo.geoio.read import CellSource, open_reader, read_header, stored_blocks
from gersp_geo.inference import plan_prediction
from gersp_geo.inference.scene.shift import find_shifts, measure_bands
from gersp_geo.preprocessing import Preprocessing

RECORD = Preprocessing(
    bands=('red', 'green', 'blue'), scale=(1 / 255,) * 3, mean=(0.4, 0.45, 0.5),
    std=(0.2, 0.22, 0.25),
)  # fmt: skip


def write(path: Path, pixels: NDArray[Any], **profile: Any) -> Path:
    count, height, width = pixels.shape
    with rasterio.open(
        path, 'w', driver='GTiff', height=height, width=width, count=count, dtype=pixels.dtype,
        crs='EPSG:32632', transform=Affine(1, 0, 4e5, 0, -1, 5e6), **profile,
    ) as dst:  # fmt: skip
        dst.write(pixels)
    return path


def draw(height: int = 90, width: int = 110) -> NDArray[Any]:
    """Pixels with the mean and the deviation of the record."""
    random = np.random.default_rng(5).normal(size=(3, height, width))
    mean, std = (np.array(v)[:, None, None] for v in (RECORD.mean, RECORD.std))
    return (255 * (mean + std * random)).clip(0, 255)


def told(scene: Path, record: Preprocessing = RECORD) -> list[str]:
    def model(images: Any) -> Any:
        return images

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        plan_prediction(
            model, scene, scene.with_name('map.tif'), size=64, preprocessing=record, progress=False
        )
    return [str(w.message) for w in caught if 'does not look like' in str(w.message)]


@pytest.mark.parametrize(
    ('change', 'dtype'),
    [
        (lambda pixels: pixels * 16, 'uint16'),
        (lambda pixels: pixels / 255, 'float32'),
        (lambda pixels: pixels - 255, 'float32'),
    ],
    ids=['uint16', 'scaled to 1', 'moved'],
)
def test_other_values_are_told_in_one_line_and_the_same_are_not(
    tmp_path: Path, change: Any, dtype: str
) -> None:
    assert told(write(tmp_path / 'same.tif', draw().astype('uint8'))) == []
    (text,) = told(write(tmp_path / 'other.tif', change(draw()).astype(dtype)))
    assert '\n' not in text
    assert text.startswith('other.tif does not look like what model was trained on: band red has')
    assert 'where the record says 102 and 51 (2 other bands are off too)' in text


def test_a_record_without_statistics_tells_scales_only(tmp_path: Path) -> None:
    plain = replace(RECORD, mean=(0.0,) * 3, std=(1.0,) * 3)
    assert told(write(tmp_path / 'same.tif', draw().astype('uint8')), plain) == []
    dark = (draw() / 50).astype('uint8')
    assert told(write(tmp_path / 'dark.tif', dark), plain) == []
    shares = write(tmp_path / 'shares.tif', (draw() / 255).astype('float32'))
    assert told(shares, plain) != []
    assert told(shares, replace(plain, scale=(1.0,) * 3)) == []


def test_only_observations_of_a_sparse_scene_count(tmp_path: Path) -> None:
    path = tmp_path / 'scene.tif'
    with rasterio.open(
        path, 'w', driver='GTiff', height=4000, width=5000, count=3, dtype='uint8', nodata=0,
        tiled=True, blockxsize=256, blockysize=256, sparse_ok=True, crs='EPSG:32632',
        transform=Affine(1, 0, 4e5, 0, -1, 5e6),
    ) as dst:  # fmt: skip
        dst.write(draw(200, 200).clip(1).astype('uint8'), window=Window(1100, 2100, 200, 200))
    assert told(path) == []
    # too little to say anything
    assert told(write(tmp_path / 'small.tif', np.full((3, 20, 20), 255, dtype='uint8'))) == []


@given(
    height=st.integers(1, 700), width=st.integers(1, 700),
    block=st.sampled_from([None, 16, 64, 256]),
)  # fmt: skip
def test_measures_are_those_of_the_scene_and_no_pixel_counts_twice(
    tmp_path: Path, height: int, width: int, block: int | None
) -> None:
    # a thousand of them have nearly the mean of all, wherever they lie
    pixels = np.random.default_rng(2).choice([10.0, 60.0], size=(1, height, width))
    tiles = {} if block is None else {'tiled': True, 'blockxsize': block, 'blockysize': block}
    scene = write(tmp_path / 'scene.tif', pixels.astype('uint8'), **tiles)
    header = read_header(scene)
    with open_reader(scene) as src:
        stored = stored_blocks(src, (1,), in_all=True)
    source = CellSource(
        opener=lambda: open_reader(scene), bands=(1,), block_shape=header.block_shape, stored=stored
    )
    mean, std = measure_bands(source, header)
    if height * width < 1000:
        assert np.isnan(mean).all()
    elif min(height, width) >= 64:
        np.testing.assert_allclose([*mean, *std], [35, 25], rtol=0.15)


@given(
    away=st.floats(-5, 5),
    ratio=st.floats(0.001, 20),
    scale=st.floats(1e-4, 10),
    mean=st.floats(1, 9),
)
def test_a_band_is_told_beyond_the_bounds_and_not_within(
    away: float, ratio: float, scale: float, mean: float
) -> None:
    # of what lies on a bound, rounding decides
    assume(abs(abs(away) - 2) > 1e-6 and min(abs(ratio - 0.1), abs(ratio - 5)) > 1e-6)
    record = Preprocessing(bands=('a',), scale=(scale,), mean=(mean,), std=(0.5,))
    found = find_shifts(
        np.array([(mean + away * 0.5) / scale]), np.array([ratio * 0.5 / scale]), record=record
    )
    assert bool(found) == (abs(away) > 2 or not 0.1 <= ratio <= 5)


@pytest.mark.parametrize('name', ['naip_nd_wetlands', 'landsat_peru'])
def test_two_dates_of_one_sensor_are_alike(real_data: Path, tmp_path: Path, name: str) -> None:
    first, second = sorted((real_data / 'geo' / name).glob('*.tif'))
    with rasterio.open(first) as src:
        pixels = src.read([1, 2, 3]).reshape(3, -1)[:, src.dataset_mask().ravel() > 0]
    values = replace(
        RECORD, scale=(1.0,) * 3, mean=tuple(pixels.mean(1).tolist()),
        std=tuple(pixels.std(1).tolist()),
    )  # fmt: skip
    with rasterio.open(second) as src:
        write(tmp_path / 'scene.tif', src.read([1, 2, 3]), nodata=src.nodata)
    assert told(tmp_path / 'scene.tif', values) == []
