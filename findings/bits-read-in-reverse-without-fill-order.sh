#!/bin/sh
# GDAL's two readers of TIFF: the tag FillOrder (266) with the value 2 says that the bits of each byte stand in reverse, as fax
# machines and some scanners write them. GTiff turns them round for 8 bits as well; LIBERTIFF ignores the tag and gives other
# pixels, without an error.
# Seen with rasterio 1.5.2 (GDAL 3.12.2): bytes 0, 1, 2, 3 are 0, 128, 64, 192 through GTiff, and 0, 1, 2, 3 through LIBERTIFF.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
PYENV_VERSION=${PYENV_VERSION:-3.12} python3 -m venv venv
venv/bin/python -m pip install --quiet rasterio==1.5.2 numpy
venv/bin/python - <<'PYTHON' 2>errors
import struct
import warnings

import rasterio

warnings.simplefilter('ignore')
print('rasterio', rasterio.__version__, 'GDAL', rasterio.__gdal_version__)


def write(path, *, fill_order):
    """Write the least that a TIFF of 2 x 2 bytes needs: header, one directory, one strip."""
    # width, height, bits, no compression, black is 0, fill order, strip at, samples, rows, bytes
    tags = [(256, 3, 2), (257, 3, 2), (258, 3, 8), (259, 3, 1), (262, 3, 1), (266, 3, fill_order)]
    tags += [(273, 4, 8), (277, 3, 1), (278, 3, 2), (279, 4, 4)]
    directory = struct.pack('<H', len(tags))
    for tag, kind, value in tags:
        directory += struct.pack('<HHI', tag, kind, 1) + struct.pack('<I', value)
    with open(path, 'wb') as file:
        file.write(struct.pack('<2sHI', b'II', 42, 12) + bytes([0, 1, 2, 3]) + directory + bytes(4))


found = {}
for order in (1, 2):
    write('bytes.tif', fill_order=order)
    for driver in ('GTiff', 'LIBERTIFF'):
        with rasterio.open('bytes.tif', driver=driver) as src:
            found[order, driver] = src.read(1).flatten().tolist()
            print(f'FillOrder {order}, {driver}: {found[order, driver]}')
plain, turned = [0, 1, 2, 3], [0, 128, 64, 192]
expected = {(1, 'GTiff'): plain, (1, 'LIBERTIFF'): plain, (2, 'GTiff'): turned, (2, 'LIBERTIFF'): plain}
if found != expected:
    raise SystemExit(f'The behaviour has changed: {found}')
PYTHON
