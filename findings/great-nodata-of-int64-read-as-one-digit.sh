#!/bin/sh
# rasterio: a nodata value of eighteen digits or more in a band of int64 comes back as a number of one digit. The least
# int64, a usual fill value, is written as -9.2233720368547758e+18 and read as -9, and 10**17 is read as 1, although a
# float holds both exactly. Pixels without data are then valid, and pixels of the label 1 are hidden. While the file is
# being written its nodata value still looks right, and one of sixteen digits is right when it is read, too.
# Seen with rasterio 1.4.4 (GDAL 3.10.3): -9.0 for -2**63, 1.0 for 10**17; so also 1.5.2 (GDAL 3.12.2).
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

print('rasterio', rasterio.__version__, 'GDAL', rasterio.__gdal_version__)
profile = {'driver': 'GTiff', 'width': 3, 'height': 1, 'count': 1, 'dtype': 'int64'}
grid = {'crs': 'EPSG:32633', 'transform': from_origin(500_000, 5_500_000, 10, 10)}
seen = {}
for nodata in (10**15, 10**17, -(2**63)):
    values = np.array([[[nodata, 1, -9]]], np.int64)
    with rasterio.open('a.tif', 'w', **profile, **grid, nodata=nodata) as labels:
        labels.write(values)
        before = labels.nodata
    with rasterio.open('a.tif') as labels:
        after = labels.nodata
        hidden = values[labels.read(masked=True).mask].tolist()
    print(f'nodata {nodata}: {before} while written, {after} when read, hidden: {hidden} (expected: [{nodata}])')
    seen[nodata] = (before == nodata, after, hidden)
surprise = {
    10**15: (True, 10**15, [10**15]),
    10**17: (True, 1, [1]),
    -(2**63): (True, -9, [-9]),
}
if seen != surprise:
    raise SystemExit('The behaviour has changed.')
PYTHON
