"""Images to train on that lie by ground control points or polynomials, and not on a grid."""

from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC
from shapely import box

from .conftest import Fit, Raster

pytestmark = pytest.mark.filterwarnings('ignore::rasterio.errors.NotGeoreferencedWarning')

POINTS = [
    GroundControlPoint(row, col, 4e5 + 10 * col, 5e6 - 10 * row)
    for row in (0.0, 128.0)
    for col in (0.0, 128.0)
]
TERMS = [1.0, *[0.0] * 19]
POLYNOMIALS = RPC(
    height_off=0, height_scale=1, lat_off=-45, lat_scale=1, long_off=15, long_scale=1, line_off=64,
    line_scale=64, samp_off=64, samp_scale=64, line_num_coeff=TERMS, line_den_coeff=TERMS,
    samp_num_coeff=TERMS, samp_den_coeff=TERMS, err_bias=None, err_rand=None,
)  # fmt: skip
PLACES: dict[str, dict[str, Any]] = {
    'points': {'gcps': POINTS, 'crs': 'EPSG:32633'}, 'polynomials': {'rpcs': POLYNOMIALS},
}  # fmt: skip
SAID = {
    'points': 'has 4 ground control points (EPSG:32633) in place of a transform; make a grid of it '
    'first: gdalwarp -tps -t_srs EPSG:32633 IN OUT.tif',
    'polynomials': 'has rational polynomials (RPCs) in place of a transform; make a grid of it '
    'first: gdalwarp -rpc -t_srs EPSG:32733 IN OUT.tif',
}


def put_unplaced(path: Path, place: dict[str, Any], count: int = 3) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = (
        np.random.default_rng(0)
        .integers(0, 200 if count > 1 else 2, (count, 128, 128))
        .astype('u1')
    )
    shape = {'driver': 'GTiff', 'count': count, 'height': 128, 'width': 128, 'dtype': 'uint8'}
    with rasterio.open(path, 'w', **shape, **place) as dst:
        dst.write(pixels)
    return path


@pytest.mark.parametrize('kind', PLACES)
def test_they_are_refused_for_pretraining_with_the_way_out(
    kind: str, fit_pretraining: Fit, tmp_path: Path
) -> None:
    put_unplaced(tmp_path / 'images/a.tif', PLACES[kind])
    refusal = fit_pretraining({'data.remote_sensing': '../images'}).refusal
    assert refusal.startswith(f'../images/a.tif {SAID[kind]}, or read GeoTIFFs as plain images')


def test_they_are_plain_images_where_that_is_asked_for(
    fit_pretraining: Fit, tmp_path: Path
) -> None:
    for number in range(4):
        put_unplaced(tmp_path / f'images/{number}.tif', PLACES['points'])
    options = {
        'data.remote_sensing': '../images',
        'data.kind': 'chips',
        'data.patches_per_pass': 'null',
    }
    run = fit_pretraining(options)
    assert run.code == 0, run.err


@pytest.mark.parametrize('labels', ['masks', 'polygons'])
def test_they_are_refused_for_fine_tuning_with_the_way_out(
    labels: str, fit_segmentation: Fit, tmp_path: Path
) -> None:
    image = put_unplaced(tmp_path / 'images/a.tif', PLACES['points'])
    options = {'data.images': str(image.parent)}
    if labels == 'masks':
        put_unplaced(tmp_path / 'masks/a.tif', PLACES['points'], 1)
        options['data.masks'] = str(tmp_path / 'masks')
    else:
        ground = geopandas.GeoDataFrame(
            {'kind': [0]}, geometry=[box(4e5, 4.9e6, 5e5, 5e6)], crs=32633
        )
        ground.to_file(tmp_path / 'plots.gpkg')
        options |= {'data.labels': str(tmp_path / 'plots.gpkg'), 'data.attribute': 'kind'}
    refusal = fit_segmentation(options).refusal
    assert SAID['points'] in refusal
    assert 'a_srs' not in refusal
    assert 'edit-info' not in refusal


def test_masks_with_points_are_not_told_to_take_the_place_of_the_image(
    fit_segmentation: Fit, put: Raster, tmp_path: Path
) -> None:
    image = put(
        'images/a.tif', np.random.default_rng(0).integers(0, 99, (3, 128, 128)).astype('u1')
    )
    mask = put_unplaced(tmp_path / 'masks/a.tif', PLACES['points'], 1)
    options = {'data.images': str(image.parent), 'data.masks': str(mask.parent)}
    refusal = fit_segmentation(options).refusal
    assert 'a.tif has 4 ground control points (EPSG:32633) in place of a transform' in refusal
    assert 'rio warp' in refusal
    assert 'edit-info' not in refusal
