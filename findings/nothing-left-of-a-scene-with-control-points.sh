#!/bin/sh
# rasterio: a WarpedVRT that is given its grid (transform, width, height) forgets the ground control points of its
# source. A radar scene or a scanned map that is placed by such points is nodata all over, without an error. With the
# grid left to WarpedVRT, or by rasterio.warp.reproject with the points handed over, every pixel is there.
# Seen with rasterio 1.4.4 (GDAL 3.10.3): 9035 valid pixels, with the same grid given 0; so also 1.5.2 (GDAL 3.12.2).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet rasterio==1.4.4 numpy==2.4.4
venv/bin/python - <<'PYTHON'
import numpy as np
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.vrt import WarpedVRT
from rasterio.warp import reproject

print('rasterio', rasterio.__version__, 'GDAL', rasterio.__gdal_version__)
utm = 'EPSG:32633'
points = [
    GroundControlPoint(row=row, col=col, x=500_000 + 10 * col + row, y=5_500_000 - 10 * row)
    for row in (0, 50, 100)
    for col in (0, 50, 100)
]
profile = {'driver': 'GTiff', 'width': 100, 'height': 100, 'count': 1, 'dtype': 'uint8', 'nodata': 0}
with rasterio.open('a.tif', 'w', **profile, gcps=points, crs=utm) as scene:
    scene.write(np.full((1, 100, 100), 100, np.uint8))

counts = {}
with rasterio.open('a.tif') as scene:
    with WarpedVRT(scene, crs=utm) as chosen:
        grid = {'transform': chosen.transform, 'width': chosen.width, 'height': chosen.height}
        counts['grid chosen by WarpedVRT'] = np.count_nonzero(chosen.read(1))
    with WarpedVRT(scene, crs=utm, **grid) as given:
        counts['the same grid given to WarpedVRT'] = np.count_nonzero(given.read(1))
    values = np.zeros((grid['height'], grid['width']), np.uint8)
    kept, crs = scene.gcps
    place = {'gcps': kept, 'src_crs': crs, 'dst_crs': utm, 'dst_transform': grid['transform']}
    reproject(scene.read(1), values, **place)
    counts['the same grid given to reproject'] = np.count_nonzero(values)
for name, count in counts.items():
    print(f'{name}: {count} valid pixels')
print('expected: the same number each time, or an error')
chosen, given, reprojected = counts.values()
if not (chosen == reprojected > 9000 and given == 0):
    raise SystemExit('The behaviour has changed.')
PYTHON
