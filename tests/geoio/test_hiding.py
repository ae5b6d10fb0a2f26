from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin

from gersp_geo.geoio.hiding import hide_unobserved
from gersp_geo.geoio.reading import open_reader, read_valid
from gersp_geo.records import Window

WHOLE = Window(row_off=0, col_off=0, height=12, width=20)


def write(
    path: Path,
    pixels: np.ndarray,
    *,
    tag: float | None = None,
    mask: np.ndarray | None = None,
    alpha: np.ndarray | None = None,
    alpha_first: bool = False,
) -> Path:
    """Write bands, with an alpha band where one is given."""
    colors = [ColorInterp.undefined] * len(pixels)
    if alpha is not None:
        at = 0 if alpha_first else len(pixels)
        pixels = np.insert(pixels, at, alpha.astype(pixels.dtype), axis=0)
        colors.insert(at, ColorInterp.alpha)
    count, height, width = pixels.shape
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            path, 'w', driver='GTiff', height=height, width=width, count=count,
            dtype=pixels.dtype, crs='EPSG:32633', transform=from_origin(500000, 5000000, 10, 10),
            nodata=tag,
        ) as dst,
    ):  # fmt: skip
        dst.colorinterp = colors
        dst.write(pixels)
        if mask is not None:
            dst.write_mask(mask)
    return path


def scene(dtype: str, *values: float) -> np.ndarray:
    """Two bands of noise; per value, two columns that hold it in both bands and one in the first."""
    pixels = np.random.default_rng(0).integers(20, 90, (2, 12, 20)).astype(dtype)
    for place, value in enumerate(values):
        pixels[:, :, 4 * place : 4 * place + 2] = value
        pixels[0, :, 4 * place + 2] = value
    return pixels


def some_hidden() -> np.ndarray:
    """What a mask or an alpha band says: the last columns are no observation, nor is a single pixel."""
    shown = np.full((12, 20), 255, dtype='uint8')
    # the faintest is an observation
    shown[:, 10:15] = 1
    shown[:, 15:], shown[3, 12] = 0, 0
    return shown


SAYS: dict[str, dict[str, Any]] = {
    'tag': {'tag': 7},
    'mask': {'mask': some_hidden()},
    'mask and tag': {'mask': some_hidden(), 'tag': 7},
    'alpha': {'alpha': some_hidden()},
    'alpha and tag': {'alpha': some_hidden(), 'tag': 7},
}


@pytest.mark.parametrize(('dtype', 'nodata'), [('uint8', 255), ('int16', -99), ('float32', 0.1)])
@pytest.mark.parametrize('says', SAYS)
def test_a_value_takes_the_place_of_all_that_is_not_observed_and_of_nothing_else(
    tmp_path: Path, says: str, dtype: str, nodata: float
) -> None:
    pixels = scene(dtype, 7, nodata)
    path = write(tmp_path / 'a.tif', pixels, **SAYS[says])
    with open_reader(path) as src, hide_unobserved(src, nodata) as (seen, value):
        # what says so is what read_valid heeds, which has laws of its own
        valid = read_valid(src, WHOLE, nodata=nodata)
        assert 0 < valid.sum() < valid.size
        assert value == np.asarray(nodata).astype(dtype)
        assert (seen.crs, seen.transform, seen.dtypes[0]) == (src.crs, src.transform, dtype)
        found = seen.read()
    expected = np.where(valid, pixels, np.asarray(nodata).astype(dtype))
    np.testing.assert_array_equal(found, expected)


def test_an_alpha_band_and_a_tag_are_both_heeded(tmp_path: Path) -> None:
    path = write(tmp_path / 'a.tif', scene('uint8', 7), alpha=some_hidden(), tag=7)
    with open_reader(path) as src, hide_unobserved(src, None) as (seen, value):
        valid = read_valid(src, WHOLE)
        assert (seen.count, value) == (2, 7)
        np.testing.assert_array_equal((seen.read() == 7).all(axis=0), ~valid)


@pytest.mark.parametrize(
    ('says', 'nodata', 'value'),
    [
        ({}, None, None),
        ({}, 9, 9),
        ({'tag': 7}, None, 7),
        ({'tag': 7}, 7, 7),
        # no pixel of a byte has it
        ({'tag': 7}, -9999, 7),
        ({'tag': 7}, 7.5, 7),
        ({'alpha': some_hidden()}, float('nan'), None),
        ({'mask': some_hidden()}, None, None),
        # GDAL does not heed a tag beside a mask
        ({'mask': some_hidden(), 'tag': 7}, None, None),
    ],
    ids=lambda item: ' '.join(item) if isinstance(item, dict) else str(item),
)
def test_what_the_warper_heeds_by_itself_is_left_alone(
    tmp_path: Path, says: dict[str, Any], nodata: float | None, value: float | None
) -> None:
    path = write(tmp_path / 'a.tif', scene('uint8', 7), **says)
    with open_reader(path) as src, hide_unobserved(src, nodata) as (seen, found):
        assert seen is src
        assert found == value


def test_names_of_bands_and_their_meaning_stay(tmp_path: Path) -> None:
    path = write(tmp_path / 'a.tif', scene('uint8', 7), tag=7)
    with rasterio.open(path, 'r+') as dst:
        dst.descriptions = ('B04', 'B08 & more')
        dst.colorinterp = [ColorInterp.red, ColorInterp.undefined]
    with open_reader(path) as src, hide_unobserved(src, 255) as (seen, _):
        assert seen.descriptions == ('B04', 'B08 & more')
        assert seen.colorinterp == src.colorinterp


def test_an_alpha_band_elsewhere_is_refused_beside_a_value(tmp_path: Path) -> None:
    path = write(tmp_path / 'a.tif', scene('uint8', 7), alpha=some_hidden(), alpha_first=True)
    with (
        open_reader(path) as src,
        pytest.raises(ValueError, match=r'a\.tif has an alpha band .* last of 3, got \[1\]'),
        hide_unobserved(src, 255),
    ):
        pass


def test_a_name_that_only_rasterio_knows_is_found(tmp_path: Path) -> None:
    path = write(tmp_path / 'a.tif', scene('uint8', 7, 255), tag=7)
    with open_reader(f'file://{path}') as src, hide_unobserved(src, 255) as (seen, _):
        assert (seen.read()[:, :, :2] == 255).all()
