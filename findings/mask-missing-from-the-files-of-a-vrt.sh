#!/bin/sh
# GDAL through rasterio: `files` of a GeoTIFF names the mask beside it (NAME.tif.msk), but `files` of a VRT made of that
# GeoTIFF names the GeoTIFF only, although the VRT reads the mask. Whoever copies or archives a mosaic by this list
# leaves the mask behind, and clouds that were masked out come back as good pixels, without a word.
# Seen with rasterio 1.4.4 (GDAL 3.10.3): a.vrt, a.tif; 8 valid pixels before the copy, 16 after it; so also 1.5.2.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet rasterio==1.4.4 numpy==2.4.4
venv/bin/python - <<'PYTHON'
import pathlib
import shutil

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.transform import from_origin

print('rasterio', rasterio.__version__, 'GDAL', rasterio.__gdal_version__)
profile = {'driver': 'GTiff', 'width': 4, 'height': 4, 'count': 1, 'dtype': 'uint8'}
grid = {'crs': 'EPSG:32633', 'transform': from_origin(500_000, 5_500_000, 10, 10)}
with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open('a.tif', 'w', **profile, **grid) as scene:
    scene.write(np.ones((1, 4, 4), np.uint8))
    scene.write_mask(np.arange(16).reshape(4, 4) < 8)
rasterio.shutil.copy('a.tif', 'a.vrt', driver='VRT')

with rasterio.open('a.tif') as scene:
    part = scene.files
with rasterio.open('a.vrt') as mosaic:
    files = mosaic.files
    before = int(mosaic.read(1, masked=True).count())
print('files of the GeoTIFF:', part)
print('files of the VRT:', files, '(expected: a.tif.msk, too)')

pathlib.Path('archive').mkdir()
for file in files:
    shutil.copy(file, 'archive')
with rasterio.open('archive/a.vrt') as mosaic:
    after = int(mosaic.read(1, masked=True).count())
print(f'valid pixels: {before}, in the copy of these files {after} (expected: the same)')
if not ('a.tif.msk' in part and 'a.tif.msk' not in files and (before, after) == (8, 16)):
    raise SystemExit('The behaviour has changed.')
PYTHON
