#!/bin/sh
# GDAL through rasterio: a transparency band of 0 and 255 in a file of 16 bits is taken for a share of 65535, so that
# opaque pixels count as transparent to 99.6 %. reproject with src_alpha makes 4 of the value 1000, and read_masks gives
# 1 instead of 255, so that `mask == 255` holds nowhere. Such files come about where a mask of 8 bits is stacked onto an
# image of 16 bits. The same values in 8 bits are right.
# Seen with rasterio 1.4.4 (GDAL 3.10.3): 4 and 1 in uint16, 100 and 255 in uint8; so also 1.5.2 (GDAL 3.12.2).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet rasterio==1.4.4 numpy==2.4.4
venv/bin/python - <<'PYTHON'
import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.warp import reproject

print('rasterio', rasterio.__version__, 'GDAL', rasterio.__gdal_version__)
crs, transform = 'EPSG:32633', from_origin(500_000, 5_500_000, 10, 10)
seen = {}
for dtype, value in (('uint8', 100), ('uint16', 1000)):
    values = np.full((4, 4, 4), value, dtype)
    values[3] = 255
    profile = {'driver': 'GTiff', 'width': 4, 'height': 4, 'count': 4, 'dtype': dtype}
    marked = {'photometric': 'RGB', 'alpha': 'YES'}
    with rasterio.open('a.tif', 'w', **profile, **marked, crs=crs, transform=transform) as scene:
        scene.write(values)
    red = np.zeros((4, 4), dtype)
    with rasterio.open('a.tif') as scene:
        reproject(rasterio.band(scene, 1), red, src_alpha=4, dst_crs=crs, dst_transform=transform)
        mask = scene.read_masks(1)
    print(f'{dtype}, alpha 255: red {value} becomes {red[0, 0]} (expected: {value})')
    print(f'{dtype}, alpha 255: the mask is {mask[0, 0]} (expected: 255)')
    seen[dtype] = (np.unique(red).tolist(), np.unique(mask).tolist())
if seen != {'uint8': ([100], [255]), 'uint16': ([4], [1])}:
    raise SystemExit('The behaviour has changed.')
PYTHON
