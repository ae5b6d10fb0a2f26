#!/bin/sh
# rasterio: a WarpedVRT that is given its grid (transform, width, height) loses what lies beyond longitude 180. Of a
# scene around Fiji, stored in degrees from 179 to 180.4, the part west of 180 is filled and the rest is nodata, without
# a word. A WarpedVRT that chooses the very same grid itself has it all, and so has rasterio.warp.reproject. Whoever
# stacks scenes on a common grid, as one does for a series of images, gets a straight edge in the middle of them.
# Seen with rasterio 1.4.4 (GDAL 3.10.3): 14159 valid pixels, with the grid given 10117; so also 1.5.2 (GDAL 3.12.2).
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
from rasterio.vrt import WarpedVRT
from rasterio.warp import reproject

print('rasterio', rasterio.__version__, 'GDAL', rasterio.__gdal_version__)
profile = {'driver': 'GTiff', 'width': 140, 'height': 100, 'count': 1, 'dtype': 'uint8', 'nodata': 0}
with rasterio.open('a.tif', 'w', **profile, crs='EPSG:4326', transform=from_origin(179, -16, 0.01, 0.01)) as scene:
    scene.write(np.full((1, 100, 140), 100, np.uint8))

utm = 'EPSG:32660'
counts = {}
with rasterio.open('a.tif') as scene:
    with WarpedVRT(scene, crs=utm) as chosen:
        grid = {'transform': chosen.transform, 'width': chosen.width, 'height': chosen.height}
        counts['grid chosen by WarpedVRT'] = np.count_nonzero(chosen.read(1))
    with WarpedVRT(scene, crs=utm, **grid) as given:
        counts['the same grid given to WarpedVRT'] = np.count_nonzero(given.read(1))
    values = np.zeros((grid['height'], grid['width']), np.uint8)
    reproject(rasterio.band(scene, 1), values, dst_crs=utm, dst_transform=grid['transform'])
    counts['the same grid given to reproject'] = np.count_nonzero(values)
for name, count in counts.items():
    print(f'{name}: {count} valid pixels')
print('expected: the same number each time')
chosen, given, reprojected = counts.values()
if not (chosen == reprojected and 0 < given < 0.8 * chosen):
    raise SystemExit('The behaviour has changed.')
PYTHON
