"""Odd rasters on another grid: each cell has what lies at its place, or there is one clear error."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS

from tests.corpus.command import Command, Models
from tests.corpus.comparing import CUT
from tests.corpus.grids import Ramp, check_grid
from tests.corpus.oracle import Scene
from tests.corpus.places import RATIONAL, points_of
from tests.corpus.rasters import GRID, write

FINE = Affine(0.002, 0, 0, 0, -0.002, 0)
UTM = Ramp(crs='EPSG:32632', transform=GRID)
DEGREES = Ramp(crs='EPSG:4326', transform=Affine.translation(11, 48) @ FINE)
ROTATED = Ramp(crs='EPSG:32632', transform=GRID @ Affine.rotation(20))
SOUTH_UP = Ramp(crs='EPSG:32632', transform=Affine(10, 0, 4e5, 0, 10, 5e6))
WESTWARD = Ramp(crs='EPSG:32632', transform=Affine(-10, 0, 4e5, 0, -10, 5e6))
EAST_OF_180 = Ramp(crs='EPSG:4326', transform=Affine.translation(200, 20) @ FINE)
ACROSS = Ramp(crs='EPSG:4326', transform=Affine.translation(179.93, -16) @ FINE)
ACROSS_BELOW = Ramp(crs='EPSG:4326', transform=Affine.translation(-180.07, -16) @ FINE)
# its eastern part lies beyond 180 degrees
ZONE_60 = Ramp(crs='EPSG:32760', transform=Affine(400, 0, 805_000, 0, -400, 8_200_000))
ANTARCTIC = Ramp(crs='EPSG:3031', transform=Affine(5000, 0, 1e6, 0, -5000, 1e6))
AT_THE_POLE = Ramp(crs='EPSG:3031', transform=Affine(5000, 0, -2e5, 0, -5000, 1.5e5))
WORLD = Ramp(crs='EPSG:4326', transform=Affine(4, 0, -180, 0, -4, 90), shape=(45, 90))
WORLD_360 = Ramp(crs='EPSG:4326', transform=Affine(4, 0, 0, 0, -4, 90), shape=(45, 90))

# name: scene, words
CASES: dict[str, tuple[Ramp, tuple[str, ...]]] = {
    'UTM to degrees': (UTM, ('--crs', 'EPSG:4326')),
    'UTM, finer': (UTM, ('--res', '7')),
    'UTM, coarser': (UTM, ('--res', '25')),
    'degrees to UTM': (DEGREES, ('--crs', 'EPSG:32632')),
    'degrees to Mercator, coarser': (DEGREES, ('--crs', 'EPSG:3857', '--res', '500')),
    'rotated to degrees': (ROTATED, ('--crs', 'EPSG:4326')),
    'rotated, straightened': (ROTATED, ('--res', '10')),
    'south up': (SOUTH_UP, ('--res', '10')),
    'south up to degrees': (SOUTH_UP, ('--crs', 'EPSG:4326')),
    'east to west': (WESTWARD, ('--res', '10')),
    'east of 180 to UTM': (EAST_OF_180, ('--crs', 'EPSG:32604')),
    'east of 180, coarser': (EAST_OF_180, ('--res', '0.005')),
    'across 180 to UTM': (ACROSS, ('--crs', 'EPSG:32701')),
    'across 180 to Mercator': (ACROSS, ('--crs', 'EPSG:3857')),
    'across 180, finer': (ACROSS, ('--res', '0.0015')),
    'across -180 to UTM': (ACROSS_BELOW, ('--crs', 'EPSG:32760')),
    'zone 60 to degrees': (ZONE_60, ('--crs', 'EPSG:4326')),
    'zone 60 to Mercator': (ZONE_60, ('--crs', 'EPSG:3857')),
    'zone 60 to zone 1': (ZONE_60, ('--crs', 'EPSG:32701')),
    'Antarctic to degrees': (ANTARCTIC, ('--crs', 'EPSG:4326')),
    'Antarctic to UTM': (ANTARCTIC, ('--crs', 'EPSG:32733')),
}
MAY_BE_REFUSED: dict[str, tuple[Ramp, tuple[str, ...]]] = {
    'the pole to degrees': (AT_THE_POLE, ('--crs', 'EPSG:4326')),
    'the world to Mercator': (WORLD, ('--crs', 'EPSG:3857')),
    'the world to UTM': (WORLD, ('--crs', 'EPSG:32632')),
    'the world to Robinson': (WORLD, ('--crs', 'ESRI:54030')),
    'the world from 0 to 360 to Mercator': (WORLD_360, ('--crs', 'EPSG:3857')),
    'the world from 0 to 360, coarser': (WORLD_360, ('--res', '8')),
    'the world to the pole': (WORLD, ('--crs', 'EPSG:3031')),
}
CHEAP_ONES = ('UTM to degrees', 'UTM, coarser', 'east to west', 'east of 180 to UTM',
              'across 180 to UTM', 'zone 60 to degrees', 'the world to Mercator')  # fmt: skip


def _params(cases: dict[str, Any]) -> list[object]:
    """List cases, most of them slow."""
    return [
        pytest.param(*case, id=name, marks=() if name in CHEAP_ONES else pytest.mark.slow)
        for name, case in cases.items()
    ]


@pytest.mark.parametrize(('ramp', 'words'), _params(CASES))
def test_every_cell_has_what_lies_at_its_place(
    ramp: Ramp, words: tuple[str, ...], command: Command, models: Models, tmp_path: Path
) -> None:
    scene, map_, model = ramp.write(tmp_path), tmp_path / 'map.tif', models[3, 'plain']
    command.run('plan', model, scene.path, '-o', map_, *CUT, *words)
    command.run('predict', model, scene.path, '-o', map_, *CUT, *words)
    check_grid(map_, ramp, scene=scene)


@pytest.mark.parametrize(('ramp', 'words'), _params(MAY_BE_REFUSED))
def test_every_cell_has_what_lies_at_its_place_or_all_is_refused(
    ramp: Ramp, words: tuple[str, ...], command: Command, models: Models, tmp_path: Path
) -> None:
    scene, map_, model = ramp.write(tmp_path), tmp_path / 'map.tif', models[3, 'plain']
    if command.succeeds('plan', model, scene.path, '-o', map_, *CUT, *words):
        command.run('predict', model, scene.path, '-o', map_, *CUT, *words)
        check_grid(map_, ramp, scene=scene, most_lost=0.02)
    else:
        assert words[1] in command.refuse('predict', model, scene.path, '-o', map_, *CUT, *words)


@pytest.mark.parametrize(
    ('into', 'crs'),
    [
        ('EPSG:32632', 'EPSG:32632'),
        pytest.param('EPSG:4326', 'EPSG:32632', marks=pytest.mark.slow),
        pytest.param('EPSG:32632', 'EPSG:4326', marks=pytest.mark.slow),
        pytest.param('EPSG:4326', 'EPSG:4326', marks=pytest.mark.slow),
    ],
)
def test_ground_control_points_say_where_a_pixel_lies(
    into: str, crs: str, command: Command, models: Models, tmp_path: Path
) -> None:
    scene = UTM.write(tmp_path)
    with rasterio.open(scene.path) as src:
        profile = src.profile | {'transform': None, 'crs': None}
        pixels = src.read()
    del profile['transform'], profile['crs']
    path, map_ = tmp_path / 'points.tif', tmp_path / 'map.tif'
    with rasterio.open(path, 'w', **profile) as dst:
        dst.write(pixels)
        dst.gcps = (list(points_of(UTM.shape, GRID, into=into)), CRS.from_user_input(into))
    command.run('predict', models[3, 'plain'], path, '-o', map_, *CUT, '--crs', crs)
    check_grid(map_, UTM, scene=scene)


@pytest.mark.parametrize('crs', ['EPSG:4326', pytest.param('EPSG:32632', marks=pytest.mark.slow)])
def test_rational_coefficients_say_where_a_pixel_lies(
    crs: str, command: Command, models: Models, tmp_path: Path
) -> None:
    # whole numbers of lines and samples are centres of pixels
    lon, lat = 0.2 / 60, 0.1 / 50
    place = Affine(lon, 0, 11 - 30.5 * lon, 0, -lat, 47 + 20.5 * lat)
    ramp = Ramp(crs='EPSG:4326', transform=place)
    scene, map_ = Scene(path=str(tmp_path / 'a.tif'), pixels=ramp.pixels()), tmp_path / 'map.tif'
    write(tmp_path / 'a.tif', scene.pixels, transform=None, crs=None, rpcs=RATIONAL)
    command.run('predict', models[3, 'plain'], scene.path, '-o', map_, *CUT, '--crs', crs)
    check_grid(map_, ramp, scene=scene)


@pytest.mark.parametrize(
    'words',
    [('--res', '7'), pytest.param(('--crs', 'EPSG:4326'), marks=pytest.mark.slow)],
    ids=['res', 'crs'],
)
@pytest.mark.parametrize(
    ('dtype', 'how'),
    [
        ('u1', 'tag'), ('u2', 'tag'), ('i2', 'tag'), ('f4', 'tag'), ('f4', 'NaN'), ('f2', 'NaN'),
        ('u2', 'one band'), ('f4', 'one band'), ('u2', 'mask'), ('u1', 'mask'), ('u1', 'given'),
        ('f8', 'tag'), ('i4', 'one band'),
    ],
)  # fmt: skip
def test_what_is_missing_neither_bleeds_nor_counts(
    dtype: str, how: str, words: tuple[str, ...], command: Command, models: Models, tmp_path: Path
) -> None:
    ramp = replace(UTM, dtype=dtype)
    hole = np.zeros(ramp.shape, dtype=bool)
    hole[20:34, 30:50] = hole[50:, :20] = True
    tag = float('nan') if how == 'NaN' else {'u': 0.0, 'i': -9999.0, 'f': -3.0e4}[dtype[0]]
    pixels = ramp.pixels()
    if how != 'mask':
        pixels[1 if how == 'one band' else slice(None), hole] = tag
    with_tag = {} if how in ('mask', 'NaN', 'given') else {'nodata': tag}
    scene = ramp.write(tmp_path, stored=pixels, mask=~hole if how == 'mask' else None, **with_tag)
    given = ('--nodata', str(tag)) if how == 'given' else ()
    map_ = tmp_path / 'map.tif'
    command.run('predict', models[3, 'plain'], scene.path, '-o', map_, *CUT, *words, *given)
    check_grid(map_, ramp, scene=replace(scene, hidden=hole))
