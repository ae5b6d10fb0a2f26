#!/bin/sh
# GDAL through pyogrio: the GeoJSON writer drops a ninth decimal that follows a row of zeros, even where
# COORDINATE_PRECISION asks for nine decimals: 7.000000002 is written as 7.0, and 6.999999998 as 7.0, too, while
# 7.123456782 keeps its ninth decimal. Points that lie some tenths of a millimetre apart around a round coordinate
# become one, although each decimal was asked for. With eleven decimals asked for, nothing is lost.
# Seen with pyogrio 0.13.0 (GDAL 3.12.4): 7.0, 7.0, 7.123456782 with nine decimals, all right with eleven.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet pyogrio==0.13.0 shapely==2.1.2 numpy==2.4.4
venv/bin/python - <<'PYTHON'
import json
import pathlib

import numpy as np
import pyogrio
import shapely

print('pyogrio', pyogrio.__version__, 'GDAL', pyogrio.__gdal_version_string__)
given = [7.000000002, 6.999999998, 7.123456782]


def written(decimals):
    """The longitudes in the file."""
    pyogrio.raw.write(
        'a.geojson',
        geometry=shapely.to_wkb(shapely.points(given, 48)),
        field_data=[np.arange(len(given))],
        fields=['number'],
        driver='GeoJSON',
        crs='OGC:CRS84',
        geometry_type='Point',
        layer_options={'COORDINATE_PRECISION': str(decimals)},
    )
    features = json.loads(pathlib.Path('a.geojson').read_text())['features']
    return [feature['geometry']['coordinates'][0] for feature in features]


nine, eleven = written(9), written(11)
print('nine decimals:', nine, f'(expected: {given})')
print('eleven decimals:', eleven)
if (nine, eleven) != ([7.0, 7.0, 7.123456782], given):
    raise SystemExit('The behaviour has changed.')
PYTHON
