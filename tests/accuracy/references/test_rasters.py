from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from gersp_geo.accuracy.references import rasters
from gersp_geo.accuracy.references.rasters import RasterUnderMap
from gersp_geo.geoio import read_header
from gersp_geo.geoio.read import open_reader
from gersp_geo.geoio.write import write_raster
from gersp_geo.windows import Window

WHOLE = Window(row_off=0, col_off=0, height=30, width=40)


def test_a_finer_raster_is_read_in_pieces_and_pixel_by_pixel_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random, crs = np.random.default_rng(0), 'EPSG:32632'
    grid = write_raster(
        tmp_path / 'map.tif', np.zeros((30, 40), np.uint8), crs=crs,
        transform=Affine(10, 0, 0, 0, -10, 0), block_size=16,
    )  # fmt: skip
    # turned, finer, and missing at one side
    turned = Affine.translation(80, 0) @ Affine.rotation(-10) @ Affine.scale(3, -3)
    pixels = random.integers(0, 5, (2, 110, 120)).astype(np.uint8)
    fine = write_raster(
        tmp_path / 'fine.tif', pixels, crs=crs, transform=turned, nodata=4, block_size=32
    )
    with open_reader(fine) as src:
        below = RasterUnderMap(src, read_header(grid), name='map.tif', bands=[2, 1])
        found, valid = below.read(WHOLE)
        assert valid is not None
        assert 0 < valid.sum() < valid.size
        monkeypatch.setattr(rasters, '_PIXELS_READ', 500)
        pieces, shown = below.read(WHOLE)
        rows, cols = np.mgrid[:30, :40].reshape(2, -1)
        points, known = below.read_at(rows, cols)
    assert shown is not None
    for values, seen in ((pieces, shown), (points.reshape(2, 30, 40), known.reshape(30, 40))):
        assert (seen == valid).all()
        assert (values[:, valid] == found[:, valid]).all()
