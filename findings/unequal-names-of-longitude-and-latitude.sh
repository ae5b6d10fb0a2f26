#!/bin/sh
# rasterio: EPSG:4326 and OGC:CRS84 do not compare equal, since the standard puts the latitude first in the one and the
# longitude first in the other, although rasterio always puts the longitude first, so that both place pixels alike. Even
# a GeoTIFF is not in the CRS that it was written in a moment ago, if that was OGC:CRS84. This is the CRS of GeoParquet
# by default, and a program that compares it with a scene's refuses the two, or resamples what was on one grid.
# Seen with rasterio 1.4.4 (GDAL 3.10.3): equal False, coordinates the same to the last digit; so also 1.5.2.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet rasterio==1.4.4 numpy==2.4.4
venv/bin/python - <<'PYTHON'
import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.warp import transform

print('rasterio', rasterio.__version__, 'GDAL', rasterio.__gdal_version__)
named = CRS.from_string('OGC:CRS84')
profile = {'driver': 'GTiff', 'width': 2, 'height': 2, 'count': 1, 'dtype': 'uint8'}
with rasterio.open('a.tif', 'w', **profile, crs=named, transform=from_origin(15, 50, 0.1, 0.1)) as scene:
    scene.write(np.ones((1, 2, 2), np.uint8))
with rasterio.open('a.tif') as scene:
    read = scene.crs

utm = CRS.from_epsg(32633)
places = [transform(crs, utm, [15.0], [50.0]) for crs in (named, read)]
print(f'written as {named}, read as {read}')
print('longitude 15, latitude 50 in UTM zone 33:', *places)
print('equal:', named == read, '(expected: True)')
if read != CRS.from_epsg(4326) or named == read or places[0] != places[1]:
    raise SystemExit('The behaviour has changed.')
PYTHON
