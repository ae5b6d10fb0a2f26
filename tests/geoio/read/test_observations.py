"""What is an observation."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import ColorInterp

from gersp_geo.geoio.read.observation_rules import Observed, find_rule
from gersp_geo.geoio.read.observations import read_observed, read_unmasked, read_valid
from gersp_geo.geoio.read.reader import open_reader, read_header, read_window
from gersp_geo.geoio.warp.alignment import open_aligned
from gersp_geo.windows import Window

UTM = CRS.from_epsg(32632)
SHAPE = (9, 11)
SCENE = Affine(10, 0, 4e5, 0, -10, 5e6)

# by which another grid lies off, in pixels: each of its pixels has one nearest pixel of the scene
SHIFT = (0.3, 0.2)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A scene, what hides pixels of it, and how it is read."""

    pixels: NDArray[np.generic]
    tag: float | None
    given: float | None
    mask: str
    shown: NDArray[np.bool_]
    """By the mask, shape (bands, rows, columns)."""
    bands: tuple[int, ...]
    observed: Observed

    @property
    def is_picture(self) -> bool:
        return self.pixels.dtype.itemsize == 1 and self.mask != 'per band'

    @property
    def fills(self) -> bool:
        """Whether single bands may be missing in an observation."""
        return self.observed == 'any' and not self.is_picture

    def present(self) -> NDArray[np.bool_]:
        """Which bands that are read are there, as plain NumPy says it."""
        found = np.isfinite(self.pixels.astype('float64'))
        for value in (self.tag, self.given):
            if value is not None:
                found &= self.pixels.astype('float64') != np.float64(self.pixels.dtype.type(value))
        if self.mask == 'per band':
            found &= self.shown
        present: NDArray[np.bool_] = found[np.array(self.bands) - 1]
        return present

    def valid(self) -> NDArray[np.bool_]:
        """Where there is an observation."""
        present = self.present()
        is_any = self.observed == 'any' or (self.observed == 'auto' and self.is_picture)
        found = present.any(axis=0) if is_any else present.all(axis=0)
        # a mask of the file, or transparency, hides the pixel
        return found & self.shown[0] if self.mask in ('file', 'alpha') else found

    def write(self, path: Path) -> Path:
        pixels, colors = self.pixels, [ColorInterp.undefined] * len(self.pixels)
        if self.mask == 'alpha':
            pixels = np.concatenate([pixels, self.shown[:1].astype(pixels.dtype) * 255])
            colors.append(ColorInterp.alpha)
        count, height, width = pixels.shape
        for old in path.parent.glob(f'{path.name}*'):
            old.unlink()
        profile: dict[str, Any] = {
            'driver': 'GTiff', 'height': height, 'width': width, 'crs': UTM, 'transform': SCENE,
        }  # fmt: skip
        with rasterio.open(
            path, 'w', **profile, count=count, dtype=pixels.dtype, nodata=self.tag
        ) as dst:
            dst.colorinterp = colors
            dst.write(pixels)
            if self.mask == 'file':
                dst.write_mask(self.shown[0])
        if self.mask == 'per band':
            with rasterio.open(f'{path}.msk', 'w', **profile, count=count, dtype='uint8') as dst:
                dst.write(self.shown.astype('uint8') * 255)
                dst.update_tags(**{f'INTERNAL_MASK_FLAGS_{band + 1}': 0 for band in range(count)})
        return path


@st.composite
def cases(draw: st.DrawFn) -> Case:
    dtype = draw(st.sampled_from(['uint8', 'uint16', 'int16', 'float32', 'float64']))
    count = draw(st.integers(1, 3))
    # -0.1 has no exact float
    low = 0 if dtype.startswith('u') else -0.1 if dtype.startswith('f') else -99
    tag, value = draw(st.sampled_from([(None, None), (low, None), (None, low), (low, 7), (7, 7)]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    pixels = rng.integers(20, 200, (count, *SHAPE)).astype(dtype)
    for missing in (low, 7):
        pixels[rng.random(pixels.shape) < 0.15] = missing
        # in all bands
        pixels[:, rng.random(SHAPE) < 0.1] = missing
    if dtype.startswith('f') and draw(st.booleans()):
        pixels[rng.random(pixels.shape) < 0.1] = np.nan
        pixels[rng.random(pixels.shape) < 0.05] = np.inf
    return Case(
        pixels=pixels,
        tag=tag,
        given=value,
        mask=draw(st.sampled_from(['none', 'file', 'per band', 'alpha'])),
        shown=rng.random(pixels.shape) < 0.8,
        bands=tuple(draw(st.permutations(range(1, count + 1)))[: draw(st.integers(1, count))]),
        observed=draw(st.sampled_from(['auto', 'any', 'all'])),
    )


def whole(array: NDArray[np.generic]) -> Window:
    return Window(row_off=0, col_off=0, height=array.shape[-2], width=array.shape[-1])


def write(path: Path, pixels: NDArray[np.generic], *, nodata: float | None = None) -> Path:
    count, height, width = pixels.shape
    with rasterio.open(
        path, 'w', driver='GTiff', height=height, width=width, count=count, dtype=pixels.dtype,
        nodata=nodata, crs=UTM, transform=SCENE,
    ) as dst:  # fmt: skip
        dst.write(pixels)
    return path


def numbered(*shape: int, dtype: str = 'uint16') -> NDArray[np.generic]:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


@given(case=cases())
def test_a_pixel_is_an_observation_where_numpy_finds_one(tmp_path: Path, case: Case) -> None:
    with open_reader(case.write(tmp_path / 'scene.tif')) as src:
        rule = find_rule(src, case.bands, case.observed)
        told: dict[str, Any] = {'bands': case.bands, 'nodata': case.given, 'rule': rule}
        valid = read_valid(src, whole(case.pixels), **told)
        pixels, found = read_observed(src, whole(case.pixels), **told)
    expected = case.valid()
    np.testing.assert_array_equal(valid, expected)
    np.testing.assert_array_equal(pixels, case.pixels[np.array(case.bands) - 1])
    found = np.ones(expected.shape, dtype=bool) if found is None else found
    if case.fills:
        # of each band
        expected = case.present() & expected
    np.testing.assert_array_equal(np.broadcast_to(found, expected.shape), expected)


def blended(values: NDArray[np.float64], present: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Interpolate bilinearly between what is there, at places that lie off by SHIFT."""
    weights = np.zeros(values.shape)
    total = np.zeros(values.shape)
    for down, of_row in ((0, 1 - SHIFT[0]), (1, SHIFT[0])):
        for right, of_col in ((0, 1 - SHIFT[1]), (1, SHIFT[1])):
            height, width = values.shape[1] - down, values.shape[2] - right
            here = np.s_[:, :height, :width]
            there = np.s_[:, down:, right:]
            weight = of_row * of_col * present[there]
            weights[here] += weight
            total[here] += weight * np.where(present, values, 0)[there]
    with np.errstate(invalid='ignore'):
        return total / weights


@given(case=cases())
def test_what_is_missing_is_not_blended_with_what_is_there(tmp_path: Path, case: Case) -> None:
    path = case.write(tmp_path / 'scene.tif')
    grid = read_header(path)
    shifted = SCENE @ Affine.translation(SHIFT[1], SHIFT[0])
    needs_value = case.fills and case.pixels.dtype.kind != 'f' and case.mask == 'per band'
    if needs_value and case.given is None and case.tag is None:
        return
    with rasterio.open(
        tmp_path / 'grid.tif', 'w', driver='GTiff', height=SHAPE[0], width=SHAPE[1], count=1,
        dtype='uint8', crs=UTM, transform=shifted,
    ):  # fmt: skip
        pass
    grid = read_header(tmp_path / 'grid.tif')
    with open_reader(path) as src:
        rule = find_rule(src, case.bands, case.observed)
    told: dict[str, Any] = {'bands': case.bands, 'nodata': case.given, 'rule': rule}
    with open_aligned(path, grid, **told) as src:
        pixels, found = read_observed(src, whole(case.pixels), **told)
    valid = np.broadcast_to(case.valid(), pixels.shape)
    present = case.present() & valid if case.fills else valid
    stored = np.where(present, case.pixels[np.array(case.bands) - 1].astype('float64'), 0)
    expected = blended(stored, present)
    # of an observation, a band is missing where none of its four pixels is there
    shown = valid & np.isfinite(expected) if case.fills else valid
    found = np.broadcast_to(np.ones(SHAPE, dtype=bool) if found is None else found, pixels.shape)
    # as far as all neighbours lie in the scene
    inside = np.s_[:, : SHAPE[0] - 1, : SHAPE[1] - 1]
    np.testing.assert_array_equal(found[inside], shown[inside])
    # whole numbers are rounded, and GDAL moves what would become nodata by 1
    slack = 1.5 + 1e-3 if pixels.dtype.kind in 'iu' else 1e-2
    differs = np.abs(pixels.astype('float64') - expected) > slack
    assert not (differs & shown)[inside].any()


def test_a_value_in_one_band_of_eight_bits_is_data_and_in_one_of_others_is_not(
    tmp_path: Path,
) -> None:
    pixels = np.ones((3, 3, 3), dtype='uint8')
    pixels[0, 0, 0] = 0
    pixels[:, 2, 2] = 0
    for dtype, hidden in (('uint8', [[2, 2]]), ('int16', [[0, 0], [2, 2]])):
        path = write(tmp_path / f'{dtype}.tif', pixels.astype(dtype), nodata=0)
        with open_reader(path) as src:
            assert np.argwhere(~read_valid(src, whole(pixels))).tolist() == hidden


def test_a_tag_is_compared_in_the_type_of_the_band(tmp_path: Path) -> None:
    lowest = float(np.finfo('float32').min)
    pixels = np.array([[[lowest, 1.0], [0.1, 2.0]]], dtype='float32')
    for tag, at in ((lowest, [0, 0]), (-3.4028234663852886e38, [0, 0]), (0.1, [1, 0])):
        with open_reader(write(tmp_path / 'a.tif', pixels, nodata=tag)) as src:
            assert np.argwhere(~read_valid(src, whole(pixels))).tolist() == [at]


def test_a_pixel_is_valid_unless_every_band_has_the_tagged_nodata(tmp_path: Path) -> None:
    pixels = np.ones((2, 3, 3), dtype='uint8')
    pixels[0, 0, 0] = 9
    pixels[:, 1, 1] = 9
    with open_reader(write(tmp_path / 'scene.tif', pixels, nodata=9)) as src:
        both = read_valid(src, whole(pixels))
        first = read_valid(src, whole(pixels), bands=(1,))
    assert np.argwhere(~both).tolist() == [[1, 1]]
    assert np.argwhere(~first).tolist() == [[0, 0], [1, 1]]


def test_nan_and_infinity_are_no_observations(tmp_path: Path) -> None:
    pixels = np.ones((2, 3, 3), dtype='float32')
    pixels[0, 0, 0] = np.nan
    pixels[1, 2, 2] = np.inf
    with open_reader(write(tmp_path / 'scene.tif', pixels)) as src:
        valid = read_valid(src, whole(pixels))
    assert np.argwhere(~valid).tolist() == [[0, 0], [2, 2]]


def test_transparent_pixels_are_no_observations(tmp_path: Path) -> None:
    pixels = np.full((4, 3, 3), 255, dtype='uint8')
    pixels[3, 2, 0] = 0
    path = write(tmp_path / 'scene.tif', pixels)
    with rasterio.open(path, 'r+') as dst:
        dst.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    assert read_header(path).alpha == (4,)
    with open_reader(path) as src:
        for bands in (None, (1, 2, 3), (2,)):
            valid = read_valid(src, whole(pixels), bands=bands)
            assert np.argwhere(~valid).tolist() == [[2, 0]]


@pytest.mark.parametrize('count', [2, 4, 5])
@pytest.mark.parametrize('dtype', ['uint8', 'uint16', 'float32'])
def test_an_alpha_band_that_is_asked_for_is_data_and_hides_nothing(
    count: int, dtype: str, tmp_path: Path
) -> None:
    pixels = numbered(count, 3, 3, dtype=dtype)
    pixels[-1, 1, 1] = 0
    path = write(tmp_path / 'scene.tif', pixels)
    with rasterio.open(path, 'r+') as dst:
        dst.colorinterp = [*[ColorInterp.undefined] * (count - 1), ColorInterp.alpha]
    with open_reader(path) as src:
        for bands in ([*range(1, count + 1)], [count], [count, 1], [count, count]):
            assert read_valid(src, whole(pixels), bands=bands).all()
            assert read_unmasked(src, whole(pixels), bands=bands).all()
            found, valid = read_observed(src, whole(pixels), bands=bands)
            assert valid is None
            assert (found == pixels[np.array(bands) - 1]).all()
        # its values count like those of any other band
        asked = read_valid(src, whole(pixels), bands=[count], nodata=0)
        assert np.argwhere(~asked).tolist() == [[1, 1]]
        without = read_valid(src, whole(pixels), bands=[1])
        assert np.argwhere(~without).tolist() == [[1, 1]]
        observed = read_observed(src, whole(pixels), bands=[1])[1]
        assert observed is not None
        assert (observed == without).all()


def test_a_mask_hides_pixels_also_where_an_alpha_band_is_data(tmp_path: Path) -> None:
    pixels = np.ones((4, 3, 3), dtype='uint8')
    pixels[3, 0, 0] = 0
    path = write(tmp_path / 'scene.tif', pixels)
    hidden = np.zeros((3, 3), dtype=bool)
    hidden[2, 1] = True
    with rasterio.open(path, 'r+') as dst:
        dst.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
        dst.write_mask(~hidden)
    with open_reader(path) as src:
        assert (read_valid(src, whole(pixels), bands=[1, 2, 3, 4]) == ~hidden).all()
        hidden[0, 0] = True
        assert (read_valid(src, whole(pixels)) == ~hidden).all()


def test_an_internal_mask_is_respected(tmp_path: Path) -> None:
    pixels = np.ones((1, 3, 3), dtype='uint8')
    path = write(tmp_path / 'scene.tif', pixels)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, 'r+') as dst:
        dst.write_mask(np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=bool))
    with open_reader(path) as src:
        assert np.argwhere(~read_valid(src, whole(pixels))).tolist() == [[1, 1]]


def test_validity_is_padded_like_pixels(tmp_path: Path) -> None:
    pixels = np.array([[[1, 0, 1]]], dtype='uint8')
    with open_reader(write(tmp_path / 'scene.tif', pixels, nodata=0)) as src:
        window = Window(row_off=-1, col_off=-2, height=2, width=7)
        valid = read_valid(src, window)
        assert (valid == (read_window(src, window, bands=(1,))[0] != 0)).all()
