#!/bin/sh
# pyogrio: its wheels hold no driver for GeoParquet, but instead of saying that the format is not supported they hand
# the file to GDAL's driver for database connections, which looks for the library of DuckDB. The error names a library
# that the user never asked for, and not the format. Building footprints and field boundaries are often published as
# GeoParquet now, so that many people meet this message first; geopandas.read_parquet reads the same file.
# Seen with pyogrio 0.13.0 (GDAL 3.12.4), where no DuckDB is installed: DataSourceError about libduckdb.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet pyogrio==0.13.0 pyarrow==25.0.0 numpy==2.4.4
venv/bin/python - <<'PYTHON'
import json
import struct

import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
from pyogrio.errors import DataSourceError

print('pyogrio', pyogrio.__version__, 'GDAL', pyogrio.__gdal_version_string__, 'pyarrow', pa.__version__)
point = struct.pack('<BIdd', 1, 1, 15, 50)
table = pa.table({'name': ['field'], 'geometry': pa.array([point], pa.binary())})
geometry = {'encoding': 'WKB', 'geometry_types': ['Point']}
geo = {'version': '1.0.0', 'primary_column': 'geometry', 'columns': {'geometry': geometry}}
pq.write_table(table.replace_schema_metadata({'geo': json.dumps(geo)}), 'fields.parquet')

print('drivers:', [name for name in pyogrio.list_drivers() if name in ('ADBC', 'Parquet')])
try:
    pyogrio.read_info('fields.parquet')
except DataSourceError as error:
    seen = str(error)
else:
    seen = 'the file was read'
print('seen:', seen)
print('expected: the file is read, or an error that it is of no supported format')
if 'duckdb' not in seen:
    raise SystemExit('The behaviour has changed.')
PYTHON
