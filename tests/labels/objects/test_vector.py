"""Features over images: where they are drawn, and what is said where that is open."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas
import pytest
import shapely
from pyproj import Geod
from rasterio.transform import Affine, from_origin
from shapely import LineString, MultiPoint, MultiPolygon, Point, Polygon, box

from gersp_geo.geoio.grids import place_points
from gersp_geo.labels.objects import ObjectSource

type Scene = Callable[..., Path]
type Open = Callable[..., ObjectSource]

GRID = from_origin(4e5, 5e6, 10, 10)


def ground(outline: Any, transform: Affine = GRID) -> Any:
    """From pixels to coordinates."""
    return shapely.transform(outline, lambda xy: place_points(transform, xy))


def write(path: Path, outlines: list[Any], kinds: Any = None, *, crs: Any = 32633) -> Path:
    geopandas.GeoDataFrame(
        {'kind': kinds or ['car'] * len(outlines)}, geometry=outlines, crs=crs
    ).to_file(path)
    return path


SQUARE = box(10, 20, 18, 31)


@pytest.mark.quick('200-32633', '200-4326')
@pytest.mark.parametrize('crs', [32633, 4326, 3857, 32632, 'ESRI:54009'])
@pytest.mark.parametrize('turned', [0, 200])
def test_outlines_lie_in_pixels_of_rotated_scenes_in_any_crs(
    scene: Scene, open_labels: Open, tmp_path: Path, crs: Any, turned: float
) -> None:
    transform = GRID @ Affine.rotation(turned)
    scene('a.tif', transform=transform)
    frame = geopandas.GeoSeries([ground(SQUARE, transform)], crs=32633).to_crs(crs)
    source = open_labels(write(tmp_path / 'a.gpkg', [*frame], crs=crs), attribute='kind')
    objects = source.of(0)
    assert objects is not None
    assert source.class_names == ('car',)
    np.testing.assert_allclose(
        objects.bounds[0], SQUARE.bounds, atol=1e-3 if crs != 32633 else 1e-6
    )
    assert objects.areas[0] == pytest.approx(SQUARE.area, rel=1e-4)


def test_images_in_two_turns_show_a_feature_as_one_part_each(
    scene: Scene, open_labels: Open, tmp_path: Path
) -> None:
    grids = [from_origin(west, 10, 0.001, 0.001) for west in (200, -160)]
    for name, grid in zip(('a.tif', 'b.tif'), grids, strict=True):
        scene(name, crs='EPSG:4326', transform=grid)
    source = open_labels(write(tmp_path / 'a.gpkg', [ground(SQUARE, grids[1])], crs=4326))
    for objects in map(source.of, range(2)):
        assert objects is not None
        np.testing.assert_allclose(objects.bounds, [SQUARE.bounds], atol=1e-6)


def test_without_attribute_there_is_one_class(
    scene: Scene, open_labels: Open, tmp_path: Path
) -> None:
    scene()
    path = write(tmp_path / 'a.gpkg', [ground(SQUARE)])
    # a folder with one such file will do
    assert open_labels(tmp_path).class_names == ('object',)
    assert open_labels(path).class_names == ('object',)
    assert open_labels(path, class_names=('ship',)).class_names == ('ship',)
    with pytest.raises(
        ValueError, match=r'of one class without an attribute .* got class_names a, b'
    ):
        open_labels(path, class_names=('a', 'b'))


def test_longitudes_beyond_180_are_found(scene: Scene, open_labels: Open, tmp_path: Path) -> None:
    transform = from_origin(-150, 10, 0.001, 0.001)
    scene('a.tif', crs='EPSG:4326', transform=transform)
    moved = shapely.transform(ground(SQUARE, transform), lambda xy: xy + np.array([360, 0]))
    objects = open_labels(write(tmp_path / 'a.gpkg', [moved], crs=4326)).of(0)
    assert objects is not None
    np.testing.assert_allclose(objects.bounds[0], SQUARE.bounds, atol=1e-6)


@pytest.mark.parametrize(
    ('crs', 'transform'),
    [
        ('EPSG:32633', GRID),
        ('EPSG:3857', from_origin(1e6, 8.4e6, 10, 10) @ Affine.rotation(20)),
        ('EPSG:4326', from_origin(10, 60, 1e-4, 1e-4)),
    ],
    ids=['metres', 'mercator', 'degrees'],
)
@pytest.mark.parametrize('kind', ['gpkg', 'csv'])
def test_a_point_is_a_square_of_so_many_metres_on_the_ground(
    scene: Scene, open_labels: Open, tmp_path: Path, crs: str, transform: Affine, kind: str
) -> None:
    scene('a.tif', crs=crs, transform=transform)
    places = geopandas.GeoSeries([ground(Point(40, 30), transform)], crs=crs).to_crs(4326)
    options: dict[str, Any] = {'point_size': 100.0}
    if kind == 'gpkg':
        path = write(tmp_path / 'a.gpkg', [MultiPoint([places[0]])], crs=4326)
        options['attribute'] = 'kind'
    else:
        path = tmp_path / 'a.csv'
        path.write_text(f'lon,lat,kind\n{places[0].x!r},{places[0].y!r},car\n')
        options['columns'] = {'x': 'lon', 'y': 'lat', 'crs': 'EPSG:4326', 'label': 'kind'}
    source = open_labels(path, **options)
    objects = source.of(0)
    assert objects is not None
    assert source.class_names == ('car',)
    assert objects.outlines[0].centroid.distance(Point(40, 30)) < 1e-4
    left, top, right, bottom = objects.bounds[0]
    middles = [[(left, 30), (right, 30)], [(40, top), (40, bottom)]]
    for line in middles:
        ends = geopandas.GeoSeries(ground(LineString(line), transform), crs=crs).to_crs(4326)
        assert Geod(ellps='WGS84').geometry_length(ends[0]) == pytest.approx(100, rel=2e-3)


def test_each_of_several_points_is_an_object_and_a_feature_of_several_parts_is_one(
    scene: Scene, open_labels: Open, tmp_path: Path
) -> None:
    scene()
    parts = MultiPolygon([SQUARE, box(50, 40, 55, 45)])
    path = write(tmp_path / 'a.gpkg', [ground(MultiPoint([(8, 8), (70, 50)])), ground(parts)])
    with pytest.warns(
        UserWarning, match='1 of 2 features .* several parts, up to 2: a feature is one'
    ):
        objects = open_labels(path, point_size=40).of(0)
    assert objects is not None
    assert sorted(objects.areas.round(1).tolist()) == [16.0, 16.0, SQUARE.area + 25]


def test_a_feature_without_class_is_neither_object_nor_background(
    scene: Scene, open_labels: Open, tmp_path: Path
) -> None:
    scene()
    shapes = [ground(box(5 * i, 0, 5 * i + 4, 4)) for i in range(3)]
    path = write(tmp_path / 'a.gpkg', shapes, ['car', None, 'bus'])
    with pytest.warns(
        UserWarning, match=r'1 of 3 objects of .*a.gpkg have no kind: they are neither'
    ):
        objects = open_labels(path, attribute='kind').of(0)
    assert objects is not None
    assert objects.ignored.tolist() == [False, True, False]
    assert objects.classes.tolist() == [1, -1, 0]


def test_class_numbers_from_0_are_said_to_be_shifted(
    scene: Scene, open_labels: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scene()
    caplog.set_level('INFO', logger='lightning.pytorch')
    shapes = [ground(box(5 * i, 0, 5 * i + 4, 4)) for i in range(2)]
    path = write(tmp_path / 'a.gpkg', shapes, [0, 1])
    source = open_labels(path, attribute='kind', class_names=('car', 'bus'))
    assert source.class_names == ('car', 'bus')
    assert 'labels begin at 1: car = 1, bus = 2' in caplog.text


def test_what_lies_outside_the_area_is_not_known(
    scene: Scene, open_labels: Open, tmp_path: Path
) -> None:
    scene('a.tif')
    scene('b.tif', transform=GRID @ Affine.translation(96, 0))
    scene('c.tif', transform=GRID @ Affine.translation(192, 0))
    labels = write(tmp_path / 'a.gpkg', [ground(SQUARE)])
    # a feature without geometry is nothing that could be in the way
    area = write(tmp_path / 'area.gpkg', [ground(box(-5, -5, 96 + 48, 100)), None])
    with pytest.warns(UserWarning, match='are left out') as said:
        source = open_labels(labels, area=area)
    texts = [str(one.message) for one in said]
    assert any('2 of 3 images meet no feature' in text for text in texts)
    assert any('1 of 3 images are left out' in text for text in texts)
    first, second, third = (source.of(tile) for tile in range(3))
    assert first is not None
    assert not first.ignored.any()
    assert second is not None
    assert second.ignored.tolist() == [True]
    np.testing.assert_allclose(second.bounds, [[48, 0, 96, 64]], atol=1e-6)
    assert third is None


def test_bad_features_are_refused_in_one_line(
    scene: Scene, open_labels: Open, tmp_path: Path
) -> None:
    scene()
    degrees = geopandas.GeoSeries([ground(SQUARE)], crs=32633).to_crs(4326)[0]
    swapped = shapely.transform(degrees, lambda xy: xy[:, ::-1])
    line = LineString([(4e5, 5e6), (4.1e5, 5e6)])
    cases: list[tuple[list[Any], Any, dict[str, Any], str]] = [
        ([line], 32633, {}, 'objects are polygons or points, got 1 LineString in'),
        ([Point(4e5, 5e6)], 32633, {}, 'holds 1 points: pass point_size'),
        ([swapped], 4326, {}, 'with x and y swapped, they would'),
        ([box(0, 0, 1, 1)], 32633, {}, 'meets an image: in EPSG:32633, it has x 0 to 1'),
        ([ground(SQUARE)], 32633, {'attribute': 'class'}, r"no attribute 'class', only \['kind'\]"),
        ([ground(SQUARE)], 32633, {'layer': 'x'}, "no layer 'x', only a"),
        (
            [ground(SQUARE)],
            32633,
            {'columns': {'x': 'a', 'y': 'b', 'crs': 'c'}},
            'columns goes with',
        ),
    ]
    for shapes, crs, options, message in cases:
        path = write(tmp_path / 'a.gpkg', shapes, crs=crs)
        with pytest.raises(ValueError, match=message) as caught:
            open_labels(path, **options)
        assert '\n' not in str(caught.value)
        path.unlink()


def test_an_image_without_place_is_refused(scene: Scene, open_labels: Open, tmp_path: Path) -> None:
    scene('a.png')
    path = write(tmp_path / 'a.gpkg', [ground(SQUARE)])
    with pytest.raises(ValueError, match=r'holds places on the ground, and .*a.png names no CRS'):
        open_labels(path)


def test_a_polygon_that_crosses_itself_is_repaired(
    scene: Scene, open_labels: Open, tmp_path: Path
) -> None:
    scene()
    bow = Polygon([(10, 10), (20, 20), (20, 10), (10, 20)])
    objects = open_labels(write(tmp_path / 'a.gpkg', [ground(bow)])).of(0)
    assert objects is not None
    assert objects.outlines[0].is_valid
    assert objects.areas[0] == pytest.approx(50)


def test_values_of_any_type_are_classes(scene: Scene, open_labels: Open, tmp_path: Path) -> None:
    scene()
    shapes = [ground(box(5 * i, 0, 5 * i + 4, 4)) for i in range(3)]
    frame = geopandas.GeoDataFrame(
        {'kind': pandas.array([10, 9, -1], dtype='Int64')}, geometry=shapes, crs=32633
    )
    frame.to_file(tmp_path / 'a.gpkg')
    source = open_labels(tmp_path / 'a.gpkg', attribute='kind')
    assert source.class_names == ('-1', '9', '10')
