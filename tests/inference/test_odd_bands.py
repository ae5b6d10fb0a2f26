"""Bands that differ in what a file says of them, through the command; a graph shows what it saw."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from gersp_geo.main import main
from tests.corpus.models import record_for, save_graph

SCENE = Affine(10, 0, 500000, 0, -10, 5000000)

type Predict = Callable[..., NDArray[np.float64]]
"""Predicts a scene, with further words; returns what the model saw, as it was stored."""


@pytest.fixture
def predict(tmp_path: Path) -> Predict:
    def run(scene: Path, count: int, *words: str) -> NDArray[np.float64]:
        model, found = save_graph(tmp_path / 'same.onnx', count, 'plain'), tmp_path / 'map.tif'
        line = [
            'predict',
            model,
            scene,
            '-o',
            found,
            '--size',
            '32',
            '--overlap',
            '8',
            '--overwrite',
        ]
        assert main([str(word) for word in (*line, '--no-progress', *words)]) == 0
        record = record_for(count)
        mean, std = (np.array(values)[:, None, None] for values in (record.mean, record.std))
        with rasterio.open(found) as src:
            seen: NDArray[np.float64] = src.read().astype('float64') * std + mean
        return seen

    return run


def write(path: Path, pixels: NDArray[Any], **profile: Any) -> Path:
    count, height, width = pixels.shape
    with rasterio.open(
        path, 'w', driver='GTiff', count=count, height=height, width=width, dtype=pixels.dtype,
        crs='EPSG:32633', transform=SCENE, **profile,
    ) as dst:  # fmt: skip
        dst.write(pixels)
    return path


@pytest.mark.parametrize('words', [(), ('--res', '7'), ('--crs', 'EPSG:32632')], ids=str)
def test_a_band_tagged_as_alpha_is_data_also_beside_a_nodata_value(
    tmp_path: Path, predict: Predict, words: tuple[str, ...]
) -> None:
    pixels = np.full((4, 40, 50), 150, dtype='uint8')
    pixels[3, :20] = 0
    pixels[:, :, 40:] = 0
    scene = write(tmp_path / 'a.tif', pixels, photometric='RGB', alpha='YES', nodata=0)
    with rasterio.open(scene) as src:
        assert src.colorinterp[3] == ColorInterp.alpha
    seen = predict(scene, 4, '--bands', '1,2,3,4', *words)
    shown = np.isfinite(seen).all(axis=0)
    np.testing.assert_allclose(seen[:3, shown], 150, rtol=1e-6)
    with rasterio.open(tmp_path / 'map.tif') as src:
        ground = shown.sum() * abs(src.transform.a * src.transform.e)
    # a 0 in one band of a picture is data; in all, it is none
    assert ground == pytest.approx(40 * 40 * 100, rel=0.03)


@pytest.mark.parametrize('words', [(), ('--res', '10.5')], ids=str)
def test_bands_of_several_types_are_read(
    tmp_path: Path, predict: Predict, words: tuple[str, ...]
) -> None:
    write(tmp_path / 'bytes.tif', np.full((1, 40, 50), 60, dtype='uint8'))
    floats = np.full((1, 40, 50), 0.5, dtype='float32')
    floats[:, :10] = -9999
    write(tmp_path / 'floats.tif', floats)
    bands = ''.join(
        f'<VRTRasterBand dataType="{dtype}" band="{band}">{tag}<SimpleSource><SourceFilename '
        f'relativeToVRT="1">{name}.tif</SourceFilename><SourceBand>1</SourceBand></SimpleSource>'
        '</VRTRasterBand>'
        for band, name, dtype, tag in (
            (1, 'bytes', 'Byte', ''),
            (2, 'floats', 'Float32', '<NoDataValue>-9999</NoDataValue>'),
        )
    )
    scene = tmp_path / 'a.vrt'
    scene.write_text(
        '<VRTDataset rasterXSize="50" rasterYSize="40"><SRS>EPSG:32633</SRS><GeoTransform>'
        f'{", ".join(map(str, SCENE.to_gdal()))}</GeoTransform>{bands}</VRTDataset>'
    )
    seen = predict(scene, 2, *words)
    shown = np.isfinite(seen).all(axis=0)
    assert shown.mean() == pytest.approx(0.75, abs=0.05)
    np.testing.assert_allclose(seen[0, shown], 60, rtol=1e-6)
    np.testing.assert_allclose(seen[1, shown], 0.5, rtol=0, atol=1e-4)


@pytest.mark.parametrize('dtype', ['uint8', 'uint16'])
def test_a_block_that_is_stored_in_other_bands_alone_is_no_observation(
    tmp_path: Path, predict: Predict, dtype: str
) -> None:
    pixels = np.random.default_rng(0).integers(1, 100, (3, 64, 64)).astype(dtype)
    path = tmp_path / 'a.tif'
    # without a nodata value, what is not stored reads as 0
    with rasterio.open(
        path, 'w', driver='GTiff', count=3, height=64, width=64, dtype=dtype, crs='EPSG:32633',
        transform=SCENE, interleave='band', tiled=True, blockxsize=32, blockysize=32, sparse_ok=True,
    ) as dst:  # fmt: skip
        for band, blocks in ((1, [(0, 0), (0, 32), (32, 0)]), (2, [(0, 0), (0, 32)])):
            for row, col in blocks:
                part = pixels[band - 1, row : row + 32, col : col + 32]
                dst.write(part, band, window=Window(col, row, 32, 32))
        dst.write(pixels[2], 3)
    for words, is_any in (
        ((), dtype == 'uint8'), (('--observed', 'all'), False), (('--observed', 'any'), True),
    ):  # fmt: skip
        seen = predict(path, 2, '--bands', '1,2', *words)
        valid = np.ones((64, 64), dtype=bool)
        # the last band holds it, and is not read
        valid[32:, 32:] = False
        valid[32:, :32] = is_any
        np.testing.assert_array_equal(np.isfinite(seen).all(axis=0), valid)
        both = np.s_[:, :32]
        np.testing.assert_allclose(seen[both], pixels[:2, :32], rtol=0, atol=1e-4)
