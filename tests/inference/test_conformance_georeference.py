"""Laws that hold for any engine of tiled prediction: where a map lies, and from what it is made."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import torch
from affine import Affine
from rasterio.crs import CRS
from rasterio.windows import Window
from rio_cogeo.cogeo import cog_validate
from torch import Tensor

from tests.inference.engines import (
    GRID,
    UTM,
    Engine,
    identity,
    new_scene,
    noise,
    on_every_engine,
    write_scene,
)

# torchgeo 0.10 hands out origins as float32: half a metre of rounding at these coordinates
GRIDS = {
    '0.1 m, UTM': (Affine(0.1, 0, 399_999.7, 0, -0.1, 5_000_000.3), 32632),
    '0.1 m, web Mercator': (Affine(0.1, 0, 11_350_123.1, 0, -0.1, 6_123_456.7), 3857),
    'south-up': (Affine(0.3, 0, 5e5 + 1 / 3, 0, 0.3, 5e6), 32632),
    'rotated': (Affine(0.29, 0.045, 5e5 + 1 / 7, 0.067, -0.19, 5e6), 32632),
    'mirrored': (Affine(-0.3, 0, 5e5, 0, -0.3, 5e6), 32632),
    'degrees': (Affine(1 / 3600, 0, 11 + 1 / 3, 0, -1 / 3600, 48), 4326),
}


@on_every_engine('map')
@pytest.mark.parametrize(('transform', 'epsg'), GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize('overlap', [0, 9])
def test_a_map_lies_exactly_where_its_scene_lies(
    tmp_path: Path, engine: Engine, transform: Affine, epsg: int, overlap: int
) -> None:
    crs = CRS.from_epsg(epsg)
    # a map is to be found by its coordinates, so every pixel is another one
    pixels = np.arange(70 * 50, dtype='float32').reshape(1, 70, 50)
    source = write_scene(tmp_path / 'scene.tif', pixels, transform=transform, crs=crs)
    engine.predict(identity, source, tmp_path, overlap=overlap, blend='crop')
    with rasterio.open(source) as scene, rasterio.open(tmp_path / 'map.tif') as written:
        assert tuple(written.transform) == tuple(scene.transform) == tuple(transform)
        assert written.crs == scene.crs == crs
        assert (written.height, written.width) == (70, 50)
        assert cog_validate(tmp_path / 'map.tif', quiet=True)[0]
        for row, col in ((0, 0), (31, 32), (69, 0), (69, 49)):
            place = scene.xy(row, col)
            assert next(written.sample([place])) == pixels[0, row, col]


@on_every_engine('map')
@pytest.mark.filterwarnings('ignore::rasterio.errors.NotGeoreferencedWarning')
def test_a_scene_without_a_reference_gives_a_map_without_one(
    tmp_path: Path, engine: Engine
) -> None:
    pixels = noise((1, 40, 45))
    path = tmp_path / 'scene.tif'
    with rasterio.open(
        path, 'w', driver='GTiff', height=40, width=45, count=1, dtype='float32'
    ) as dst:
        dst.write(pixels)
    stitched = engine.predict(identity, path, tmp_path)
    np.testing.assert_allclose(stitched, pixels, rtol=0, atol=2e-6)
    with rasterio.open(tmp_path / 'map.tif') as src:
        assert src.crs is None
        assert src.transform == Affine.identity()


@on_every_engine()
def test_a_vrt_is_a_scene_like_any_other(tmp_path: Path, engine: Engine) -> None:
    # geoai 0.43 fails: it copies the driver of its source
    pixels = noise((2, 45, 45))
    source = write_scene(tmp_path / 'a.tif', pixels)
    rasterio.shutil.copy(source, tmp_path / 'scene.vrt', driver='VRT')
    stitched = engine.predict(identity, tmp_path / 'scene.vrt', tmp_path)
    np.testing.assert_allclose(stitched, pixels, rtol=0, atol=2e-6)


@on_every_engine('nodata', 'map')
def test_a_mosaic_of_files_with_a_gap_is_one_scene(tmp_path: Path, engine: Engine) -> None:
    west, east = noise((1, 60, 40)) + 1, noise((1, 60, 50)) + 2
    write_scene(tmp_path / 'west.tif', west)
    write_scene(tmp_path / 'east.tif', east, transform=GRID @ Affine.translation(70, 0))
    parts = ''.join(
        f'<SimpleSource><SourceFilename relativeToVRT="1">{name}.tif</SourceFilename>'
        f'<SourceBand>1</SourceBand><SrcRect xOff="0" yOff="0" xSize="{width}" ySize="60"/>'
        f'<DstRect xOff="{left}" yOff="0" xSize="{width}" ySize="60"/></SimpleSource>'
        for name, left, width in (('west', 0, 40), ('east', 70, 50))
    )
    place = ', '.join(map(repr, GRID.to_gdal()))
    (tmp_path / 'scene.vrt').write_text(
        f'<VRTDataset rasterXSize="120" rasterYSize="60"><SRS>EPSG:32632</SRS>'
        f'<GeoTransform>{place}</GeoTransform><VRTRasterBand dataType="Float32" band="1">'
        f'<NoDataValue>-9999</NoDataValue>{parts}</VRTRasterBand></VRTDataset>'
    )
    stitched = engine.predict(identity, tmp_path / 'scene.vrt', tmp_path)
    gap = np.full((1, 60, 30), np.nan, dtype='float32')
    np.testing.assert_allclose(
        stitched, np.concatenate([west, gap, east], axis=2), rtol=0, atol=2e-6
    )
    with rasterio.open(tmp_path / 'map.tif') as src:
        assert (src.transform, src.crs) == (GRID, UTM)


@on_every_engine('map')
@pytest.mark.parametrize(
    'side', [3000, pytest.param(70_000, marks=pytest.mark.slow)], ids=['9 MB', '4.9 GB']
)
def test_a_map_may_be_larger_than_memory_and_four_gigabytes(
    tmp_path: Path, engine: Engine, side: int
) -> None:
    path, block = tmp_path / 'scene.tif', 256
    random = np.random.default_rng(0)
    end = side // block * block
    # the last block is cut by both far sides of the scene
    places = [(0, 0), (end // 2 // block * block, 512), (end, end)]
    stored = {}
    with new_scene(
        path, (1, side, side), dtype='uint8', block=block, sparse_ok=True, bigtiff='yes',
        compress='deflate',
    ) as dst:  # fmt: skip
        for row, col in places:
            height, width = min(block, side - row), min(block, side - col)
            stored[row, col] = random.integers(0, 3, (height, width), dtype='uint8')
            stored[row, col][0, 0] = 1
            window = Window(col, row, width, height)
            dst.write(stored[row, col], 1, window=window)

    def three_classes(images: Tensor) -> Tensor:
        return -((images - torch.arange(3)[None, :, None, None]) ** 2)

    engine.predict(three_classes, path, tmp_path, size=256, overlap=32, output='classes')
    with rasterio.open(tmp_path / 'map.tif') as src:
        assert (src.height, src.width, src.dtypes) == (side, side, ('uint8',))
        assert src.overviews(1)
        for (row, col), pixels in stored.items():
            height, width = pixels.shape
            window = Window(col, row, width, height)
            np.testing.assert_array_equal(src.read(1, window=window), pixels)
        empty = src.read(1, window=Window(1024, 0, 300, 300))
        assert (empty == src.nodata).all()
