#!/bin/sh
# GDAL through rasterio: a GeoTIFF of four bands of bytes, written with default options, has its fourth band marked as
# transparency. When such a file of red, green, blue and near infrared is read at a coarser resolution by averages,
# pixels whose near infrared is 0, such as open water, are left out of all bands: red is 0 there instead of 100. Read
# at full resolution, by nearest neighbour, or written with alpha='NO', all values are right.
# Seen with rasterio 1.4.4 (GDAL 3.10.3): red 0 0 100 100 instead of 100 100 100 100; so also 1.5.2 (GDAL 3.12.2).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet rasterio==1.4.4 numpy==2.4.4
venv/bin/python - <<'PYTHON'
import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.transform import from_origin

print('rasterio', rasterio.__version__, 'GDAL', rasterio.__gdal_version__)
values = np.full((4, 8, 8), 100, np.uint8)
values[3, :, :4] = 0  # near infrared over water
profile = {'driver': 'GTiff', 'width': 8, 'height': 8, 'count': 4, 'dtype': 'uint8'}
grid = {'crs': 'EPSG:32633', 'transform': from_origin(500_000, 5_500_000, 10, 10)}

red = {}
for name, options in (('default', {}), ('marked', {'photometric': 'RGB', 'alpha': 'NO'})):
    with rasterio.open(f'{name}.tif', 'w', **profile, **grid, **options) as scene:
        scene.write(values)
    with rasterio.open(f'{name}.tif') as scene:
        print(f'{name} options: fourth band is {scene.colorinterp[3].name}')
        print('  red as stored:', scene.read(1)[0])
        for resampling in (Resampling.nearest, Resampling.average):
            row = scene.read(1, out_shape=(4, 4), resampling=resampling)[0]
            print(f'  red by {resampling.name}:', row, '(expected: 100 100 100 100)')
            red[name, resampling.name] = row.tolist()
even = [100] * 4
if red.pop(('default', 'average')) != [0, 0, 100, 100] or any(row != even for row in red.values()):
    raise SystemExit('The behaviour has changed.')
PYTHON
