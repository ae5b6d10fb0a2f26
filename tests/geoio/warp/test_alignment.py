from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.transform import Affine, from_origin

from gersp_geo.geoio.read.observations import read_valid
from gersp_geo.geoio.read.reader import describe_reader, open_reader, read_header, read_window
from gersp_geo.geoio.read.thumbnail import read_reduced
from gersp_geo.geoio.warp.alignment import on_one_grid, open_aligned, open_scene
from gersp_geo.windows import Window

WHOLE = Window(row_off=0, col_off=0, height=20, width=20)


def write(
    path: Path,
    pixels: np.ndarray,
    *,
    epsg: int = 32633,
    transform: Affine | None = None,
    nodata: float | None = None,
) -> Path:
    profile = {'driver': 'GTiff', 'height': pixels.shape[1], 'width': pixels.shape[2]}
    transform = transform or from_origin(500000, 5000000, 10, 10)
    with rasterio.open(
        path, 'w', crs=f'EPSG:{epsg}', transform=transform, count=len(pixels), dtype=pixels.dtype,
        nodata=nodata, **profile,
    ) as dst:  # fmt: skip
        dst.write(pixels)
    return path


def ramp(rows: int = 20, cols: int = 20) -> np.ndarray:
    """Values that grow by 2 per column: halfway between two of them is their mean."""
    return np.broadcast_to(10 + 2 * np.arange(cols, dtype='uint8'), (1, rows, cols)).copy()


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    return write(tmp_path / 'grid.tif', ramp())


def test_a_file_on_the_same_grid_is_read_as_it_is(tmp_path: Path, grid: Path) -> None:
    path = write(tmp_path / 'a.tif', ramp() + 1)
    header = read_header(grid)
    assert on_one_grid(read_header(path), header)
    with open_aligned(path, header) as src:
        np.testing.assert_array_equal(read_window(src, WHOLE, bands=[1]), ramp() + 1)
        assert read_valid(src, WHOLE).all()


@pytest.mark.parametrize('nodata', [None, 0])
def test_half_a_pixel_is_interpolated_and_outside_is_not_observed(
    tmp_path: Path, grid: Path, nodata: float | None
) -> None:
    shifted = from_origin(500005, 5000000, 10, 10)
    path = write(tmp_path / 'a.tif', ramp(), transform=shifted, nodata=nodata)
    header = read_header(grid)
    assert not on_one_grid(read_header(path), header)
    with open_aligned(path, header) as src:
        pixels, valid = read_window(src, WHOLE, bands=[1]), read_valid(src, WHOLE, bands=[1])
    # a pixel of the grid lies between two of the file
    np.testing.assert_array_equal(pixels[0, :, 1:], ramp()[0, :, 1:] - 1)
    assert valid[:, 1:].all()
    far = write(tmp_path / 'b.tif', ramp(), transform=from_origin(500100, 5000000, 10, 10))
    with open_aligned(far, header) as src:
        valid = read_valid(src, WHOLE, bands=[1])
    assert valid[:, 11:].all()
    assert not valid[:, :10].any()


def test_another_resolution_and_another_crs_show_the_same_ground(
    tmp_path: Path, grid: Path
) -> None:
    header = read_header(grid)
    fine = np.repeat(np.repeat(ramp(), 2, axis=1), 2, axis=2)
    half = write(tmp_path / 'fine.tif', fine, transform=from_origin(500000, 5000000, 5, 5))
    with open_aligned(half, header) as src:
        pixels = read_window(src, WHOLE, bands=[1]).astype(int)
    assert np.abs(pixels - ramp())[:, 1:-1, 1:-1].max() <= 1
    with rasterio.open(grid) as src, rasterio.vrt.WarpedVRT(src, crs='EPSG:4326') as warped:
        turned = write(
            tmp_path / 'turned.tif', warped.read(), epsg=4326, transform=warped.transform, nodata=0
        )
    with open_aligned(turned, header) as src:
        pixels = read_window(src, WHOLE, bands=[1]).astype(int)
    assert np.abs(pixels - ramp())[:, 3:-3, 3:-3].max() <= 2


def test_a_scene_without_wishes_is_the_raster_itself(tmp_path: Path) -> None:
    rotated = Affine(8, 6, 500000, 6, -8, 5000000)
    path = write(tmp_path / 'a.tif', ramp(), transform=rotated)
    for crs in (None, 'EPSG:32633', 32633):
        with open_scene(path, crs=crs) as src:
            assert src.transform == rotated
            np.testing.assert_array_equal(read_window(src, WHOLE, bands=[1]), ramp())


def test_the_resolution_of_the_file_on_its_own_grid_resamples_nothing(grid: Path) -> None:
    with open_scene(grid, res=10) as src:
        assert src.driver == 'GTiff'
    with open_scene(grid, crs='EPSG:32633', res=(10, 10)) as src:
        np.testing.assert_array_equal(read_window(src, WHOLE, bands=[1]), ramp())


@given(
    res=st.sampled_from([0.1, 0.3, 1 / 3, 0.7, 5.0, 7.5, 12.0, 30.0, 199.0]),
    left=st.floats(4e5, 6e5), top=st.floats(1e6, 9e6),
)  # fmt: skip
def test_borders_lie_on_multiples_of_the_resolution_and_the_scene_within(
    tmp_path_factory: pytest.TempPathFactory, res: float, left: float, top: float
) -> None:
    folder = tmp_path_factory.mktemp('scene')
    path = write(folder / 'a.tif', ramp(), transform=from_origin(left, top, 10, 10))
    with open_scene(path, res=res) as src:
        bounds, transform = src.bounds, src.transform
    for border in bounds:
        assert abs(border / res - round(border / res)) < 1e-6
    assert (transform.a, transform.e) == (res, -res)
    # less than a pixel around
    assert left - res < bounds.left <= left + 1e-5 * res
    assert top + res > bounds.top >= top - 1e-5 * res
    assert left + 200 + res > bounds.right >= left + 200 - 1e-5 * res
    assert top - 200 - res < bounds.bottom <= top - 200 + 1e-5 * res


def test_a_border_on_a_multiple_adds_no_pixel(tmp_path: Path) -> None:
    # 812345.3 / 0.1 is 8123453.000000001 in float64
    transform = from_origin(812345.3, 5123456.7, 0.2, 0.2)
    path = write(tmp_path / 'a.tif', ramp(), transform=transform)
    with open_scene(path, res=0.1) as src:
        assert (src.height, src.width) == (40, 40)
        assert src.transform.c == pytest.approx(812345.3, abs=1e-9)


def test_pixels_may_have_two_sides(grid: Path) -> None:
    with open_scene(grid, res=(20, 5)) as src:
        assert src.res == (20, 5)
        assert (src.height, src.width) == (40, 10)


@pytest.mark.parametrize('rotated', [False, True])
def test_a_scene_in_another_crs_shows_the_same_ground(tmp_path: Path, rotated: bool) -> None:
    transform = Affine(8, 6, 500000, 6, -8, 5000000) if rotated else None
    path = write(tmp_path / 'a.tif', ramp(60, 60), transform=transform)
    with rasterio.open(path) as original, open_scene(path, crs=3857, res=10) as src:
        assert src.crs.to_epsg() == 3857
        whole = Window(row_off=0, col_off=0, height=src.height, width=src.width)
        pixels = read_window(src, whole, bands=[1])[0]
        valid = read_valid(src, whole, bands=[1])
        rows, cols = np.nonzero(valid)
        xs, ys = rasterio.transform.xy(src.transform, rows, cols)
        places = rasterio.warp.transform(src.crs, original.crs, xs, ys)
        x, y = np.array(places)
        inverse = ~original.transform
        expected_cols = inverse.a * x + inverse.b * y + inverse.c
        expected_rows = inverse.d * x + inverse.e * y + inverse.f
    inner = (expected_rows > 2) & (expected_rows < 58) & (expected_cols > 2) & (expected_cols < 58)
    # pixels count from their edge; values grow by 2 per column
    expected = 10 + 2 * (expected_cols - 0.5)
    assert inner.sum() > 2000
    assert np.abs(pixels[rows, cols] - expected)[inner].max() < 1.5
    assert not valid.all()


@pytest.mark.parametrize('told', ['by the file', 'by the caller'])
def test_nodata_is_not_blended_with_its_neighbours(tmp_path: Path, told: str) -> None:
    pixels = np.full((1, 40, 40), 200, dtype='uint8')
    pixels[:, :, :20] = 7
    by_file = told == 'by the file'
    path = write(tmp_path / 'a.tif', pixels, nodata=7 if by_file else None)
    with open_scene(path, res=3, nodata=None if by_file else 7) as src:
        whole = Window(row_off=0, col_off=0, height=src.height, width=src.width)
        found = read_window(src, whole, bands=[1])
        valid = read_valid(src, whole, bands=[1])
    assert set(np.unique(found[0][valid])) == {200}
    assert 0.4 < valid.mean() < 0.6


@pytest.mark.parametrize('how', ['a resolution', 'a CRS', 'a grid'])
@pytest.mark.parametrize('masked', [False, True], ids=['tag', 'mask'])
def test_two_kinds_of_nodata_are_not_blended_with_their_neighbours(
    tmp_path: Path, masked: bool, how: str
) -> None:
    pixels = np.full((2, 40, 40), 100, dtype='uint8')
    pixels[:, :, :10], pixels[:, :, 30:] = 0, 255
    path = write(tmp_path / 'a.tif', pixels, nodata=None if masked else 0)
    if masked:
        with rasterio.open(path, 'r+') as dst:
            dst.write_mask(pixels[0] > 0)
    fine = from_origin(500003, 5000000, 7, 7)
    grid = replace(read_header(path), height=57, width=57, transform=fine)
    wish: dict[str, dict[str, Any]] = {
        'a resolution': {'res': 7},
        'a CRS': {'crs': 'EPSG:32634', 'res': 7},
    }
    opened = (
        open_aligned(path, grid, nodata=255)
        if how == 'a grid'
        else open_scene(path, nodata=255, **wish[how])
    )
    with opened as src:
        whole = Window(row_off=0, col_off=0, height=src.height, width=src.width)
        found = read_window(src, whole, bands=[1, 2])
        valid = read_valid(src, whole, nodata=255)
    assert set(np.unique(found[:, valid])) == {100}
    assert 0.3 < valid.mean() < 0.7


def test_outside_a_file_without_nodata_is_not_observed(tmp_path: Path) -> None:
    path = write(tmp_path / 'a.tif', ramp() * 0, transform=from_origin(500003, 5000003, 10, 10))
    with open_scene(path, res=1) as src:
        assert src.count == 2
        assert src.colorinterp[1].name == 'alpha'
    with open_scene(path, res=50) as src:
        whole = Window(row_off=0, col_off=0, height=src.height, width=src.width)
        valid = read_valid(src, whole, bands=[1])
    assert valid[1:-1, 1:-1].all()
    assert not valid.all()


@pytest.mark.parametrize(
    ('wish', 'message'),
    [
        ({'crs': 'EPSG:99999'}, "crs must be one that PROJ knows, .* got 'EPSG:99999'"),
        ({'crs': 'here'}, "crs must be one that PROJ knows, .* got 'here'"),
        ({'res': 0}, r'res must be > 0, got 0'),
        ({'res': (10, -10)}, r'res must be > 0, got \(10, -10\)'),
        ({'res': float('nan')}, r'res must be > 0, got nan'),
        ({'res': 201}, r'res must be at most the scene, .*grid\.tif of 200 x 200 units'),
        ({'res': 10, 'crs': 'EPSG:4326'}, r'res must be at most the scene, .* got 10'),
        ({'res': 1e-8}, r'res must be at least 1 / 100 of the pixels'),
        ({'crs': '+proj=ortho +lat_0=-80 +lon_0=180'}, r'grid\.tif cannot be expressed in'),
        ({'crs': 'LOCAL_CS["plan",UNIT["metre",1]]'}, r'grid\.tif cannot be expressed in'),
    ],
    ids=str,
)
def test_wishes_that_cannot_be_are_refused_in_one_line(
    grid: Path, wish: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as info, open_scene(grid, **wish):
        pass
    assert '\n' not in str(info.value)


@pytest.mark.parametrize('wish', [{'res': 5}, {'crs': 'EPSG:32633'}], ids=str)
def test_a_scene_without_a_crs_cannot_be_resampled(tmp_path: Path, wish: dict[str, Any]) -> None:
    with rasterio.open(
        tmp_path / 'a.tif', 'w', driver='GTiff', height=20, width=20, count=1, dtype='uint8',
        transform=from_origin(0, 0, 10, 10),
    ) as dst:  # fmt: skip
        dst.write(ramp())
    with (
        pytest.raises(ValueError, match=r'a\.tif names no CRS, which resampling'),
        open_scene(tmp_path / 'a.tif', **wish),
    ):
        pass
    with open_scene(tmp_path / 'a.tif') as src:
        np.testing.assert_array_equal(read_window(src, WHOLE, bands=[1]), ramp())


def test_a_reduced_raster_keeps_averages_and_leaves_nodata_out(tmp_path: Path) -> None:
    pixels = np.stack([ramp(40, 40)[0], np.full((40, 40), 9, dtype='uint8')])
    pixels[:, :, :10] = 0
    path = write(tmp_path / 'a.tif', pixels, nodata=0)
    with open_reader(path) as src:
        found, valid = read_reduced(src, bands=[2, 1], shape=(4, 8), resampling='average')
        nearest, _ = read_reduced(src, bands=[1], shape=(80, 80), resampling='nearest')
    np.testing.assert_array_equal(valid, np.broadcast_to([False] * 2 + [True] * 6, (4, 8)))
    assert (found[0][valid] == 9).all()
    np.testing.assert_array_equal(found[1][0, 2:], pixels[0, 0].reshape(8, 5).mean(axis=1)[2:])
    np.testing.assert_array_equal(nearest[0], pixels[0].repeat(2, axis=0).repeat(2, axis=1))


def test_a_large_raster_is_reduced_through_overviews_or_by_few_pixels(tmp_path: Path) -> None:
    path = tmp_path / 'a.tif'
    with rasterio.open(
        path, 'w', driver='GTiff', height=9000, width=9000, count=1, dtype='uint8', tiled=True,
        blockxsize=512, blockysize=512, sparse_ok=True, compress='deflate',
        transform=from_origin(0, 0, 10, 10),
    ) as dst:  # fmt: skip
        checks = (np.indices((512, 512)).sum(axis=0) % 2 * 200).astype('uint8')
        dst.write(checks, 1, window=rasterio.windows.Window(0, 0, 512, 512))
    for expected in ({0, 200}, {100}):
        with open_reader(path) as src:
            found, valid = read_reduced(src, bands=[1], shape=(90, 90), resampling='average')
        assert valid.all()
        assert set(np.unique(found[0, :5, :5])) <= expected
        with rasterio.open(path, 'r+') as dst:
            dst.build_overviews([2], rasterio.enums.Resampling.average)


def test_what_is_not_finite_is_not_observed(tmp_path: Path) -> None:
    pixels = np.ones((1, 20, 20), dtype='float32')
    pixels[0, 0, 0], pixels[0, 0, 1] = np.nan, np.inf
    with open_reader(write(tmp_path / 'a.tif', pixels)) as src:
        _, valid = read_reduced(src, bands=[1], shape=(20, 20), resampling='nearest')
    assert valid.sum() == 398
    assert not valid[0, :2].any()


@pytest.mark.parametrize(
    ('crs', 'res', 'nodata'),
    [
        ('EPSG:32618', 30, None),
        ('EPSG:32618', None, None),
        ('EPSG:32618', 6, None),
        (None, 3e-4, None),
        ('EPSG:32618', 20, 7),
    ],
    ids=str,
)
def test_a_pixel_does_not_depend_on_the_window_it_is_read_in(
    crs: str | None, res: float | None, nodata: float | None, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(1, 255, (1, 900, 1100), dtype='uint8')
    noise[:, :, 950:] = 255
    path = write(
        tmp_path / 'a.tif', noise, epsg=4326, transform=from_origin(-76, 35, 9e-5, 7.4e-5),
        nodata=255,
    )  # fmt: skip
    with open_scene(path, crs=crs, res=res, nodata=nodata) as src:
        whole = src.read(1)
        for row in range(0, src.height, 128):
            for col in range(0, src.width, 200):
                window = Window(
                    row_off=row, col_off=col, height=min(128, src.height - row),
                    width=min(200, src.width - col),
                )  # fmt: skip
                part = read_window(src, window, bands=[1])[0]
                expected = whole[row : window.row_stop, col : window.col_stop]
                np.testing.assert_array_equal(part, expected)


def test_a_resolution_far_too_fine_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / 'a.tif', ramp())
    with (
        pytest.raises(ValueError, match=r'at least 1 / 100 of the pixels .* got 0\.0001'),
        open_scene(path, res=1e-4),
    ):
        pass


GRIDS = {
    'coarse': ('EPSG:32618', from_origin(410000, 3873000, 30, 30)),
    'fine': ('EPSG:32618', from_origin(410000, 3873000, 6, 6)),
    'turned': ('EPSG:32618', Affine(24, 18, 406000, 18, -24, 3868000)),
    'of one CRS': ('EPSG:4326', from_origin(-75.99, 34.99, 3e-4, 2e-4)),
}


@pytest.mark.parametrize('name', GRIDS)
def test_a_pixel_on_the_grid_of_another_raster_does_not_depend_on_the_window(
    name: str, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(1, 256, (1, 900, 1100), dtype='uint8')
    path = write(
        tmp_path / 'a.tif', noise, epsg=4326, transform=from_origin(-76, 35, 9e-5, 7.4e-5),
        nodata=255,
    )  # fmt: skip
    crs, transform = GRIDS[name]
    grid = replace(
        read_header(path), height=300, width=330, crs=CRS.from_string(crs), transform=transform
    )
    with open_aligned(path, grid) as src:
        whole = src.read(1)
        assert (whole != 255).mean() > 0.5
        for row in range(0, 300, 128):
            for col in range(0, 330, 100):
                window = Window(
                    row_off=row, col_off=col, height=min(128, 300 - row), width=min(100, 330 - col)
                )
                expected = whole[row : window.row_stop, col : window.col_stop]
                np.testing.assert_array_equal(read_window(src, window, bands=[1])[0], expected)


def test_a_raster_turned_by_a_right_angle_has_the_scales_of_its_own_rows_and_columns(
    tmp_path: Path,
) -> None:
    # 40 columns of 10 m from north to south, 20 rows of 30 m from west to east
    turned = Affine(0, 30, 500000, -10, 0, 5000400)
    values = np.zeros((1, 20, 40), dtype='uint8')
    values[:, :, 2::5] = 200
    path = write(tmp_path / 'a.tif', values, transform=turned)
    grid = replace(
        read_header(path), height=8, width=10, transform=from_origin(500000, 5000400, 60, 50)
    )
    with open_aligned(path, grid) as src:
        pixels = read_window(src, Window(row_off=0, col_off=0, height=8, width=10), bands=[1])[0]
    # a row of the grid averages over five columns of the file and more, one of which in five is 200
    assert np.abs(pixels[1:-1].astype(int) - 40).max() <= 1


@pytest.mark.parametrize(
    ('epsg', 'transform', 'wish'),
    [
        # a pixel of 5.6 x 11.2 m, as meridians converge
        (4326, from_origin(15, 60, 1e-4, 1e-4), {'crs': 'EPSG:32633'}),
        (32633, from_origin(500000, 5000000, 10, 20), {'crs': 'EPSG:32634'}),
        (32633, from_origin(500000, 5000000, 10, 20), {'res': 16}),
    ],
    ids=['degrees', 'another CRS', 'a resolution'],
)
def test_a_scene_of_pixels_that_are_not_square_has_scales_of_their_own(
    tmp_path: Path, epsg: int, transform: Affine, wish: dict[str, Any]
) -> None:
    values = np.zeros((1, 60, 120), dtype='uint8')
    values[:, :, ::2] = 200
    path = write(tmp_path / 'a.tif', values, epsg=epsg, transform=transform)
    with open_scene(path, **wish) as src:
        pixels = src.read()
        header = describe_reader(src)
    # wider than the columns of the file, of which every other is 200
    inner = pixels[0][pixels[1] == 255].astype(int)
    assert np.abs(inner - 100).mean() < 35
    with open_aligned(path, header) as src:
        np.testing.assert_array_equal(src.read(), pixels)


def test_small_pixels_in_degrees_are_told_apart(grid: Path) -> None:
    one = replace(read_header(grid), transform=from_origin(35, 33, 1e-6, 1e-6))
    for left, size, same in (
        (35, 1.2e-6, False),
        (35 + 5e-7, 1e-6, False),
        (35 + 5e-9, 1e-6, True),
    ):
        other = replace(one, transform=from_origin(left, 33, size, size))
        assert on_one_grid(one, other) is same
