#!/bin/sh
# geopandas: to_crs puts what lies beyond a projection at infinity, without an error or a warning. Such places are
# neither missing nor empty, so that only is_valid finds them, and the bounds of the table become infinite.
# Written as GeoJSON they lose their geometry altogether, with no more than a warning that names no feature; in a
# GeoPackage they stay at infinity. Labels from all over the world that are brought into the CRS of one scene end so.
# Seen with geopandas 1.2.0, pyproj 3.7.2, pyogrio 0.13.0: POINT (Infinity Infinity), read from the GeoJSON as None.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet geopandas==1.2.0 pyproj==3.7.2 pyogrio==0.13.0 shapely==2.1.2 numpy==2.4.4
venv/bin/python - <<'PYTHON'
import warnings

import geopandas
import numpy as np
import pyogrio
import pyproj
import shapely

print('geopandas', geopandas.__version__, 'pyproj', pyproj.__version__, 'pyogrio', pyogrio.__version__)
places = [shapely.Point(15, 50), shapely.Point(106, 1)]
labels = geopandas.GeoDataFrame({'town': ['Prague', 'Riau']}, geometry=places, crs='EPSG:4326')
with warnings.catch_warnings():
    warnings.simplefilter('error')
    moved = labels.to_crs('EPSG:32633')
far = moved.geometry.iloc[1]
missing = bool(moved.geometry.isna().any() or moved.geometry.is_empty.any())
print('in UTM zone 33:', far, 'missing or empty:', missing, '(expected: an error, or a missing geometry)')
print('valid:', moved.is_valid.tolist())
print('bounds of both:', moved.total_bounds)

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter('always')
    moved.to_file('a.geojson', driver='GeoJSON', engine='pyogrio')
again = geopandas.read_file('a.geojson').geometry.iloc[1]
print('written as GeoJSON, read again:', again, 'warned:', [str(warning.message) for warning in caught])
moved.to_file('a.gpkg', driver='GPKG', engine='pyogrio')
kept = geopandas.read_file('a.gpkg').geometry.iloc[1]
print('written as GeoPackage, read again:', kept)
infinite = np.isinf([far.x, far.y, kept.x, kept.y]).all()
if missing or again is not None or not infinite or moved.is_valid.tolist() != [True, False]:
    raise SystemExit('The behaviour has changed.')
PYTHON
