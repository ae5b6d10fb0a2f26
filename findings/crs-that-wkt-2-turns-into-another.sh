#!/bin/sh
# rasterio: ESRI:102113, the Web Mercator of older maps and tiles, does not survive its own WKT 2. The text names
# Mercator on a sphere and the code ESRI:102113, but what is made of the text is EPSG:3857, which does not equal the CRS
# that was written. A catalogue that keeps the CRS of its scenes as WKT 2 so finds each of these scenes in another CRS
# than its own. WKT 1 of GDAL and a GeoTIFF give the CRS back.
# Seen with rasterio 1.4.4 (GDAL 3.10.3): EPSG:3857, not equal; so also 1.5.2 (GDAL 3.12.2).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet rasterio==1.4.4 numpy==2.4.4
venv/bin/python - <<'PYTHON'
import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.transform import from_origin

print('rasterio', rasterio.__version__, 'GDAL', rasterio.__gdal_version__)
given = CRS.from_string('ESRI:102113')
again = {version: CRS.from_wkt(given.to_wkt(version=version)) for version in ('WKT1_GDAL', 'WKT2_2015', 'WKT2_2019')}
profile = {'driver': 'GTiff', 'width': 2, 'height': 2, 'count': 1, 'dtype': 'uint8'}
with rasterio.open('a.tif', 'w', **profile, crs=given, transform=from_origin(1e6, 6e6, 10, 10)) as scene:
    scene.write(np.ones((1, 2, 2), np.uint8))
with rasterio.open('a.tif') as scene:
    again['GeoTIFF'] = scene.crs
for name, crs in again.items():
    print(f'{given} through {name}: {crs}, equal: {crs == given} (expected: True)')

text = given.to_wkt(version='WKT2_2019')
print('the text says:', [words for words in ('Visualisation Sphere', 'ID["ESRI",102113]', '3857') if words in text])
seen = {name: str(crs) for name, crs in again.items() if crs != given}
if seen != {'WKT2_2015': 'EPSG:3857', 'WKT2_2019': 'EPSG:3857'} or '3857' in text:
    raise SystemExit('The behaviour has changed.')
PYTHON
