#!/bin/sh
# rasterio: the text of a CRS, CRS.to_string() and str(crs), may be the EPSG code of another one. A UTM zone on the
# international ellipsoid, whose datum is not stated, prints as EPSG:23033, which is on the European Datum 1950: a match
# of 70 % is taken for the code. Whoever keeps the text and makes a CRS of it again moves the map by a hundred metres,
# and a message that two CRSs differ names the same code twice.
# Seen with rasterio 1.4.4 (GDAL 3.10.3): 'EPSG:23033' twice, not equal, 110 m apart; rasterio 1.5.2 does the same.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet rasterio==1.4.4 numpy==2.4.4
venv/bin/python - <<'PYTHON'
import math

import rasterio
from rasterio.crs import CRS
from rasterio.warp import transform

print('rasterio', rasterio.__version__, 'GDAL', rasterio.__gdal_version__)
stated = CRS.from_string('+proj=utm +zone=33 +ellps=intl')
again = CRS.from_string(stated.to_string())
print('the CRS prints as', stated, 'and what is made of this text as', again)
print('equal:', stated == again, '(expected: True, or a text that is no code)')

places = [transform(crs, CRS.from_epsg(4326), [500_000], [5_500_000]) for crs in (stated, again)]
(east, north), (east_again, north_again) = [(x[0], y[0]) for x, y in places]
metres = 111_200 * math.hypot((east - east_again) * math.cos(math.radians(north)), north - north_again)
print(f'the same coordinates lie {metres:.0f} m apart on WGS 84 (expected: 0 m)')
if not (str(stated) == str(again) == 'EPSG:23033' and stated != again and metres > 50):
    raise SystemExit('The behaviour has changed.')
PYTHON
