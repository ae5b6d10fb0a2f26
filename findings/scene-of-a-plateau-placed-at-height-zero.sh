#!/bin/sh
# GDAL through rasterio: a scene that comes with an RPC model, as many from satellites do, is placed as if its ground
# lay at height 0, unless told otherwise, although the model states the heights that it holds for (height_off and
# height_scale). A plateau at 1500 to 2500 m, seen from a side, lands more than a kilometre off, without a warning that
# a height of 0 is far outside the model. RPC_HEIGHT=2000 puts the scene in its place.
# Seen with rasterio 1.4.4 (GDAL 3.10.3): 1431 m to the east, the same as with RPC_HEIGHT=0; so also 1.5.2.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet rasterio==1.4.4 numpy==2.4.4
venv/bin/python - <<'PYTHON'
import math

import numpy as np
import rasterio
from rasterio.rpc import RPC
from rasterio.vrt import WarpedVRT

print('rasterio', rasterio.__version__, 'GDAL', rasterio.__gdal_version__)
# the terms are 1, longitude, latitude, height, ...: a column is that of the longitude and half of the height's
one, rows, columns = ([0.0] * 20 for _ in range(3))
one[0], rows[2], columns[1], columns[3] = 1.0, -1.0, 1.0, 0.5
model = RPC(
    height_off=2000,
    height_scale=500,
    lat_off=50,
    lat_scale=0.01,
    long_off=15,
    long_scale=0.01,
    line_off=50,
    line_scale=50,
    samp_off=50,
    samp_scale=50,
    line_num_coeff=rows,
    line_den_coeff=one,
    samp_num_coeff=columns,
    samp_den_coeff=one,
)
with rasterio.open('a.tif', 'w', driver='GTiff', width=101, height=101, count=1, dtype='uint8', rpcs=model) as scene:
    scene.write(np.full((1, 101, 101), 100, np.uint8))

east = {}
with rasterio.open('a.tif') as scene:
    print('the model says: height', scene.rpcs.height_off, 'in the middle, longitude', scene.rpcs.long_off)
    for height in (None, 0, 2000):
        options = {} if height is None else {'RPC_HEIGHT': str(height)}
        with WarpedVRT(scene, src_crs='EPSG:4326', crs='EPSG:4326', **options) as placed:
            longitude = (placed.bounds.left + placed.bounds.right) / 2
        east[height] = round((longitude - 15) * 111_320 * math.cos(math.radians(50)))
        print(f'RPC_HEIGHT {height}: the middle lies {east[height]} m to the east of this (expected without one: 0 m)')
if not (east[None] == east[0] > 1000 and abs(east[2000]) < 1):
    raise SystemExit('The behaviour has changed.')
PYTHON
