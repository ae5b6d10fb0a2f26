"""Laws of Cloud Optimized GeoTIFFs."""

import json
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rio_cogeo.cogeo import cog_validate

from gersp_geo.geoio.write.atomic import DiskFullError
from gersp_geo.geoio.write.cog import MapLayout, finish_cog
from gersp_geo.geoio.write.completeness import lacks_blocks
from gersp_geo.geoio.write.mosaic import build_mosaic
from gersp_geo.geoio.write.parts import Part, write_part

CLASSES = MapLayout(
    height=700,
    width=600,
    crs=CRS.from_epsg(3857),
    transform=Affine(0.1, 0, 11_350_123.1, 0, -0.1, 6_123_456.7),
    dtype='uint8',
    nodata=255,
    descriptions=('class',),
    class_names=('water', 'Wald & Wiese'),
    class_colors=((0, 0, 200), (10, 180, 20)),
)
TRANSFORMS = {
    'north-up, 0.1 m, large coordinates': CLASSES.transform,
    'south-up': Affine(1 / 3, 0, 5e5 + 1 / 7, 0, 1 / 3, 5e6),
    'rotated': Affine(0.29, 0.045, 5e5 + 1 / 7, 0.067, -0.19, 5e6 + 1 / 3),
}


def checkerboard(layout: MapLayout) -> NDArray[np.generic]:
    rows, cols = np.indices((layout.height, layout.width)) // 64
    return ((rows + cols) % 2)[None].astype(layout.dtype)


def join(folder: Path, layout: MapLayout, pixels: NDArray[np.generic]) -> Path:
    """Write a raster to copy."""
    part = Part(
        path=str(folder / 'part.tif'),
        row_off=0,
        col_off=0,
        height=layout.height,
        width=layout.width,
    )
    write_part(part.path, pixels, nodata=layout.nodata)
    build_mosaic([part], folder / 'map.vrt', layout, {'MODEL': 'test'})
    return folder / 'map.vrt'


def make(folder: Path, layout: MapLayout, pixels: NDArray[np.generic]) -> Path:
    resampling = 'average' if layout.dtype == 'float32' else 'mode'
    source = join(folder, layout, pixels)
    finish_cog(source, folder / 'map.tif', overview_resampling=resampling)  # type: ignore[arg-type]
    return folder / 'map.tif'


@pytest.mark.parametrize('dtype', ['uint8', 'uint16', 'float32'])
def test_a_map_is_a_valid_cog_with_the_pixels_written(tmp_path: Path, dtype: str) -> None:
    is_float = dtype == 'float32'
    layout = replace(
        CLASSES,
        dtype=dtype,
        nodata=math.nan if is_float else 255,
        class_colors=() if is_float else CLASSES.class_colors,
    )
    pixels = checkerboard(layout)
    path = make(tmp_path, layout, pixels)
    is_valid, errors, warnings = cog_validate(path, strict=True)
    assert is_valid, (errors, warnings)
    with rasterio.open(path) as src:
        assert src.overviews(1)
        np.testing.assert_array_equal(src.read(), pixels)
        np.testing.assert_equal(src.nodata, layout.nodata)


@pytest.mark.parametrize('transform', TRANSFORMS.values(), ids=TRANSFORMS)
def test_crs_and_transform_survive_to_the_last_bit(tmp_path: Path, transform: Affine) -> None:
    layout = replace(CLASSES, transform=transform)
    with rasterio.open(make(tmp_path, layout, checkerboard(layout))) as src:
        assert tuple(src.transform) == tuple(transform)
        assert src.crs == layout.crs


def test_the_legend_survives(tmp_path: Path) -> None:
    with rasterio.open(make(tmp_path, CLASSES, checkerboard(CLASSES))) as src:
        colors = src.colormap(1)
        assert [colors[index][:3] for index in (0, 1)] == list(CLASSES.class_colors)
        assert json.loads(src.tags(1)['CLASS_NAMES']) == list(CLASSES.class_names)
        assert src.descriptions == ('class',)
        assert src.tags()['MODEL'] == 'test'


def test_overviews_of_classes_hold_classes_only(tmp_path: Path) -> None:
    path = make(tmp_path, CLASSES, checkerboard(CLASSES))
    with rasterio.open(path, overview_level=0) as src:
        assert set(np.unique(src.read())) <= {0, 1}


def test_rows_never_written_are_nodata(tmp_path: Path) -> None:
    pixels = checkerboard(CLASSES)[:, :100]
    with rasterio.open(make(tmp_path, CLASSES, pixels)) as src:
        assert (src.read(1)[100:] == 255).all()
        np.testing.assert_array_equal(src.read()[:, :100], pixels)


def test_an_existing_file_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    path = make(tmp_path, CLASSES, checkerboard(CLASSES))
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match=r'map\.tif exists'):
        finish_cog(tmp_path / 'map.vrt', path, overview_resampling='mode')
    assert path.read_bytes() == before
    finish_cog(tmp_path / 'map.vrt', path, overview_resampling='mode', overwrite=True)


def test_a_damaged_source_leaves_nothing_behind(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 2, (1, 700, 600), dtype='uint8')
    source = join(tmp_path, CLASSES, noise)
    damaged = tmp_path / 'part.tif'
    damaged.write_bytes(damaged.read_bytes()[:20_000])
    with pytest.raises(
        OSError, match=r'map\.vrt cannot be copied to .*map\.tif: .* failed'
    ) as info:
        finish_cog(source, tmp_path / 'map.tif', overview_resampling='mode')
    assert '\n' not in str(info.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['map.vrt', 'part.tif']


@pytest.mark.parametrize('share', [0.002, 0.5, 0.85, 0.95, 0.999])
def test_a_full_disk_leaves_nothing_behind(
    tmp_path: Path, small_disk: Callable[[int], AbstractContextManager[None]], share: float
) -> None:
    # noise: all blocks are of one size, and what GDAL holds back until the end is large
    layout = replace(
        CLASSES, height=300, width=300, dtype='float32', nodata=math.nan, class_colors=()
    )
    noise = np.random.default_rng(0).random((1, 300, 300), dtype='float32')
    size = make(tmp_path, layout, noise).stat().st_size
    for made in tmp_path.glob('map.tif*'):
        made.unlink()
    with (
        small_disk(int(share * size)),
        pytest.raises(OSError, match=r'map\.tif.* is the disk full\?') as info,
    ):
        finish_cog(tmp_path / 'map.vrt', tmp_path / 'map.tif', overview_resampling='average')
    assert '\n' not in str(info.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['map.vrt', 'part.tif']


def write_tiled(path: Path, pixels: NDArray[np.generic], *, nodata: float) -> Path:
    write_part(path, pixels, nodata=nodata)
    return path


@pytest.mark.parametrize('nodata', [255, float('nan')])
def test_a_copy_that_lacks_a_block_is_told_from_one_that_leaves_out_nodata(
    tmp_path: Path, nodata: float
) -> None:
    dtype = 'uint8' if nodata == 255 else 'float32'
    pixels = np.random.default_rng(0).integers(0, 200, (1, 700, 900)).astype(dtype)
    # a corner without any observation, which takes no room
    pixels[:, 512:, 512:] = nodata
    source = write_tiled(tmp_path / 'a.tif', pixels, nodata=nodata)
    lost = pixels.copy()
    lost[:, 256:384, 128:256] = nodata
    without = write_tiled(tmp_path / 'b.tif', lost, nodata=nodata)
    copy = partial(finish_cog, overview_resampling='average', block_size=128)
    copy(source, tmp_path / 'whole.tif')
    copy(without, tmp_path / 'lost.tif')
    # overviews that were made when there was nothing to see
    write_tiled(tmp_path / 'c.tif', np.full_like(pixels, nodata), nodata=nodata)
    with rasterio.open(tmp_path / 'c.tif', 'r+') as dst:
        dst.build_overviews([2, 4])
    with rasterio.open(tmp_path / 'c.tif', 'r+') as dst:
        dst.write(pixels)
    copy(tmp_path / 'c.tif', tmp_path / 'blind.tif')
    lacks = partial(lacks_blocks, block_size=128, resampling='average')
    with rasterio.open(source) as src, rasterio.open(without) as other:
        assert not lacks(tmp_path / 'whole.tif', src)
        assert lacks(tmp_path / 'lost.tif', src)
        assert not lacks(tmp_path / 'lost.tif', other)
        assert lacks(tmp_path / 'blind.tif', src)


def test_a_full_disk_leaves_no_copy_that_cannot_be_read(
    tmp_path: Path, small_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 200, (1, 1300, 1100)).astype('uint8')
    copy = partial(
        finish_cog, write_tiled(tmp_path / 'a.tif', pixels, nodata=255), overview_resampling='mode'
    )
    copy(tmp_path / 'whole.tif')
    full = (tmp_path / 'whole.tif').stat().st_size
    written = 0
    for share in (0.5, *np.linspace(0.84, 1.0, 9), 1.01):
        with small_disk(int(full * share)):
            try:
                copy(tmp_path / 'map.tif', overwrite=True)
            except DiskFullError:
                continue
        written += 1
        with rasterio.open(tmp_path / 'map.tif') as src:
            assert np.array_equal(src.read(), pixels)
    assert written
