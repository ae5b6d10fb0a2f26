"""Images that lie by ground control points or rational polynomials, seen on a grid."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.windows import Window

from gersp_geo.geoio.warp.alignment import open_scene
from gersp_geo.geoio.warp.rectifier import Rectifier

pytestmark = pytest.mark.filterwarnings('ignore::rasterio.errors.NotGeoreferencedWarning')

HEIGHT, WIDTH = 90, 200


def place(col: Any, row: Any, bend: float) -> tuple[Any, Any]:
    waves = bend * np.sin(col / 60) * np.cos(row / 50)
    return 15 + 1e-4 * col + 2e-5 * row + waves, 47 + 1e-5 * col - 9e-5 * row + waves


@pytest.fixture(params=[0.0, 2e-4], ids=['polynomial', 'spline'])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    points = [
        GroundControlPoint(row, col, *place(col, row, request.param), 5.0)
        for row in np.linspace(0, HEIGHT, 4)
        for col in np.linspace(0, WIDTH, 6)
    ]
    rows, cols = np.mgrid[:HEIGHT, :WIDTH].astype('f4')
    with rasterio.open(
        tmp_path / 's.tif', 'w', driver='GTiff', height=HEIGHT, width=WIDTH, count=2,
        dtype='float32', gcps=points, crs='EPSG:4326', nodata=-1,
    ) as dst:  # fmt: skip
        dst.write(np.stack([cols, rows]))
    return tmp_path / 's.tif'


def test_pixels_do_not_depend_on_the_window_that_is_read(scene: Path) -> None:
    with open_scene(scene, crs='EPSG:32633') as src:
        whole = src.read([1, 2])
    generator = np.random.default_rng(0)
    for _ in range(5):
        height, width = generator.integers(1, 80, 2).tolist()
        row = int(generator.integers(0, whole.shape[1] - height))
        col = int(generator.integers(0, whole.shape[2] - width))
        bands = [[1, 2], [2]][int(generator.integers(2))]
        with open_scene(scene, crs='EPSG:32633') as src:
            part = src.read(bands, window=Window(col, row, width, height))
        numbers = np.array(bands) - 1
        np.testing.assert_array_equal(part, whole[numbers, row : row + height, col : col + width])


def test_pixels_come_from_where_the_points_say(scene: Path) -> None:
    with rasterio.open(scene) as src:
        rectifier = Rectifier.of(src, CRS.from_epsg(32633))
    assert rectifier is not None
    with open_scene(scene, crs='EPSG:32633') as src:
        cols, rows = src.read([1, 2])
        transform = src.transform
    seen = (cols > 1) & (rows > 1) & (cols < WIDTH - 3) & (rows < HEIGHT - 3)
    assert seen.sum() > 0.8 * HEIGHT * WIDTH
    row, col = np.nonzero(seen)
    there = rectifier.to_image(*(transform @ (col + 0.5, row + 0.5)))
    np.testing.assert_allclose(cols[seen] + 0.5, there[0], atol=0.2)
    np.testing.assert_allclose(rows[seen] + 0.5, there[1], atol=0.2)


def test_the_ground_leads_back_to_the_image(scene: Path) -> None:
    with rasterio.open(scene) as src:
        rectifier = Rectifier.of(src, CRS.from_epsg(32633))
    assert rectifier is not None
    cols, rows = np.random.default_rng(0).uniform(0, 90, (2, 50))
    back = rectifier.to_image(*rectifier.to_ground(cols, rows))
    np.testing.assert_allclose(back, [cols, rows], atol=0.5)
