#!/bin/sh
# GDAL through rasterio: in a band of float32, the nodata value is compared with a slack of several steps of float32.
# Where labels near 2**24 are kept as float32, which holds them exactly, and 16777215 is nodata, the seven labels
# before it are masked, too; with -9999 as nodata, an elevation of -9999.003 is. `values == nodata` says otherwise, so
# that two programs that read the same file leave out other pixels.
# Seen with rasterio 1.4.4 (GDAL 3.10.3): 8 labels masked instead of 1, 5 elevations instead of 1; so also 1.5.2.
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
grid = {'crs': 'EPSG:32633', 'transform': from_origin(500_000, 5_500_000, 10, 10)}
cases = {16_777_215: 16_777_215 - np.arange(12), -9999: -9999 - np.arange(12) / 1000}
seen = {}
for nodata, values in cases.items():
    values = values.astype(np.float32)
    profile = {'driver': 'GTiff', 'width': 12, 'height': 1, 'count': 1, 'dtype': 'float32', 'nodata': nodata}
    with rasterio.open('a.tif', 'w', **profile, **grid) as scene:
        scene.write(values[None, None])
    with rasterio.open('a.tif') as scene:
        masked = scene.read_masks(1)[0] == 0
        equal = scene.read(1)[0] == scene.nodata
    print(f'nodata {nodata}: masked', [f'{value:.3f}' for value in values[masked]])
    print('  equal to nodata:', [f'{value:.3f}' for value in values[equal]], '(expected: the same)')
    seen[nodata] = (int(masked.sum()), int(equal.sum()))
if seen != {16_777_215: (8, 1), -9999: (5, 1)}:
    raise SystemExit('The behaviour has changed.')
PYTHON
