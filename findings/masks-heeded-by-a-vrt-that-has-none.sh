#!/bin/sh
# GDAL through rasterio: a virtual raster (VRT) of one band has no mask and no transparency, is valid everywhere, and
# reads right at full resolution. Read at a coarser one by averages it still heeds the mask, or the transparency, of the
# file behind it: what is hidden there becomes 0, which the band holds nowhere, and is called valid. To make a VRT of
# the bands alone is so no way to read what lies under a mask, for example the values under a cloud.
# Seen with rasterio 1.4.4 (GDAL 3.10.3): 0 0 100 100 instead of 40 40 100 100; so also 1.5.2 (GDAL 3.12.2).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet rasterio==1.4.4 numpy==2.4.4
venv/bin/python - <<'PYTHON'
import pathlib

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.transform import from_origin

print('rasterio', rasterio.__version__, 'GDAL', rasterio.__gdal_version__)
values = np.full((8, 8), 100, np.uint8)
values[:, :4] = 40
hidden = np.where(values == 40, 0, 255).astype(np.uint8)
profile = {'driver': 'GTiff', 'width': 8, 'height': 8, 'dtype': 'uint8'}
grid = {'crs': 'EPSG:32633', 'transform': from_origin(500_000, 5_500_000, 10, 10)}
with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open('mask.tif', 'w', **profile, **grid, count=1) as scene:
    scene.write(values, 1)
    scene.write_mask(hidden)
with rasterio.open('alpha.tif', 'w', **profile, **grid, count=2, alpha='YES') as scene:
    scene.write(np.stack([values, hidden]))

seen = []
for name in ('mask', 'alpha'):
    source = f'<SourceFilename relativeToVRT="1">{name}.tif</SourceFilename><SourceBand>1</SourceBand>'
    band = f'<VRTRasterBand dataType="Byte" band="1"><SimpleSource>{source}</SimpleSource></VRTRasterBand>'
    place = '<GeoTransform>500000, 10, 0, 5500000, 0, -10</GeoTransform>'
    pathlib.Path(f'{name}.vrt').write_text(f'<VRTDataset rasterXSize="8" rasterYSize="8">{place}{band}</VRTDataset>')
    with rasterio.open(f'{name}.vrt') as bare:
        print(f'VRT of the first band of {name}.tif: {bare.mask_flag_enums[0][0].name}, row', bare.read(1)[0])
        for resampling in (Resampling.nearest, Resampling.average):
            coarse = bare.read(1, out_shape=(4, 4), resampling=resampling, masked=True)
            row = coarse[0].tolist()  # None if masked
            print(f'  by {resampling.name}:', row, '(expected: [40, 40, 100, 100])')
            seen.append(row)
if seen != [[40, 40, 100, 100], [0, 0, 100, 100]] * 2:
    raise SystemExit('The behaviour has changed.')
PYTHON
