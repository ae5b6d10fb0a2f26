from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import Affine, from_origin

from gersp_geo.datasets.raster_tiles import RasterTiles
from gersp_geo.labels.objects import ObjectOptions, ObjectSource, open_objects

GRID = from_origin(4e5, 5e6, 10, 10)

type Scene = Callable[..., Path]
type Open = Callable[..., ObjectSource]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Write an image, of 64 rows and 96 columns unless it says otherwise."""

    def write(
        name: str = 'a.tif', *, crs: Any = 'EPSG:32633', transform: Affine = GRID,
        sides: tuple[int, int] = (64, 96),
    ) -> Path:  # fmt: skip
        path = tmp_path / 'images' / name
        path.parent.mkdir(exist_ok=True, parents=True)
        pixels = np.full((*sides, 3), 7, dtype=np.uint8)
        if path.suffix != '.tif':
            Image.fromarray(pixels).save(path)
            return path
        profile = {'height': sides[0], 'width': sides[1], 'count': 3, 'dtype': 'uint8'}
        with rasterio.open(path, 'w', 'GTiff', crs=crs, transform=transform, **profile) as dst:
            dst.write(pixels.transpose(2, 0, 1))
        return path

    return write


@pytest.fixture
def open_labels(tmp_path: Path) -> Open:
    """Read the objects of all images that were written."""

    def read(labels: Any, images: Sequence[str | Path] | None = None, **options: Any) -> Any:
        tiles = RasterTiles(images or str(tmp_path / 'images'))
        return open_objects(tiles, ObjectOptions(labels=labels, **options))

    return read
