"""Sizes that nobody can hold: a plan within bounds of time and memory, or a refusal with numbers."""

import re
from pathlib import Path

import pytest
import rasterio

from tests.corpus.command import Command, Models
from tests.corpus.rasters import UTM

LONGEST = 2**31 - 1


def declare(folder: Path, rows: int, cols: int, *, block: str = '') -> Path:
    """Describe a raster without any source."""
    (folder / 'a.vrt').write_text(
        f'<VRTDataset rasterXSize="{cols}" rasterYSize="{rows}"><SRS>EPSG:32632</SRS>'
        '<GeoTransform>400000, 1e-3, 0, 5000000, 0, -1e-3</GeoTransform>'
        f'<VRTRasterBand dataType="Byte" band="1"{block}></VRTRasterBand></VRTDataset>'
    )
    return folder / 'a.vrt'


def reserve(folder: Path, rows: int, cols: int, **how: object) -> Path:
    """Make a GeoTIFF of which no block is stored."""
    with rasterio.open(
        folder / 'a.tif', 'w', driver='GTiff', count=1, height=rows, width=cols, dtype='uint8',
        crs=UTM, transform=rasterio.Affine(1, 0, 4e5, 0, -1, 5e6), sparse_ok=True, bigtiff='YES', **how,
    ):  # fmt: skip
        pass
    return folder / 'a.tif'


ONE = ' blockXSize="1" blockYSize="1"'
DECLARED = {
    'a million squared': (10**6, 10**6, ''),
    'the widest row': (1, LONGEST, ''),
    'the longest column': (LONGEST, 1, ''),
    'the largest': (LONGEST, LONGEST, ''),
    'a column of the widest rows': (64, LONGEST, ''),
    'blocks of one pixel': (4096, 4096, ONE),
}


@pytest.mark.parametrize(('rows', 'cols', 'block'), DECLARED.values(), ids=DECLARED)
@pytest.mark.parametrize('task', ['maps', 'patches'])
def test_a_declared_size_is_planned_or_refused(
    task: str, rows: int, cols: int, block: str, command: Command, models: Models, tmp_path: Path
) -> None:
    path, map_ = declare(tmp_path, rows, cols, block=block), tmp_path / 'map.tif'
    model = models[1, 'plain' if task == 'maps' else 'vectors']
    words = ('--task', 'embed') if task == 'patches' else ()
    if not command.succeeds('plan', model, path, '-o', map_, *words):
        refusal = command.refuse('plan', model, path, '-o', map_, *words)
        assert re.search(r'\d', refusal.replace(str(tmp_path), ''))


STORED = {
    'tiles': (100_000, 100_000, {'tiled': True, 'blockxsize': 512, 'blockysize': 512}),
    'one strip': (20_000, 20_000, {'blockysize': 20_000}),
    'strips of one row': (1_000_000, 100, {'blockysize': 1}),
    'one wide row': (1, 1_000_000, {'blockysize': 1}),
    'one long column': (1_000_000, 1, {'blockysize': 1}),
}


@pytest.mark.parametrize(('rows', 'cols', 'how'), STORED.values(), ids=STORED)
def test_a_stored_size_is_planned(
    rows: int, cols: int, how: dict[str, object], command: Command, models: Models, tmp_path: Path
) -> None:
    path = reserve(tmp_path, rows, cols, **how)
    for kind, words in (('plain', ()), ('vectors', ('--task', 'embed'))):
        model = models[1, 'plain' if kind == 'plain' else 'vectors']
        said = command.run('plan', model, path, '-o', tmp_path / 'map.tif', *words)
        assert f'{rows:,} x {cols:,} px' in said


@pytest.mark.slow
@pytest.mark.parametrize('name', ['one strip', 'strips of one row', 'one wide row'])
def test_a_map_of_nothing_is_made_within_the_limits(
    name: str, command: Command, models: Models, tmp_path: Path
) -> None:
    rows, cols, how = STORED[name]
    path, map_ = reserve(tmp_path, rows, cols, **how), tmp_path / 'map.tif'
    command.run('predict', models[1, 'plain'], path, '-o', map_, '--no-progress')
    with rasterio.open(map_) as src:
        assert src.shape == (rows, cols)
