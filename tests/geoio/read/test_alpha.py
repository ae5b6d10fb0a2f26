"""What GDAL tags as alpha may hold data."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.transform import from_origin
from scipy.ndimage import rotate, uniform_filter

from gersp_geo.geoio.read.alpha import look_like_data, open_on_grid, sample_band
from gersp_geo.geoio.read.chips import read_chip
from gersp_geo.geoio.read.reader import open_reader
from gersp_geo.geoio.read.thumbnail import read_reduced


def write(
    path: Path, pixels: NDArray[np.generic], *, nodata: float | None = None, alpha: bool = True
) -> Path:
    count, height, width = pixels.shape
    with rasterio.open(
        path, 'w', driver='GTiff', height=height, width=width, count=count, dtype=pixels.dtype,
        nodata=nodata, crs='EPSG:32633', transform=from_origin(4e5, 5e6, 10, 10),
    ) as dst:  # fmt: skip
        colors = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.undefined]
        dst.colorinterp = [*colors[: count - 1], ColorInterp.alpha if alpha else colors[3]]
        dst.write(pixels)
    return path


def landscape(shape: tuple[int, int] = (256, 256), *, seed: int = 0) -> NDArray[np.float64]:
    """Smooth noise in [0, 1]."""
    noise = uniform_filter(np.random.default_rng(seed).normal(size=shape), 9)
    return np.asarray((noise - noise.min()) / (noise.max() - noise.min()))


def turned() -> NDArray[np.float64]:
    """A scene that was warped bilinearly: transparent corners with a smooth rim."""
    return np.asarray(np.clip(rotate(np.ones((200, 200)), 20, order=1), 0, 1))


def feathered(width: int) -> NDArray[np.float64]:
    """A rim of some pixels, as blended mosaics have it."""
    distance = np.minimum(np.arange(256), np.arange(256)[::-1]) / width
    return np.clip(np.minimum(distance[:, None], distance), 0, 1)


def water(share: float) -> NDArray[np.float64]:
    """Near infrared, 0 over water."""
    values = landscape()
    return np.where(np.arange(256) < share * 256, 0, values)


VALUES = {
    'opaque': (np.ones((256, 256)), False),
    'transparent': (np.zeros((256, 256)), False),
    'half transparent': (np.full((256, 256), 0.5), False),
    'a few levels': (np.random.default_rng(0).integers(0, 8, (256, 256)) / 7, False),
    'turned': (turned(), False),
    'holes': ((landscape() > 0.5).astype(float), False),
    'smoothed holes': (uniform_filter((landscape() > 0.5).astype(float), 3), False),
    'feathered': (feathered(24), False),
    'near infrared': (landscape(), True),
    'half water': (water(0.5), True),
    'small': (landscape((24, 40)), True),
}


@pytest.mark.parametrize(('dtype', 'top'), [('uint8', 255), ('uint16', 65535), ('float32', 1)])
@pytest.mark.parametrize('values', VALUES)
def test_transparency_is_told_from_data(values: str, dtype: str, top: int, tmp_path: Path) -> None:
    alpha, is_data = VALUES[values]
    pixels = np.repeat((alpha * top).astype(dtype)[None], 4, axis=0)
    with open_reader(write(tmp_path / 'a.tif', pixels)) as src:
        assert look_like_data(sample_band(src, 4)) == is_data


def scene(dtype: str = 'uint8') -> NDArray[np.generic]:
    """Red, green, blue and near infrared, which is 0 in every second column and in one half."""
    pixels = (landscape() * 200 + 1).astype(dtype) + np.zeros((4, 1, 1), dtype)
    pixels[3, :, ::2] = 0
    pixels[3, :128] = 0
    return pixels


@pytest.mark.parametrize('dtype', ['uint8', 'uint16', 'float32'])
@pytest.mark.parametrize('size', [64, 100, 256, 300])
def test_a_chip_is_the_same_whatever_its_bands_are_tagged(
    size: int, dtype: str, tmp_path: Path
) -> None:
    tagged = write(tmp_path / 'a.tif', scene(dtype))
    plain = write(tmp_path / 'b.tif', scene(dtype), alpha=False)
    for bands in ([1, 2, 3, 4], [4], [4, 1]):
        found, expected = (
            read_chip(path, size=size, bands=bands, dtype=dtype)[0] for path in (tagged, plain)
        )
        assert (found == expected).all()


@pytest.mark.parametrize('resampling', [Resampling.nearest, Resampling.bilinear])
@pytest.mark.parametrize(
    ('crs', 'res'), [('EPSG:32633', 10.0), ('EPSG:32633', 7.0), ('EPSG:32632', 10.0)]
)
def test_on_another_grid_no_pixel_is_lost(
    crs: str, res: float, resampling: Resampling, tmp_path: Path
) -> None:
    pixels = np.full((4, 64, 64), 100, dtype='uint8')
    pixels[3, :, :32] = 0
    path = write(tmp_path / 'a.tif', pixels)
    grid = {'crs': crs, 'res': (res, res), 'resampling': resampling}
    assert open_on_grid(path, bands=[1, 2, 3], **grid) is None
    found = open_on_grid(path, bands=[1, 2, 3, 4], **grid)
    assert found is not None
    assert found.res == (res, res)
    middle = np.s_[:3, found.height // 4 : -found.height // 4, found.width // 4 : -found.width // 4]
    assert (found.read()[middle] == 100).all()
    found.close()


def test_bands_are_data_by_what_is_read_and_not_by_what_was_read_before(tmp_path: Path) -> None:
    pixels = np.full((4, 64, 64), 100, dtype='uint8')
    pixels[3, :, :32] = 0
    path = write(tmp_path / 'a.tif', pixels)
    grid = {'crs': 'EPSG:32633', 'res': (7.0, 7.0), 'resampling': Resampling.bilinear}
    for bands in ([4], [1, 2, 3], [1, 2, 3, 4], [3, 4]):
        found = open_on_grid(path, bands=bands, **grid)
        assert (found is None) == (4 not in bands)
        if found is not None:
            assert found.colorinterp[3] != ColorInterp.alpha
            assert (found.read(1)[1:-1, 1:-1] == 100).all()
            found.close()


@pytest.mark.parametrize('size', [16, 64, 100])
def test_a_picture_shows_a_band_that_is_read_as_data(size: int, tmp_path: Path) -> None:
    pixels = np.full((4, 64, 64), 100, dtype='uint8')
    pixels[3, :, :32] = 0
    with open_reader(write(tmp_path / 'a.tif', pixels)) as src:
        told: dict[str, Any] = {'bands': [1, 2, 3], 'shape': (size, size), 'resampling': 'average'}
        hidden = read_reduced(src, **told)[1]
        shown, valid = read_reduced(src, **told, data=[1, 2, 3, 4])
        # one that is shown
        nir = read_reduced(src, **told | {'bands': [4]})[0]
    assert valid.all()
    assert (shown == 100).all()
    assert hidden.mean() == 0.5
    assert nir.mean() == pytest.approx(50, abs=1)
