"""What GDAL's warper leaves out of a raster; test_observations.py has the laws of its pixels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.shutil import copy
from rasterio.transform import from_origin

from gersp_geo.geoio.read.observation_rules import Rule
from gersp_geo.geoio.read.observations import read_observed
from gersp_geo.geoio.read.reader import open_reader
from gersp_geo.geoio.warp.alignment import open_scene
from gersp_geo.geoio.warp.nodata import hide_unobserved
from gersp_geo.windows import Window


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
    """Make two bands of noise; two columns hold each value in both bands, one in the first."""
    pixels = np.random.default_rng(0).integers(20, 90, (2, 12, 20)).astype(dtype)
    for place, value in enumerate(values):
        pixels[:, :, 4 * place : 4 * place + 2] = value
        pixels[0, :, 4 * place + 2] = value
    return pixels


def some_hidden() -> np.ndarray:
    """Make a mask, or an alpha band, that hides the last columns and a single pixel."""
    shown = np.full((12, 20), 255, dtype='uint8')
    shown[:, 15:], shown[3, 12] = 0, 0
    return shown


@pytest.mark.parametrize(
    ('dtype', 'says', 'nodata', 'value'),
    [
        ('uint8', {}, None, None),
        ('uint8', {}, 9, 9),
        ('uint8', {'tag': 7}, None, 7),
        ('uint8', {'tag': 7}, 7, 7),
        # no pixel of a byte has it
        ('uint8', {'tag': 7}, -9999, 7),
        ('uint8', {'tag': 7}, 7.5, 7),
        ('uint8', {'alpha': some_hidden()}, float('nan'), None),
        ('uint8', {'mask': some_hidden()}, None, None),
        ('uint16', {}, None, None),
        ('uint16', {'mask': some_hidden()}, None, None),
    ],
    ids=lambda item: ' '.join(item) if isinstance(item, dict) else str(item),
)
def test_what_the_warper_heeds_by_itself_is_left_alone(
    tmp_path: Path, dtype: str, says: dict[str, Any], nodata: float | None, value: float | None
) -> None:
    path = write(tmp_path / 'a.tif', scene(dtype, 7), **says)
    with open_reader(path) as src, hide_unobserved(src, nodata) as seen:
        assert seen.reader is src
        assert (seen.value, seen.unified) == (value, True)


@pytest.mark.parametrize('rule', ['picture', 'all'])
@pytest.mark.parametrize('alpha_first', [False, True])
def test_an_alpha_band_anywhere_and_a_value_are_both_heeded(
    tmp_path: Path, rule: Rule, alpha_first: bool
) -> None:
    pixels = scene('uint8', 7)
    path = write(tmp_path / 'a.tif', pixels, alpha=some_hidden(), alpha_first=alpha_first, tag=7)
    shown = some_hidden() > 0
    shown &= (pixels != 7).any(axis=0) if rule == 'picture' else (pixels != 7).all(axis=0)
    with open_reader(path) as src, hide_unobserved(src, None, rule=rule) as seen:
        assert (seen.reader.count, seen.value) == (3, None)
        np.testing.assert_array_equal(seen.reader.read_masks(1) > 0, shown)
        np.testing.assert_array_equal(seen.reader.read(), src.read())


def test_where_bands_may_be_missing_each_holds_the_value(tmp_path: Path) -> None:
    pixels = scene('float32', -9999, 0.1)
    path = write(tmp_path / 'a.tif', pixels, mask=some_hidden(), tag=-9999)
    missing = (pixels == -9999) | (pixels == np.float32(0.1)) | (some_hidden() == 0)
    with open_reader(path) as src, hide_unobserved(src, 0.1, rule='any') as seen:
        assert np.isnan(seen.value or 0)
        assert not seen.unified
        np.testing.assert_array_equal(seen.reader.read([1, 2]), np.where(missing, np.nan, pixels))


def test_without_a_value_for_what_is_missing_single_bands_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / 'a.tif', scene('uint16', 7))
    with rasterio.open(
        f'{path}.msk', 'w', driver='GTiff', height=12, width=20, count=2, dtype='uint8',
        crs='EPSG:32633', transform=from_origin(500000, 5000000, 10, 10),
    ) as dst:  # fmt: skip
        dst.write(np.stack([some_hidden()] * 2))
        dst.update_tags(INTERNAL_MASK_FLAGS_1=0, INTERNAL_MASK_FLAGS_2=0)
    with (
        open_reader(path) as src,
        pytest.raises(ValueError, match=r"observed='any' .* needs one nodata value .*a\.tif"),
        hide_unobserved(src, None, rule='any'),
    ):
        pass


def test_names_of_bands_their_meaning_and_their_place_stay(tmp_path: Path) -> None:
    path = write(tmp_path / 'a.tif', scene('uint8', 7), tag=7)
    with rasterio.open(path, 'r+') as dst:
        dst.descriptions = ('B04', 'B08 & more')
        dst.colorinterp = [ColorInterp.red, ColorInterp.undefined]
    with open_reader(path) as src, hide_unobserved(src, 255) as seen:
        assert seen.reader is not src
        assert seen.reader.descriptions == ('B04', 'B08 & more')
        assert seen.reader.colorinterp == src.colorinterp
        assert (seen.reader.crs, seen.reader.transform) == (src.crs, src.transform)


def test_ground_control_points_stay(tmp_path: Path) -> None:
    points = [
        GroundControlPoint(row=row, col=col, x=10 + col / 100, y=50 - row / 100, z=7.5)
        for row in (0, 12)
        for col in (0, 20)
    ]
    with rasterio.open(
        tmp_path / 'a.tif', 'w', driver='GTiff', height=12, width=20, count=2, dtype='float32',
        crs='EPSG:4326', gcps=points,
    ) as dst:  # fmt: skip
        dst.write(scene('float32'))
    with open_reader(tmp_path / 'a.tif') as src, hide_unobserved(src, None) as seen:
        assert seen.reader is not src
        found, crs = seen.reader.gcps
        assert crs == src.gcps[1]
        assert [(p.row, p.col, p.x, p.y, p.z) for p in found] == [
            (p.row, p.col, p.x, p.y, p.z) for p in points
        ]


def test_a_name_that_only_rasterio_knows_is_found(tmp_path: Path) -> None:
    path = write(tmp_path / 'a.tif', scene('uint8', 7, 255), tag=7)
    with open_reader(f'file://{path}') as src, hide_unobserved(src, 255) as seen:
        np.testing.assert_array_equal(seen.reader.read(), src.read())
        assert not seen.reader.read_masks(1)[:, :2].any()


@pytest.mark.parametrize('name', ['int64', 'uint64'])
def test_a_tag_that_no_float_holds_hides_pixels(tmp_path: Path, name: str) -> None:
    tag = np.iinfo(name).max
    pixels = np.full((1, 40, 40), 100, dtype=name)
    pixels[:, :, :20] = tag
    profile = {'driver': 'GTiff', 'count': 1, 'height': 40, 'width': 40, 'dtype': name}
    grid = {'crs': 'EPSG:32633', 'transform': from_origin(4e5, 5e6, 10, 10)}
    with rasterio.open(tmp_path / 'a.tif', 'w', **profile, **grid) as dst:
        dst.write(pixels)
    copy(tmp_path / 'a.tif', tmp_path / 'a.vrt', driver='VRT')
    text = (tmp_path / 'a.vrt').read_text()
    band = text.index('<ColorInterp>')
    text = text[:band] + f'<NoDataValue>{tag}</NoDataValue>' + text[band:]
    (tmp_path / 'a.vrt').write_text(text)
    whole = Window(row_off=0, col_off=0, height=40, width=40)
    with open_scene(tmp_path / 'a.vrt') as src:
        _, valid = read_observed(src, whole, bands=[1])
        assert valid is not None
        np.testing.assert_array_equal(valid, pixels[0] == 100)
    with open_scene(tmp_path / 'a.vrt', res=7) as src:
        whole = Window(row_off=0, col_off=0, height=src.height, width=src.width)
        found, valid = read_observed(src, whole, bands=[1])
        assert valid is not None
        assert 0.45 < valid.mean() < 0.52
        np.testing.assert_array_equal(found[0][valid], 100)
