#!/bin/sh
# rasterio and GDAL: a copy to a Cloud Optimized GeoTIFF that runs out of room is an error as a rule. With threads that
# compress (NUM_THREADS) and blocks that may be left out (SPARSE_OK), some copies end without one: the file opens, has
# its size and its overviews, and lacks blocks, so that reading it fails or shows nodata. Whoever deletes the source
# after a copy without error has lost it. A limit on the size of files stands for the full disk here.
# Seen with rasterio 1.4.4 (GDAL 3.10.3): 22 of 60 sizes that are too small end without an error; with 1.5.2 (GDAL
# 3.12.2), about every tenth.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet rasterio==1.4.4 numpy
venv/bin/python - <<'PYTHON' 2>errors
import os
import resource
import signal

import numpy as np
import rasterio
import rasterio.shutil

print('rasterio', rasterio.__version__, 'GDAL', rasterio.__gdal_version__)
# a write beyond the limit is an error then, as on a full disk, and no signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
pixels = np.random.default_rng(0).integers(0, 200, (1, 1300, 1100), dtype=np.uint8)
profile = dict(driver='GTiff', count=1, height=1300, width=1100, dtype='uint8', nodata=255, tiled=True)
profile |= dict(crs='EPSG:32633', transform=rasterio.Affine(1, 0, 4e5, 0, -1, 5e6))
with rasterio.open('scene.tif', 'w', blockxsize=512, blockysize=512, **profile) as dst:
    dst.write(pixels)


def copy(name):
    with rasterio.open('scene.tif') as src:
        rasterio.shutil.copy(
            src, name, driver='COG', compress='deflate', blocksize=512, sparse_ok='YES',
            overview_resampling='average', num_threads='ALL_CPUS',
        )


copy('whole.tif')
full = os.path.getsize('whole.tif')
silent = told = 0
for share in np.linspace(0.5, 0.99, 60):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * full), resource.RLIM_INFINITY))
    try:
        copy('copy.tif')
        silent += 1
    except Exception:
        told += 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    if os.path.exists('copy.tif'):
        os.remove('copy.tif')
print(f'{told} copies without room end in an error, {silent} do not (expected: 0)')
if not silent:
    raise SystemExit('The behaviour has changed.')
PYTHON
