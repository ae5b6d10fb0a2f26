#!/bin/sh
# GDAL's two readers of TIFF: of complex numbers in a file of the other byte order, with the horizontal predictor,
# LIBERTIFF mixes real and imaginary parts up, without an error. GTiff reads its own file back as it was written. Radar
# scenes are complex, and some processors write big-endian files.
# Seen with rasterio 1.5.2 (GDAL 3.12.2): 81+0j is read as 0+81j.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
PYENV_VERSION=${PYENV_VERSION:-3.12} python3 -m venv venv
venv/bin/python -m pip install --quiet rasterio==1.5.2 numpy
venv/bin/python - <<'PYTHON' 2>errors
import numpy as np
import rasterio

print('rasterio', rasterio.__version__, 'GDAL', rasterio.__gdal_version__)
pixels = np.full((1, 70, 90), 81 + 0j, dtype='complex64')
profile = dict(driver='GTiff', height=70, width=90, count=1, dtype='complex64', crs='EPSG:32633')
profile |= dict(transform=rasterio.Affine(1, 0, 4e5, 0, -1, 5e6), compress='deflate')
wrong = []
for order in ('LITTLE', 'BIG'):
    for predictor in (1, 2):
        with rasterio.open('scene.tif', 'w', **profile, endianness=order, predictor=predictor) as dst:
            dst.write(pixels)
        for driver in ('GTiff', 'LIBERTIFF'):
            with rasterio.open('scene.tif', driver=driver) as src:
                found = src.read()
            print(f'{order}, predictor {predictor}, {driver}: {found[0, 0, 0]}')
            if not (found == pixels).all():
                wrong.append((order, predictor, driver))
if wrong != [('BIG', 2, 'LIBERTIFF')]:
    raise SystemExit(f'The behaviour has changed: {wrong}')
PYTHON
