"""Areas of interest, second maps, quantised probabilities, views, other grids, sparse scenes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
import torch
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window
from rio_cogeo.cogeo import cog_validate
from torch import Tensor, nn

from gersp_geo.inference import plan_prediction, predict_geotiff
from gersp_geo.inference.options import Averaging
from gersp_geo.preprocessing import Preprocessing

GRID = Affine(0.5, 0, 400_000, 0, -0.5, 5_000_000)
RECORD = Preprocessing(
    bands=('a', 'b', 'c'), scale=(1 / 255,) * 3, mean=(0.0,) * 3, std=(1.0,) * 3,
    class_names=('water', 'forest', 'road'),
)  # fmt: skip
OPTIONS: dict[str, Any] = {'preprocessing': RECORD, 'size': 64, 'overlap': 16, 'progress': False}


def identity(images: Tensor) -> Tensor:
    return images


def noise(height: int = 150, width: int = 170) -> NDArray[Any]:
    return np.random.default_rng(3).integers(0, 256, (3, height, width), dtype='uint8')


def write(path: Path, pixels: NDArray[Any], **options: Any) -> Path:
    with rasterio.open(
        path, 'w', driver='GTiff', height=pixels.shape[1], width=pixels.shape[2], count=3,
        dtype='uint8', crs='EPSG:32632', transform=GRID, tiled=True, blockxsize=32, blockysize=32,
        **options,
    ) as dst:  # fmt: skip
        dst.write(pixels)
    return path


def read(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as src:
        pixels: NDArray[Any] = src.read()
    return pixels


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return write(tmp_path / 'scene.tif', noise())


@pytest.mark.parametrize('blend', ['hann', 'crop'])
def test_only_the_area_of_interest_is_predicted_and_exactly_so(
    scene: Path, tmp_path: Path, blend: str
) -> None:
    # a triangle, given in longitude and latitude
    corners = [GRID * place for place in ((20, 20), (120, 40), (60, 130))]
    triangle = geopandas.GeoSeries([shapely.Polygon(corners)], crs='EPSG:32632')
    geopandas.GeoDataFrame(geometry=triangle.to_crs('EPSG:4326')).to_file(tmp_path / 'area.gpkg')
    seen = 0

    def model(images: Tensor) -> Tensor:
        nonlocal seen
        seen += len(images)
        return images

    options = OPTIONS | {'blend': blend, 'output': 'values'}
    summary = predict_geotiff(
        model, scene, tmp_path / 'map.tif', area=tmp_path / 'area.gpkg', **options
    )
    predict_geotiff(identity, scene, tmp_path / 'whole.tif', **options)
    centres = np.stack(np.meshgrid(np.arange(170) + 0.5, np.arange(150) + 0.5))
    inside = shapely.contains_xy(shapely.Polygon([(20, 20), (120, 40), (60, 130)]), *centres)
    found, whole = read(tmp_path / 'map.tif'), read(tmp_path / 'whole.tif')
    # reprojection there and back moves a corner by a fraction of a pixel
    assert (np.isfinite(found[0]) != inside).sum() <= 2
    there = np.isfinite(found)
    np.testing.assert_array_equal(found[there], whole[there])
    assert (
        summary.forwarded
        == seen - 1
        < summary.patches + 1
        < len(plan_prediction(identity, scene, tmp_path / 'other.tif', **options).tiles)
    )
    assert summary.valid_pixels == there[0].sum()


def test_an_area_elsewhere_is_refused(scene: Path, tmp_path: Path) -> None:
    square = geopandas.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs='EPSG:4326')
    square.to_file(tmp_path / 'area.geojson')
    with pytest.raises(ValueError, match=r'area\.geojson lies wholly outside .*scene\.tif'):
        predict_geotiff(
            identity, scene, tmp_path / 'map.tif', area=tmp_path / 'area.geojson', **OPTIONS
        )
    assert not (tmp_path / 'map.tif').exists()


def test_probabilities_beside_classes_are_those_that_made_them(scene: Path, tmp_path: Path) -> None:
    paths = {kind: tmp_path / f'{kind}.tif' for kind in ('classes', 'second', 'alone')}
    predict_geotiff(identity, scene, paths['classes'], probabilities=paths['second'], **OPTIONS)
    predict_geotiff(identity, scene, paths['alone'], output='probabilities', **OPTIONS)
    np.testing.assert_array_equal(read(paths['second']), read(paths['alone']))
    np.testing.assert_array_equal(read(paths['classes'])[0], read(paths['second']).argmax(0))
    for path in paths.values():
        assert cog_validate(path, strict=True)[0]


def test_two_maps_are_not_written_to_one_file(scene: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='probabilities need a file of their own'):
        predict_geotiff(
            identity, scene, tmp_path / 'm.tif', probabilities=tmp_path / '.' / 'm.tif', **OPTIONS
        )


@pytest.mark.parametrize('blend', ['hann', 'crop'])
def test_probabilities_in_a_byte_are_scaled_by_what_the_file_says(
    tmp_path: Path, blend: str
) -> None:
    pixels = noise()
    pixels[:, 40:60, 40:90] = 0
    scene = write(tmp_path / 'scene.tif', pixels, nodata=0)
    options = OPTIONS | {'output': 'probabilities', 'blend': blend}
    predict_geotiff(identity, scene, tmp_path / 'floats.tif', **options)
    predict_geotiff(identity, scene, tmp_path / 'bytes.tif', probability_type='uint8', **options)
    floats, quantised = read(tmp_path / 'floats.tif'), read(tmp_path / 'bytes.tif')
    with rasterio.open(tmp_path / 'bytes.tif') as src:
        assert (src.dtypes, src.nodata) == (('uint8',) * 3, 255)
        assert src.scales == (1 / 254,) * 3
        assert src.descriptions == RECORD.class_names
    there = np.isfinite(floats)
    assert ((quantised != 255) == there).all()
    np.testing.assert_allclose(quantised[there] / 254, floats[there], atol=0.5 / 254 + 1e-6)


@pytest.mark.parametrize('blend', ['hann', 'crop'])
@pytest.mark.parametrize('averaging', ['flips', 'rotations'])
def test_a_model_without_direction_is_the_average_of_its_views(
    scene: Path, tmp_path: Path, blend: str, averaging: Averaging
) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.AvgPool2d(3, stride=1, padding=1))
    options = OPTIONS | {'output': 'probabilities', 'blend': blend}
    predict_geotiff(model, scene, tmp_path / 'one.tif', **options)
    predict_geotiff(model, scene, tmp_path / 'many.tif', averaging=averaging, **options)
    np.testing.assert_allclose(
        read(tmp_path / 'many.tif'), read(tmp_path / 'one.tif'), rtol=0, atol=1e-5
    )


def test_another_resolution_and_system_make_another_grid(tmp_path: Path) -> None:
    rows, cols = np.mgrid[:150, :170]
    smooth = np.stack([rows, cols, rows + cols // 2]).astype('uint8')
    scene = write(tmp_path / 'scene.tif', smooth)
    options = OPTIONS | {'output': 'values'}
    predict_geotiff(identity, scene, tmp_path / 'coarse.tif', res=1.0, **options)
    with rasterio.open(tmp_path / 'coarse.tif') as src:
        assert src.res == (1.0, 1.0)
        assert src.shape == (75, 85)
        pixels = src.read()
    with rasterio.open(scene) as src:
        mean = src.read().reshape(3, 75, 2, 85, 2).mean((2, 4)) / 255
    np.testing.assert_allclose(pixels[:, 1:-1, 1:-1], mean[:, 1:-1, 1:-1], atol=1 / 255)
    predict_geotiff(identity, scene, tmp_path / 'web.tif', crs='EPSG:3857', **options)
    with rasterio.open(tmp_path / 'web.tif') as src:
        assert src.crs.to_epsg() == 3857
        web = src.read()
    assert 0.9 < np.isfinite(web[0]).mean() < 1


def test_overviews_are_made_as_asked_for(tmp_path: Path) -> None:
    scene = write(tmp_path / 'scene.tif', noise(1100, 600))
    found = {}
    for overviews in ('auto', 'nearest', 'mode'):
        path = tmp_path / f'{overviews}.tif'
        options = OPTIONS | {'size': 512, 'overviews': overviews}
        predict_geotiff(identity, scene, path, **options)
        with rasterio.open(path, overview_level=0) as src:
            found[overviews] = src.read(1)
        assert cog_validate(path, strict=True)[0]
    np.testing.assert_array_equal(found['nearest'], read(tmp_path / 'auto.tif')[0, ::2, ::2])
    np.testing.assert_array_equal(found['auto'], found['mode'])
    assert (found['mode'] != found['nearest']).any()


def test_a_sparse_scene_is_read_only_where_it_holds_something(tmp_path: Path) -> None:
    with rasterio.open(
        tmp_path / 'scene.tif', 'w', driver='GTiff', height=5000, width=6000, count=3,
        dtype='uint8', crs='EPSG:32632', transform=GRID, tiled=True, blockxsize=256,
        blockysize=256, sparse_ok=True, nodata=0,
    ) as dst:  # fmt: skip
        dst.write(noise(256, 256), window=Window(1024, 2048, 256, 256))
    options = OPTIONS | {'size': 256, 'overlap': 32, 'output': 'values'}
    plan = plan_prediction(identity, tmp_path / 'scene.tif', tmp_path / 'map.tif', **options)
    assert plan.costs.blocks_read == 1
    assert 1 <= plan.costs.patches <= 9 < len(plan.tiles)
    summary = predict_geotiff(identity, tmp_path / 'scene.tif', tmp_path / 'map.tif', **options)
    assert summary.forwarded <= plan.costs.patches
    with rasterio.open(tmp_path / 'scene.tif') as src:
        window = Window(900, 1900, 600, 600)
        pixels, valid = src.read(window=window), src.read_masks(1, window=window) > 0
    with rasterio.open(tmp_path / 'map.tif') as src:
        assert src.shape == (5000, 6000)
        found = src.read(window=window)
        assert int(np.isfinite(src.read(1)).sum()) == summary.valid_pixels
    any_valid = (pixels != 0).any(0)
    np.testing.assert_array_equal(np.isfinite(found[0]), any_valid)
    np.testing.assert_allclose(found[:, any_valid], pixels[:, any_valid] / 255, atol=1e-6)
    assert valid.any()
    # little but headers, for 360 MB of pixels
    assert (tmp_path / 'map.tif').stat().st_size < 2**20


def test_areas_in_a_geographic_system_are_those_on_the_ellipsoid(tmp_path: Path) -> None:
    pixels = noise(60, 80)
    with rasterio.open(
        tmp_path / 'scene.tif', 'w', driver='GTiff', height=60, width=80, count=3, dtype='uint8',
        crs='EPSG:4326', transform=Affine(0.001, 0, 11, 0, -0.001, 60),
    ) as dst:  # fmt: skip
        dst.write(pixels)
    summary = predict_geotiff(identity, tmp_path / 'scene.tif', tmp_path / 'map.tif', **OPTIONS)
    # at 60 degrees north a degree of longitude is half of one of latitude
    assert summary.class_areas_m2 is not None
    assert sum(summary.class_areas_m2) == pytest.approx(4800 * 111.4 * 55.8, rel=0.01)
    assert ' ha' in str(summary)


@pytest.mark.parametrize(('epsg', 'factor'), [(3857, 4.0), (32632, 1.0), (4326, 1.0)])
def test_areas_that_a_projection_distorts_say_so(epsg: int, factor: float, tmp_path: Path) -> None:
    origins = {
        3857: Affine(10, 0, 1.2e6, 0, -10, 8.4e6),
        32632: Affine(10, 0, 5e5, 0, -10, 6.65e6),
        4326: Affine(1e-4, 0, 9, 0, -1e-4, 60),
    }
    with rasterio.open(
        tmp_path / 'scene.tif', 'w', driver='GTiff', height=60, width=80, count=3, dtype='uint8',
        crs=f'EPSG:{epsg}', transform=origins[epsg],
    ) as dst:  # fmt: skip
        dst.write(noise(60, 80))
    summary = predict_geotiff(identity, tmp_path / 'scene.tif', tmp_path / 'map.tif', **OPTIONS)
    # at 60 degrees north, Mercator's metre is half a metre
    assert summary.area_factor == pytest.approx(factor, rel=0.02)
    assert ('areas are those of the projection' in str(summary)) == (factor > 1.01)


@pytest.mark.parametrize(
    ('tag', 'recorded', 'given'),
    [(None, 7, None), (7, None, None), (7, None, 250), (7, 100, None), (None, 100, 7)],
)
@pytest.mark.parametrize('res', [0.5, 0.35])
def test_on_any_grid_the_same_values_are_no_observation(
    tmp_path: Path, res: float, tag: int | None, recorded: int | None, given: int | None
) -> None:
    pixels = np.full((3, 60, 60), 100, dtype='uint8')
    pixels[:, :, :20] = 7
    if given == 250:
        pixels[:, :, 40:] = 250
    scene = write(tmp_path / 'scene.tif', pixels, nodata=tag)
    options = OPTIONS | {'output': 'values', 'preprocessing': replace(RECORD, nodata=recorded)}
    predict_geotiff(identity, scene, tmp_path / 'map.tif', res=res, nodata=given, **options)
    values = read(tmp_path / 'map.tif')
    seen = np.isfinite(values)
    np.testing.assert_allclose(values[seen] * 255, 100, atol=1e-3)
    assert seen.mean() == pytest.approx((pixels == 100).mean(), abs=0.03)
