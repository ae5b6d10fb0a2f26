#!/bin/sh
# pyogrio: a column of truth values in which one is missing is read as float64 (1.0, 0.0, nan), while read_info() still
# calls the same column 'bool'. A program that looks up the types first and then picks the labelled fields (`~column`,
# or `column` as a mask) fails, or takes the numbers for a measurement, as soon as one field was left blank.
# Seen with pyogrio 0.13.0 (GDAL 3.12.4): read_info 'bool', read float64; without the blank both are bool.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet pyogrio==0.13.0 numpy==2.4.4
venv/bin/python - <<'PYTHON'
import json
import pathlib

import numpy as np
import pyogrio

print('pyogrio', pyogrio.__version__, 'GDAL', pyogrio.__gdal_version_string__, 'numpy', np.__version__)


def read(name, values):
    """The type of the column 'flooded' that is announced, and the column that is read."""
    points = [
        {
            'type': 'Feature',
            'properties': {'flooded': value},
            'geometry': {'type': 'Point', 'coordinates': [15 + number, 50]},
        }
        for number, value in enumerate(values)
    ]
    pathlib.Path(name).write_text(json.dumps({'type': 'FeatureCollection', 'features': points}))
    return pyogrio.read_info(name)['dtypes'][0], pyogrio.raw.read(name)[3][0]


announced, column = read('whole.geojson', [True, False])
print(f'without a blank: announced as {announced}, read as {column.dtype}: {column}')
announced_blank, blank = read('blank.geojson', [True, False, None])
print(f'with a blank: announced as {announced_blank}, read as {blank.dtype}: {blank}')
print('expected: what is announced is what is read, with or without a blank')
if (announced, column.dtype, announced_blank, blank.dtype) != ('bool', bool, 'bool', np.float64):
    raise SystemExit('The behaviour has changed.')
PYTHON
