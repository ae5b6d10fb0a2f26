"""Small odd rasters: where they lie, and what says so."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import rasterio
from affine import Affine
from pyproj import Transformer
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.rpc import RPC
from rasterio.shutil import copy

from tests.corpus.oracle import Scene
from tests.corpus.rasters import COLS, GRID, ROWS, Make, draw, placed, write

# of a plane: line goes with latitude, sample with longitude
RATIONAL = RPC(
    height_off=100.0, height_scale=500.0, lat_off=47.0, lat_scale=0.1, long_off=11.0, long_scale=0.2,
    line_off=20.0, line_scale=50.0, samp_off=30.0, samp_scale=60.0,
    line_num_coeff=[0.0, 0.0, -1.0] + [0.0] * 17, line_den_coeff=[1.0] + [0.0] * 19,
    samp_num_coeff=[0.0, 1.0] + [0.0] * 18, samp_den_coeff=[1.0] + [0.0] * 19,
    err_bias=0.0, err_rand=0.0,
)  # fmt: skip


def at(transform: Affine | None, crs: str | None, *, shape: tuple[int, int] = (ROWS, COLS)) -> Make:
    """A place on the ground."""

    def make(folder: Path) -> Scene:
        pixels = draw(3, rows=shape[0], cols=shape[1])
        known = None if crs is None else CRS.from_user_input(crs)
        path = write(folder / 'a.tif', pixels, transform=transform, crs=known)
        return placed(path, pixels, crs=known, transform=transform or Affine.identity())

    return make


def points_of(
    shape: tuple[int, int], transform: Affine, *, crs: str = 'EPSG:32632', into: str = 'EPSG:32632'
) -> tuple[GroundControlPoint, ...]:
    """Lay ground control points over a raster, 4 x 5 of them, with coordinates of a CRS."""
    across = Transformer.from_crs(crs, into, always_xy=True)
    points = []
    for row in np.linspace(0, shape[0], 4):
        for col in np.linspace(0, shape[1], 5):
            x, y = across.transform(*(transform @ (col, row)))
            points.append(GroundControlPoint(row=row, col=col, x=x, y=y, z=12.0))
    return tuple(points)


def controlled(driver: str = 'GTiff', name: str = 'a.tif', into: str = 'EPSG:4326') -> Make:
    """Ground control points, as radar scenes have them."""

    def make(folder: Path) -> Scene:
        pixels = draw(3)
        points = points_of((ROWS, COLS), GRID, into=into)
        crs = CRS.from_user_input(into)
        plain = write(folder / 'plain.tif', pixels, transform=None, crs=None)
        with rasterio.open(plain, 'r+') as dst:
            dst.gcps = (list(points), crs)
        path = plain
        if driver != 'GTiff':
            path = folder / name
            copy(plain, path, driver=driver)
        with rasterio.open(path) as src:
            stored, stored_crs = src.gcps
        return Scene(path=str(path), pixels=pixels, gcps=tuple(stored), gcps_crs=stored_crs)

    return make


def rational(folder: Path) -> Scene:
    """Rational polynomial coefficients, as optical scenes have them."""
    pixels = draw(3)
    path = write(folder / 'a.tif', pixels, transform=None, crs=None)
    with rasterio.open(path, 'r+') as dst:
        dst.rpcs = RATIONAL
    with rasterio.open(path) as src:
        assert src.rpcs is not None
        return Scene(path=str(path), pixels=pixels, rpcs=src.rpcs)


def zipped(name: Callable[[Path], str]) -> Make:
    """A GeoTIFF inside an archive."""

    def make(folder: Path) -> Scene:
        pixels = draw(3)
        path = write(folder / 'a.tif', pixels)
        with ZipFile(folder / 'a.zip', 'w') as archive:
            archive.write(path, 'inner/a.tif')
        path.unlink()
        return placed(name(folder / 'a.zip'), pixels)

    return make


def scaled(folder: Path) -> Scene:
    """Tags of scale and offset: values are taken as they are stored."""
    pixels: Any = draw(3, 'u2')
    path = write(folder / 'a.tif', pixels)
    with rasterio.open(path, 'r+') as dst:
        dst.scales, dst.offsets = (2.75e-5,) * 3, (-0.2,) * 3
    return placed(path, pixels)
