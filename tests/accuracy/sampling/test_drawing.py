"""Samples of class maps: what is drawn, from where, and what is refused."""

import json
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from numpy.typing import NDArray
from PIL import Image
from rasterio.transform import Affine, from_origin

from gersp_geo.accuracy.sampling.drawing import draw_sample
from gersp_geo.accuracy.sampling.files import read_sample
from gersp_geo.accuracy.sampling.frames import Frame
from gersp_geo.geoio.read import UnreadableFileError, describe_reader, open_reader
from gersp_geo.main import main

NAMES = ['land', 'water', 'forest', 'mine']
METRES = {'crs': 32633, 'transform': from_origin(5e5, 5e6, 10, 10)}
DEGREES = {'crs': 4326, 'transform': from_origin(10, 80, 0.1, 0.1)}


def write_map(path: Path, pixels: NDArray[Any], names: list[str] = NAMES, **options: Any) -> Path:
    """Write a class map of this package."""
    height, width = pixels.shape
    profile = {'driver': 'GTiff', 'count': 1, 'dtype': pixels.dtype.name, 'nodata': 255, **METRES}
    with rasterio.open(path, 'w', height=height, width=width, **profile | options) as dst:
        dst.write(pixels, 1)
        dst.update_tags(1, CLASS_NAMES=json.dumps(names))
    return path


@pytest.fixture(scope='module')
def pixels() -> NDArray[np.uint8]:
    """Four classes, the last one rare, and no observation above."""
    rng = np.random.default_rng(0)
    found = rng.choice(4, (600, 700), p=[0.6, 0.3, 0.0999, 0.0001]).astype(np.uint8)
    found[:40] = 255
    return found


@pytest.mark.quick('class-degrees', 'neyman-metres', 'simple-degrees')
@pytest.mark.parametrize('place', [METRES, DEGREES], ids=['metres', 'degrees'])
@pytest.mark.parametrize('by', ['class', 'equal', 'neyman', 'simple'])
def test_points_are_pixels_of_their_stratum(
    pixels: NDArray[np.uint8], tmp_path: Path, by: Any, place: dict[str, Any]
) -> None:
    source = write_map(tmp_path / 'map.tif', pixels, **place)
    expected = {'': 0.8, 'water': 0.95} if by == 'neyman' else None
    summary = draw_sample(source, tmp_path / 'a.gpkg', count=300, by=by, expected=expected)
    sample = read_sample(tmp_path / 'a.gpkg')
    assert len(sample) == 300 == summary.design.count
    assert (pixels[sample.rows, sample.cols] == sample.map_classes).all()
    assert (sample.map_classes < 4).all()
    assert set(sample.references) == {None}
    with rasterio.open(source) as src:
        places = geopandas.read_file(tmp_path / 'a.gpkg').geometry
        at = rasterio.transform.rowcol(src.transform, places.x.to_numpy(), places.y.to_numpy())
    assert [*zip(*at, strict=True)] == [*zip(sample.rows, sample.cols, strict=True)]
    for index, stratum in enumerate(summary.design.strata):
        own = sample.strata == index
        assert by == 'simple' or set(sample.map_classes[own]) == set(stratum.classes)
        np.testing.assert_allclose(sample.weights[own].sum(), stratum.area)
    whole = (pixels < 4).sum(axis=1)
    heights = np.diff(np.sin(np.radians(80 - 0.1 * np.arange(601))))
    ratio = np.ones(600) if place is METRES else -heights
    areas = (whole * ratio).sum(), sum(stratum.area for stratum in summary.design.strata)
    unit = 100 if place is METRES else 6371007.2**2 * np.radians(0.1)
    # the sphere of the same surface has other zones than the ellipsoid
    assert areas[1] / areas[0] == pytest.approx(unit, rel=1e-9 if place is METRES else 5e-3)


@pytest.mark.parametrize('place', [METRES, DEGREES], ids=['metres', 'degrees'])
def test_a_seed_draws_the_same_however_the_map_is_stored(
    pixels: NDArray[np.uint8], tmp_path: Path, place: dict[str, Any]
) -> None:
    drawn = []
    tiled = {'tiled': True, 'blockxsize': 64, 'blockysize': 128, 'compress': 'deflate'}
    layouts: list[dict[str, Any]] = [{}, {'blockysize': 7}, tiled]
    for number, options in enumerate(layouts):
        source = write_map(tmp_path / f'{number}.tif', pixels, **place, **options)
        draw_sample(source, tmp_path / f'{number}.parquet', count=300)
        drawn.append(read_sample(tmp_path / f'{number}.parquet'))
    for sample in drawn[1:]:
        np.testing.assert_array_equal(sample.rows, drawn[0].rows)
        np.testing.assert_array_equal(sample.cols, drawn[0].cols)
    draw_sample(source, tmp_path / 'other.parquet', count=300, seed=1)
    assert (read_sample(tmp_path / 'other.parquet').rows != drawn[0].rows).any()


def test_a_small_class_is_drawn_as_a_whole_and_that_is_said(
    pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    source = write_map(tmp_path / 'map.tif', pixels, [*NAMES, 'snow'])
    summary = draw_sample(source, tmp_path / 'a.gpkg', count=300)
    rare = int((pixels == 3).sum())
    assert 0 < rare < 50
    assert summary.design.strata[3].count == rare
    assert f"All {rare} pixels of 'mine' are in the sample." in summary.design.notes
    assert 'No pixel is of snow.' in str(summary)
    assert 'of classes and at least 50 of each, seed 0' in str(summary)


def test_masks_areas_and_values_without_a_name_are_heeded(
    pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    odd = pixels.copy()
    odd[100:200, :50] = 200
    source = write_map(tmp_path / 'map.tif', odd, nodata=None)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(source, 'r+') as dst:
        dst.write_mask(odd < 250)
    box = shapely.box(5e5, 5e6 - 3000, 5e5 + 2000, 5e6)
    area = geopandas.GeoSeries([box], crs=32633).to_crs(4326)
    area.to_file(tmp_path / 'area.geojson')
    summary = draw_sample(source, tmp_path / 'a.gpkg', count=300, area=tmp_path / 'area.geojson')
    sample = read_sample(tmp_path / 'a.gpkg')
    assert sample.cols.max() < 200
    assert sample.rows.min() >= 40
    assert sample.rows.max() < 300
    assert sum(stratum.pixels for stratum in summary.design.strata) == 260 * 200
    assert summary.design.area == 'area.geojson'
    assert 'Class 200 has no name in the legend' in str(summary)


def test_a_rotated_map_has_its_points_in_place(pixels: NDArray[np.uint8], tmp_path: Path) -> None:
    turned = Affine.translation(5e5, 5e6) @ Affine.rotation(30) @ Affine.scale(10, -10)
    source = write_map(tmp_path / 'map.tif', pixels, transform=turned)
    draw_sample(source, tmp_path / 'a.geojson', count=200)
    assert (pixels[(s := read_sample(tmp_path / 'a.geojson')).rows, s.cols] == s.map_classes).all()
    degrees = Affine.translation(10, 50) @ Affine.rotation(30) @ Affine.scale(0.01, -0.01)
    source = write_map(tmp_path / 'other.tif', pixels, crs=4326, transform=degrees)
    summary = draw_sample(source, tmp_path / 'b.gpkg', count=200)
    assert summary.design.unit == 'pixels'
    assert read_sample(tmp_path / 'b.gpkg').weights.sum() == pytest.approx((pixels < 4).sum())


def test_pictures_show_the_pixel_in_its_surroundings(
    pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    source = write_map(tmp_path / 'map.tif', pixels)
    # of 5 m, in another projection, over a part of the map
    with rasterio.open(
        tmp_path / 'scene.tif', 'w', driver='GTiff', height=900, width=700, count=3, dtype='uint16',
        crs=32632, transform=from_origin(972_000, 5_012_500, 5, 5), nodata=0,
    ) as dst:  # fmt: skip
        dst.write(np.random.default_rng(0).integers(1, 3000, (3, 900, 700), dtype=np.uint16))
    summary = draw_sample(
        source, tmp_path / 'a.gpkg', count=150, by='equal',
        chips=tmp_path / 'chips', scene=tmp_path / 'scene.tif',
    )  # fmt: skip
    made = {path.name for path in (tmp_path / 'chips').iterdir()}
    assert len(made) == summary.chips
    assert 0 < len(made) < 150
    assert made < {f'{number}.png' for number in range(1, 151)}
    picture = np.asarray(Image.open(tmp_path / 'chips' / min(made)).convert('RGB'))
    rows, cols = np.nonzero((picture == (255, 0, 0)).all(axis=2))
    # 10 m are two pixels of the scene, each enlarged six times
    assert 10 <= np.ptp(rows) <= 16
    assert abs(rows.mean() - len(picture) / 2) < 8
    assert abs(cols.mean() - len(picture) / 2) < 8


@pytest.mark.parametrize(
    ('of_map', 'options', 'message'),
    [
        ({'crs': None}, {}, 'nobody knows where its points would lie'),
        ({}, {'count': 1}, 'count must be >= 2'),
        ({}, {'minimum': 1}, 'minimum must be >= 2'),
        ({}, {'seed': -1}, 'seed must be >= 0'),
        ({}, {'count': 100}, 'need 192 points, got 100'),
        ({}, {'count': 4, 'minimum': 2, 'by': 'equal'}, 'more than 2 classes'),
        ({}, {'by': 'neyman'}, 'needs the user.s accuracies that are expected'),
        ({}, {'by': 'neyman', 'expected': {'water': 0.9}}, 'and lacks land, forest, mine'),
        ({}, {'by': 'neyman', 'expected': {'': 0.9, 'sea': 0.9}}, "no class 'sea'"),
        ({}, {'by': 'neyman', 'expected': {'': 1.5}}, r'must be in \(0, 1\), got 1.5'),
        ({}, {'expected': {'': 0.5}}, 'nothing else takes them'),
        ({}, {'scene': 'scene.tif'}, 'need a folder and a scene'),
        ({}, {'destination': 'map.tif'}, 'must end in one of'),
        ({}, {'destination': 'a.csv'}, 'must end in one of'),
        ({'nodata': 0, 'names': []}, {'count': 10**6, 'minimum': 2}, 'more than the'),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_refused_in_one_line(
    pixels: NDArray[np.uint8], tmp_path: Path, of_map: dict[str, Any], options: dict[str, Any],
    message: str,
) -> None:  # fmt: skip
    source = write_map(tmp_path / 'map.tif', pixels, **of_map)
    given = {'count': 300, 'destination': 'a.gpkg', **options}
    destination = tmp_path / given.pop('destination')
    with pytest.raises(ValueError, match=message) as caught:
        draw_sample(source, destination, **given)
    assert '\n' not in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == {'map.tif'}


def test_an_area_beside_the_map_and_a_file_that_exists_are_refused(
    pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    source = write_map(tmp_path / 'map.tif', pixels)
    far = geopandas.GeoSeries([shapely.box(0, 0, 9, 9)], crs=32633)
    far.to_file(tmp_path / 'far.gpkg')
    with pytest.raises(ValueError, match='no pixel of a class within the area'):
        draw_sample(source, tmp_path / 'a.gpkg', count=300, area=tmp_path / 'far.gpkg')
    (tmp_path / 'a.gpkg').touch()
    with pytest.raises(FileExistsError, match='overwrite'):
        draw_sample(source, tmp_path / 'a.gpkg', count=300)
    area = tmp_path / 'far.gpkg'
    with pytest.raises(ValueError, match='which is read; pass another path'):
        draw_sample(source, area, count=300, area=area, overwrite=True)


def test_the_command_draws_and_says_what(
    pixels: NDArray[np.uint8], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_map(tmp_path / 'map.tif', pixels)
    words = ['draw-sample', str(source), '-o', str(tmp_path / 'a.gpkg'), '--no-progress']
    assert main([*words, '-n', '400', '--by', 'neyman', '--expected', '0.8', 'water=0.9']) == 0
    told = capsys.readouterr().out
    assert '400 points' in told
    assert 'forest' in told
    assert {path.name for path in tmp_path.iterdir()} == {
        'map.tif', 'a.gpkg', 'a.qml', 'a.design.json'
    }  # fmt: skip
    assert str(tmp_path) not in (tmp_path / 'a.design.json').read_text()
    assert main(words) == 1
    assert 'a.gpkg exists' in capsys.readouterr().err


def test_a_map_that_changes_while_it_is_read_is_noticed(
    pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    with open_reader(write_map(tmp_path / 'map.tif', pixels)) as src:
        frame = Frame(src=src, header=describe_reader(src), area=None, is_whole=False)
        rare = int((pixels[:512, :512] == 3).sum())
        last = frame.find(np.array([3]), np.array([0]), np.array([rare - 1]))
        assert pixels[last[0], last[1]] == 3 == last[2]
        with pytest.raises(UnreadableFileError, match='changed while it was read'):
            frame.find(np.array([3]), np.array([0]), np.array([rare]))
