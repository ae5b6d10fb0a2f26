"""All that can be made of a scene, compared with what it must be."""

from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.features import rasterize

from tests.corpus.command import Command, Models
from tests.corpus.models import MARGIN, OVERLAP, SIZE
from tests.corpus.oracle import Scene

CUT = ('--size', str(SIZE), '--overlap', str(OVERLAP), '--margin', str(MARGIN), '--no-progress')
PATCHES = ('--task', 'embed', '--size', str(SIZE), '--overlap', '0', '--no-progress')
# two classes whose probabilities differ by less may change places in float32
TIE = 1e-4


def check_plan(scene: Scene, command: Command, models: Models) -> None:
    """A plan is printed, and nothing written."""
    before = sorted(command.folder.rglob('*'))
    map_ = command.folder / 'plan.tif'
    model = models[scene.count, 'classes']
    said = command.run('plan', model, scene.path, '-o', map_, *CUT, *scene.options)
    height, width = scene.pixels.shape[1:]
    assert f'{height:,} x {width:,} px' in said
    assert sorted(command.folder.rglob('*')) == before


def check_values(scene: Scene, command: Command, models: Models) -> None:
    """Every cell holds its bands and their means."""
    map_ = command.folder / 'values.tif'
    model = models[scene.count, 'values']
    command.run('predict', model, scene.path, '-o', map_, *CUT, *scene.options)
    found = read(map_, scene)
    np.testing.assert_allclose(found, scene.values(), rtol=2e-6, atol=1e-5)


def check_classes(scene: Scene, command: Command, models: Models) -> None:
    """Every cell holds its class, a second map the probabilities, and polygons paint the first."""
    map_, second = command.folder / 'classes.tif', command.folder / 'probabilities.tif'
    model, words = models[scene.count, 'classes'], (*CUT, *scene.options)
    command.run('predict', model, scene.path, '-o', map_, '--probabilities', second, *words)
    expected = scene.probabilities()
    np.testing.assert_allclose(read(second, scene), expected, rtol=0, atol=2e-5)
    observed, (classes,) = scene.observed, read(map_, scene)
    np.testing.assert_array_equal(classes != 255, observed)
    ordered = np.sort(expected, axis=0)
    clear = observed & (ordered[-1] - ordered[-2] > TIE)
    np.testing.assert_array_equal(classes[clear], expected.argmax(axis=0)[clear])
    if scene.crs is not None:
        _check_polygons(scene, map_, classes, command)


def _check_polygons(scene: Scene, map_: Path, classes: NDArray[Any], command: Command) -> None:
    """Painted back onto the grid, polygons are the map."""
    polygons = map_.with_suffix('.gpkg')
    command.run('polygons', map_, '-o', polygons, '--no-progress')
    frame = geopandas.read_file(polygons)
    assert frame.geometry.is_valid.all()
    shapes = list(zip(frame.geometry, frame['class'], strict=True))
    painted = np.full_like(classes, 255)
    if shapes:
        painted = rasterize(
            shapes, out_shape=classes.shape, transform=scene.transform, fill=255, dtype='uint8'
        )
    np.testing.assert_array_equal(painted, classes)


def check_vectors(scene: Scene, command: Command, models: Models) -> None:
    """Every patch holds its vector, in a map and, of a scene with a place, in a table."""
    map_ = command.folder / 'vectors.tif'
    table = map_.with_suffix('.parquet')
    model, words = models[scene.count, 'vectors'], (*PATCHES, *scene.options)
    outputs = ('-o', map_) if scene.crs is None else ('-o', table, '--raster', map_)
    command.run('predict', model, scene.path, *outputs, *words)
    expected = scene.vectors()
    with rasterio.open(map_) as src:
        np.testing.assert_allclose(src.read(), expected, rtol=2e-6, atol=2e-5)
        if scene.crs is not None:
            assert src.transform.almost_equals(scene.transform @ src.transform.scale(SIZE), 1e-12)
    if scene.crs is None:
        return
    frame = geopandas.read_parquet(table)
    rows, cols = frame['row'].to_numpy(), frame['col'].to_numpy()
    assert len(frame) == (~np.isnan(expected[0])).sum()
    for row, col, vector, share in zip(
        rows, cols, frame['embedding'], frame['observed'], strict=True
    ):
        np.testing.assert_allclose(vector, expected[:, row, col], rtol=2e-6, atol=2e-5)
        inside = scene.observed[row * SIZE :, col * SIZE :][:SIZE, :SIZE]
        # what hangs over the border counts as not observed
        assert abs(share - inside.sum() / SIZE**2) < 1e-6


def read(map_: Path, scene: Scene) -> NDArray[Any]:
    """Read a map, which must lie where its scene lies."""
    with rasterio.open(map_) as src:
        assert src.crs == scene.crs
        assert src.transform == scene.transform
        points, crs = src.gcps
        assert [point.asdict() | {'id': ''} for point in points] == [
            point.asdict() | {'id': ''} for point in scene.gcps
        ]
        assert crs == scene.gcps_crs
        assert src.rpcs == scene.rpcs
        pixels: NDArray[Any] = src.read()
        return pixels
