#!/bin/sh
# pyproj: longitudes repeat every 360 degrees, and what becomes of one beyond 180 depends on where it lies. From NAD27 to
# OGC:CRS84, in one call: 236 degrees, on the American West coast, where the datum is shifted, become -124; 421 degrees, in
# Asia, where no shift is known, stay 421; and 596 degrees, the same place as 236, become infinite without an error,
# since PROJ refuses more than ten radians (573 degrees) where it has something to do. A polygon that goes once
# around from 246 to 596 degrees, as outlines of mosaics of tracks do, loses a corner.
# Seen with pyproj 3.8.0 (PROJ 9.8.1): -124, 421 and inf.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet pyproj==3.8.0
venv/bin/python - <<'PYTHON'
import math

import pyproj
from pyproj import Transformer

print('pyproj', pyproj.__version__, 'PROJ', pyproj.proj_version_str)
to_degrees = Transformer.from_crs('EPSG:4267', 'OGC:CRS84', always_xy=True)
found = {}
for lon in (236.0, 421.0, 596.0):
    moved, _ = to_degrees.transform(lon, 40.0)
    found[lon] = round(moved) if math.isfinite(moved) else 'inf'
    print(f'{lon} degrees, 40 north, become {found[lon]}')
if found != {236.0: -124, 421.0: 421, 596.0: 'inf'}:
    raise SystemExit('The behaviour has changed.')
PYTHON
