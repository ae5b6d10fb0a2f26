"""Polygons with classes that a mapping names, on ground of which all is known."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from rasterio.transform import Affine
from shapely import LineString, Polygon, box

from gersp_geo.datasets.raster_tiles import RasterTiles
from gersp_geo.geoio.grids import Grid
from gersp_geo.labels.options import LabelOptions
from gersp_geo.labels.placement import PlacedFeatures
from gersp_geo.labels.polygons import VectorLabels, burn_features
from gersp_geo.windows import Window

LEFT, TOP, SIDE = 4e5, 5e6, 16
WHOLE = Window(row_off=0, col_off=0, height=SIDE, width=SIDE)


@pytest.fixture
def images(tmp_path: Path) -> RasterTiles:
    profile = {'driver': 'GTiff', 'height': SIDE, 'width': SIDE, 'count': 1, 'dtype': 'uint8'}
    transform = Affine(10, 0, LEFT, 0, -10, TOP)
    path = tmp_path / 'image.tif'
    with rasterio.open(path, 'w', crs='EPSG:32633', transform=transform, **profile) as dst:
        dst.write(np.full((1, SIDE, SIDE), 7, dtype=np.uint8))
    return RasterTiles(str(path))


def pixels(row: float, col: float, height: float, width: float) -> Polygon:
    left, top = LEFT + 10 * col, TOP - 10 * row
    return box(left, top - 10 * height, left + 10 * width, top)


def draw(path: Path, geometries: Any, values: Any, crs: int = 32633) -> Path:
    frame = geopandas.GeoDataFrame({'kind': values}, geometry=geometries, crs=32633)
    frame.to_crs(crs).to_file(path)
    return path


def open_labels(images: RasterTiles, labels: Path, **options: Any) -> Any:
    given: dict[str, Any] = {'labels': labels, 'attribute': 'kind'}
    return LabelOptions(**given | options).open(images)


def counts(labels: Any) -> dict[int, int]:
    values, numbers = np.unique(labels.read(0, WHOLE), return_counts=True)
    return dict(zip(values.tolist(), numbers.tolist(), strict=True))


@pytest.mark.parametrize('crs', [32633, 4326])
def test_the_background_ends_where_the_area_does(
    images: RasterTiles, tmp_path: Path, crs: int
) -> None:
    houses = [pixels(0, 0, 4, 4), pixels(12, 12, 4, 4)]
    labels = draw(tmp_path / 'a.gpkg', houses, ['house', 'house'], crs)
    area = draw(tmp_path / 'b.gpkg', [pixels(0, 0, 8, SIDE)], ['x'], crs)
    inside = open_labels(images, labels, background='ground', area=area)
    assert inside.class_names == ('ground', 'house')
    assert counts(inside) == {0: 8 * SIDE - 16, 1: 16, 255: 8 * SIDE}
    everywhere = open_labels(images, labels, background='ground')
    assert counts(everywhere) == {0: SIDE * SIDE - 32, 1: 32}
    # all features are of one class
    named = open_labels(images, labels, attribute=None, class_names=('house',), background='g')
    assert counts(named) == counts(everywhere)


def test_an_area_is_polygons_over_the_images(images: RasterTiles, tmp_path: Path) -> None:
    labels = draw(tmp_path / 'a.gpkg', [pixels(0, 0, 4, 4)], ['house'])
    line = draw(tmp_path / 'b.gpkg', [LineString([(LEFT, TOP), (LEFT + 9, TOP)])], ['x'])
    with pytest.raises(ValueError, match=r'area must be polygons, got LineString in .*b\.gpkg'):
        open_labels(images, labels, background='ground', area=line)
    away = draw(tmp_path / 'c.gpkg', [pixels(900, 0, 4, 4)], ['x'])
    with pytest.raises(ValueError, match=r'no feature of .*c\.gpkg meets an image'):
        open_labels(images, labels, background='ground', area=away)


@pytest.mark.parametrize('kind', [int, float, str])
def test_several_values_are_one_class(images: RasterTiles, tmp_path: Path, kind: Any) -> None:
    strips = [pixels(4 * i, 0, 4, SIDE) for i in range(4)]
    labels = draw(tmp_path / 'a.gpkg', strips, [kind(value) for value in (10, 95, 50, -1)])
    classes = {'wood': [10, 50], 'water': 95}
    found = open_labels(images, labels, classes=classes, ignore=[-1])
    assert found.class_names == ('wood', 'water')
    assert found.read(0, WHOLE)[::4, 0].tolist() == [0, 1, 0, 255]
    with pytest.raises(ValueError, match=r"values of no class: '-1' \(1 of 4 features\); add"):
        open_labels(images, labels, classes=classes)


def test_a_value_that_is_nearly_known_is_pointed_at(images: RasterTiles, tmp_path: Path) -> None:
    labels = draw(tmp_path / 'a.gpkg', [pixels(0, 0, 4, 4)], ['Wood'])
    with pytest.raises(ValueError, match=r"'Wood' \(1 of 1 features\).*'Wood' is not 'wood'"):
        open_labels(images, labels, classes={'a': 'wood'})


def test_of_polygons_that_overlap_the_later_one_wins_and_is_said(
    images: RasterTiles, tmp_path: Path
) -> None:
    crossed = Polygon([(LEFT, TOP), (LEFT + 90, TOP - 90), (LEFT + 90, TOP), (LEFT, TOP - 90)])
    drawn = [
        pixels(0, 0, 4, 4),
        pixels(2, 2, 4, 4),
        pixels(6, 6, 2, 2),
        crossed,
        pixels(4, 0, 1, 1),
    ]
    labels = draw(tmp_path / 'a.gpkg', drawn, ['wood', 'pond', 'wood', None, 'wood'])
    with pytest.warns(UserWarning, match='overlap') as caught:
        found = open_labels(images, labels)
    said = [str(warning.message) for warning in caught if 'overlap in' in str(warning.message)]
    assert len(said) == 1
    assert said[0].startswith('1 pairs of features of different classes overlap in ')
    assert 'feature 1 (wood) and 2 (pond)' in said[0]
    assert found.class_names[found.read(0, WHOLE)[3, 3]] == 'pond'


def test_images_without_a_place_need_masks(images: RasterTiles, tmp_path: Path) -> None:
    labels = draw(tmp_path / 'a.gpkg', [pixels(0, 0, 4, 4)], ['house'])
    images.tiles[0] = replace(images.tiles[0], crs=None)
    with pytest.raises(ValueError, match=r'image\.tif names no CRS; pass masks'):
        VectorLabels(images, labels, attribute='kind')


@given(angle=st.floats(0, 360), row=st.integers(0, 12), col=st.integers(0, 12))
def test_windows_of_turned_images_show_what_the_whole_does(
    angle: float, row: int, col: int
) -> None:
    turned = Affine.translation(LEFT, TOP) @ Affine.rotation(angle) @ Affine.scale(10, -10)
    grid = Grid(height=SIDE, width=SIDE, crs=None, transform=turned)
    corners = [turned @ corner for corner in ((2.2, 2.2), (9.2, 2.2), (9.2, 7.2), (2.2, 7.2))]
    placed = PlacedFeatures.of(np.array([Polygon(corners)], dtype=object))
    one = np.ones(1, np.uint8)
    whole = burn_features(placed, grid, WHOLE, one, fill=0)
    # centres from 2.5 to 8.5, and from 2.5 to 6.5
    assert whole[2:7, 2:9].all()
    assert whole.sum() == 35
    window = Window(row_off=row, col_off=col, height=4, width=4)
    part = burn_features(placed, grid, window, one, fill=0)
    np.testing.assert_array_equal(part, whole[row : row + 4, col : col + 4])
