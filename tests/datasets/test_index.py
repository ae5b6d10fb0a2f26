from pathlib import Path

import pytest
import rasterio
from affine import Affine
from pyproj import CRS

from gersp_geo.datasets.geotiff_patches import GeoTIFFPatches


def write(path: Path, crs: str, transform: Affine) -> Path:
    with rasterio.open(
        path, 'w', driver='GTiff', count=1, height=40, width=40, dtype='uint8', crs=crs,
        transform=transform,
    ):  # fmt: skip
        pass
    return path


@pytest.mark.parametrize(
    ('crs', 'transform', 'wanted'),
    [
        ('EPSG:32660', Affine(1000, 0, 720_000, 0, -1000, 5e6), 'EPSG:4326'),
        ('EPSG:32660', Affine(1000, 0, 720_000, 0, -1000, 5e6), 'EPSG:3857'),
        ('EPSG:4326', Affine(0.05, 0, 235, 0, -0.05, 40), 'EPSG:32610'),
        ('EPSG:4326', Affine(0.05, 0, 179, 0, -0.05, 40), 'EPSG:32660'),
    ],
)
def test_tiles_that_would_be_torn_at_180_degrees_are_refused(
    crs: str, transform: Affine, wanted: str, tmp_path: Path
) -> None:
    path = write(tmp_path / 'a.tif', crs, transform)
    with pytest.raises(ValueError, match=r'a\.tif lies across or beyond 180 degrees, .* gdalwarp'):
        GeoTIFFPatches(path, crs=CRS.from_user_input(wanted))
    # as they are, they are fine; and so are their neighbours
    assert len(GeoTIFFPatches(path).tiles) == 1
    near = write(tmp_path / 'b.tif', 'EPSG:32660', Affine(1000, 0, 5e5, 0, -1000, 5e6))
    assert len(GeoTIFFPatches(near, crs=CRS.from_epsg(4326)).tiles) == 1
