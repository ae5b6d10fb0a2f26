import json
import subprocess
import sys
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from gersp_geo.sample_data import CLASS_COLORS, CLASS_NAMES, write_sample_data
from gersp_geo.sample_data.drawing import fractal_noise, nearest_line, nearest_point
from gersp_geo.sample_data.files import CHANGE, SCENES
from gersp_geo.sample_data.natural import NATURAL_CLASSES
from gersp_geo.sample_data.rendering import render
from gersp_geo.sample_data.terrain import make_terrain

SHAPES = st.tuples(st.integers(2, 90), st.integers(2, 90))
SEEDS = st.integers(0, 10_000)
NORTH = SCENES['north_1']
SIZE = 256


@pytest.fixture(scope='module')
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('landscape') / 'sample-data'
    write_sample_data(folder, progress=False, size=SIZE, images_per_class=2)
    return folder


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as src:
        pixels: np.ndarray = src.read()
    return pixels


@given(seed=SEEDS, shape=SHAPES, season=st.sampled_from(['spring', 'summer', 'autumn']))
def test_land_of_any_shape_can_be_mapped_and_seen(
    seed: int, shape: tuple[int, int], season: str
) -> None:
    terrain = make_terrain(shape, seed=seed)
    assert terrain.classes.shape == shape
    assert terrain.classes.dtype == np.uint8
    assert terrain.classes.max() < len(CLASS_NAMES)
    image = render(terrain, seed=seed, season=season)
    assert image.shape == (4, *shape)
    assert image.min() >= 0
    assert image.max() <= 1


def test_every_class_is_present_and_none_prevails() -> None:
    classes = NORTH.terrain(seed=0, size=768).classes
    shares = np.bincount(classes.ravel(), minlength=len(CLASS_NAMES)) / classes.size
    assert shares.min() >= 0.02
    assert shares.max() <= 0.60


@example(seed=71)
@given(seed=SEEDS)
def test_buildings_stand_on_dry_free_ground(seed: int) -> None:
    terrain = make_terrain((160, 160), seed=seed)
    built = terrain.built > 0
    assert not (built & (terrain.depth > 0)).any()
    assert not (built & (terrain.paved > 0)).any()
    # a number is one building, of about the size it says
    assert ndimage.label(built, np.ones((3, 3)))[1] <= len(terrain.buildings)
    areas = np.bincount(terrain.built.ravel(), minlength=len(terrain.buildings) + 1)[1:]
    np.testing.assert_allclose(areas, terrain.buildings[:, 1:3].prod(axis=1), rtol=0.15)
    for number, window in enumerate(ndimage.find_objects(terrain.built), start=1):
        # the corner of a turned one may touch it by a corner alone
        assert ndimage.label(terrain.built[window] == number, np.ones((3, 3)))[1] == 1


def test_equal_seeds_give_equal_pixels_and_other_seeds_others(
    small_data: Path, tmp_path: Path
) -> None:
    for seed in (0, 1):
        folder = tmp_path / str(seed)
        write_sample_data(folder, seed=seed, progress=False, size=SIZE, images_per_class=2)
    for path in (*small_data.rglob('*.tif'), *small_data.rglob('*.jpg')):
        if 'chips' in path.parts:
            # another land has other numbers of them
            continue
        first, again, other = (
            Path(folder, path.relative_to(small_data)).read_bytes()
            for folder in (small_data, tmp_path / '0', tmp_path / '1')
        )
        assert first == again
        assert first != other


def test_places_differ_within_one_seed() -> None:
    first, second = (SCENES[f'north_{n}'].terrain(seed=0, size=96).classes for n in (1, 2))
    assert not np.array_equal(first, second)


def test_collar_has_neither_data_nor_classes(small_data: Path) -> None:
    pixels = read(small_data / 'multispectral' / 'scene.tif')
    (classes,) = read(small_data / 'multispectral' / 'mask.tif')
    assert pixels.dtype == np.uint16
    empty = classes == 255
    assert 0.05 < empty.mean() < 0.4
    assert (pixels[:, empty] == 0).all()
    assert (pixels[:, ~empty] > 0).all()
    # vegetation, most of the land, reflects infrared more than red
    assert np.median(pixels[3][~empty]) > 2 * np.median(pixels[2][~empty])


def test_heights_are_those_of_trees_and_buildings(small_data: Path) -> None:
    for folder, name in (('heights', 'north_1'), ('holdout', 'heights')):
        with rasterio.open(small_data / folder / f'{name}.tif') as src:
            heights = src.read(1, masked=True)
            assert (src.units, src.dtypes, src.descriptions) == (('m',), ('float32',), ('height',))
        classes = read(
            small_data / (f'masks/{name}.tif' if folder == 'heights' else 'holdout/mask.tif')
        )[0]
        stands = np.isin(classes, [CLASS_NAMES.index('forest'), CLASS_NAMES.index('building')])
        assert np.array_equal(heights.filled(0) > 0, stands & ~heights.mask)
        # a laser has no return from water
        assert (heights.mask == (classes == CLASS_NAMES.index('water'))).mean() > 0.99
        assert heights.max() < 20


def test_change_means_other_classes_and_spares_roads_and_water(small_data: Path) -> None:
    before, after, mask = (
        read(small_data / 'change' / f'{name}.tif') for name in ('before', 'after', 'mask')
    )
    (changed,) = mask
    assert before.shape == after.shape == (3, *changed.shape)
    assert set(np.unique(changed)) == {0, 1}
    assert 0.01 < changed.mean() < 0.3
    terrain = CHANGE.terrain(seed=0, size=SIZE)
    assert not changed[(terrain.depth > 0) | (terrain.paved > 0)].any()


def test_boxes_are_the_envelopes_of_buildings(small_data: Path) -> None:
    terrain = NORTH.terrain(seed=0, size=SIZE)
    boxes = geopandas.read_file(small_data / 'buildings' / 'north_1.gpkg')
    assert len(boxes) == len(terrain.buildings) > 0
    for number, (left, bottom, right, top) in zip(
        boxes['building_id'], boxes.bounds.to_numpy(), strict=True
    ):
        rows, cols = np.nonzero(terrain.built == number)
        assert ~NORTH.transform @ (left, top) == (cols.min(), rows.min())
        assert ~NORTH.transform @ (right, bottom) == (cols.max() + 1, rows.max() + 1)


@given(seed=SEEDS, shape=st.tuples(st.integers(2, 80), st.integers(2, 80)))
def test_noise_is_standardised(seed: int, shape: tuple[int, int]) -> None:
    field = fractal_noise(np.random.default_rng(seed), shape, scale=20, steepness=2.5)
    assert field.shape == shape
    assert field.dtype == np.float32
    assert abs(field.mean()) < 1e-3
    assert abs(field.std() - 1) < 1e-3


@given(angle=st.floats(0, np.pi), row=st.floats(10, 30), col=st.floats(10, 30))
def test_distance_to_a_straight_line_is_exact_nearby(angle: float, row: float, col: float) -> None:
    heading = np.array([np.sin(angle), np.cos(angle)])
    line = np.array([row, col]) + np.arange(-80, 80, 0.5)[:, None] * heading
    _, along, beside = nearest_line((40, 40), [line])
    rows, cols = np.mgrid[:40, :40]
    exact = np.abs((rows - row) * heading[1] - (cols - col) * heading[0])
    near = exact < 6
    # pixels whose nearest part of the line lies outside the raster see only an approximation
    near[:8] = near[-8:] = near[:, :8] = near[:, -8:] = False
    np.testing.assert_allclose(np.abs(beside)[near], exact[near], atol=0.01)
    travelled = (rows - line[0, 0]) * heading[0] + (cols - line[0, 1]) * heading[1]
    np.testing.assert_allclose(along[near], travelled[near], atol=0.01)


def test_line_ends_where_it_ends() -> None:
    line = np.column_stack([np.full(40, 10.0), np.arange(10, 30, 0.5)])
    distance = np.abs(nearest_line((21, 60), [line])[2])
    np.testing.assert_allclose(distance[:, 20], np.abs(np.arange(21) - 10))
    # two pixels late at most
    assert (np.abs(distance[10, 30:] - (np.arange(30, 60) - 29.5)) <= 2.5).all()


def test_nothing_is_near_where_nothing_is() -> None:
    index, distance = nearest_point((5, 7), np.empty((0, 2)))
    assert not index.any()
    assert (distance >= 12).all()


def test_layout_of_the_sample_data(small_data: Path) -> None:
    rasters = {str(p.relative_to(small_data)) for p in small_data.rglob('*.tif')}
    rasters = {name for name in rasters if not name.startswith('chips/')}
    names = ['north_1', 'north_2', 'north_3', 'south_1', 'south_2']
    expected = {
        f'{folder}/{name}.tif' for folder in ('scenes', 'masks', 'heights') for name in names
    }
    expected.add('holdout/heights.tif')
    expected |= {f'{folder}/{name}.tif' for folder in ('holdout', 'multispectral')
                 for name in ('scene', 'mask')}  # fmt: skip
    expected |= {f'change/{name}.tif' for name in ('before', 'after', 'mask')}
    assert rasters == expected
    assert 'CC0' in (small_data / 'README.txt').read_text()
    assert [p.name for p in small_data.parent.iterdir()] == ['sample-data']
    assert not [p for p in small_data.rglob('.*')]


@pytest.mark.parametrize(('name', 'epsg'), [('north_1', 32633), ('south_2', 32734)])
def test_mask_lies_on_its_scene_and_names_its_classes(
    small_data: Path, name: str, epsg: int
) -> None:
    with (
        rasterio.open(small_data / 'scenes' / f'{name}.tif') as scene,
        rasterio.open(small_data / 'masks' / f'{name}.tif') as mask,
    ):
        assert scene.shape == mask.shape
        assert scene.transform == mask.transform
        assert scene.res == (1, 1)
        assert scene.crs == mask.crs == rasterio.CRS.from_epsg(epsg)
        assert scene.descriptions == ('red', 'green', 'blue')
        assert scene.dtypes == ('uint8',) * 3
        assert json.loads(mask.tags(1)['CLASS_NAMES']) == list(CLASS_NAMES)
        table = mask.colormap(1)
        assert tuple(table[i][:3] for i in range(len(CLASS_NAMES))) == CLASS_COLORS
        assert mask.nodata == 255
        assert (mask.read() < len(CLASS_NAMES)).all()


def test_other_files_are_readable(small_data: Path) -> None:
    with rasterio.open(small_data / 'multispectral' / 'scene.tif') as src:
        assert src.descriptions == ('blue', 'green', 'red', 'nir')
        assert src.nodata == 0
    frame = geopandas.read_file(small_data / 'buildings' / 'north_1.gpkg')
    assert frame.crs == 32633
    assert set(frame['class_name']) == {'building'}
    assert frame['building_id'].is_unique
    for folder in (small_data / 'natural').iterdir():
        pictures = [Image.open(path) for path in sorted(folder.glob('*.jpg'))]
        assert [p.mode for p in pictures] == ['RGB', 'RGB']
        assert all(64 <= side <= 96 for p in pictures for side in p.size)
    assert {p.name for p in (small_data / 'natural').iterdir()} == set(NATURAL_CLASSES)


def test_existing_data_and_bad_numbers_are_refused(small_data: Path, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match='not an empty folder'):
        write_sample_data(small_data, progress=False)
    with pytest.raises(ValueError, match='seed must be >= 0, got -1'):
        write_sample_data(tmp_path / 'new', seed=-1)
    assert list(tmp_path.iterdir()) == []


def test_the_landscape_needs_neither_torch_nor_torchgeo() -> None:
    code = (
        'import sys, gersp_geo.sample_data\n'
        'print([name for name in ("torch", "torchgeo") if name in sys.modules])'
    )
    answer = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == '[]'
