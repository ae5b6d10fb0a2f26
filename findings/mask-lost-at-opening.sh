#!/bin/sh
# GDAL through rasterio: GDAL_DISABLE_READDIR_ON_OPEN=EMPTY_DIR, which is often advised for fast reading of scenes in
# the cloud, hides the mask that lies beside a file (NAME.tif.msk), without a word. The choice made at opening stays
# with the handle also when the option is long gone, so that clouds that were masked out are read as good pixels.
# With the value TRUE the mask is found.
# Seen with rasterio 1.4.4 (GDAL 3.10.3): 16 valid pixels with EMPTY_DIR, 8 with TRUE; so also 1.5.2 (GDAL 3.12.2).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet rasterio==1.4.4 numpy==2.4.4
venv/bin/python - <<'PYTHON'
import pathlib

import numpy as np
import rasterio
from rasterio.transform import from_origin

print('rasterio', rasterio.__version__, 'GDAL', rasterio.__gdal_version__)
profile = {'driver': 'GTiff', 'width': 4, 'height': 4, 'count': 1, 'dtype': 'uint8'}
grid = {'crs': 'EPSG:32633', 'transform': from_origin(500_000, 5_500_000, 10, 10)}
with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open('a.tif', 'w', **profile, **grid) as scene:
    scene.write(np.ones((1, 4, 4), np.uint8))
    scene.write_mask(np.arange(16).reshape(4, 4) < 8)
print('files:', sorted(path.name for path in pathlib.Path().glob('a.tif*')))

counts = {}
for value in ('TRUE', 'EMPTY_DIR'):
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN=value):
        scene = rasterio.open('a.tif')
    # the option is gone from here on
    counts[value] = int(scene.read(1, masked=True).count())
    print(f'opened with {value}: {counts[value]} valid pixels, flags {scene.mask_flag_enums[0]}')
    scene.close()
print('expected: 8 valid pixels each time, or an error')
if counts != {'TRUE': 8, 'EMPTY_DIR': 16}:
    raise SystemExit('The behaviour has changed.')
PYTHON
