"""Laws of pictures of objects: each outline lies where its object lies on the ground."""

from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
from affine import Affine

from gersp_geo.inference.preview import write_objects_preview
from tests.inference.preview.pictures import (
    ENLARGED,
    NORTH_UP,
    is_color,
    read_panel,
    read_png,
    write_scene,
)

RED, BLUE = (250, 30, 40), (30, 40, 250)
COLORS = {1: RED, 2: BLUE}


def objects(
    *boxes: tuple[float, float, float, float], labels: list[int], transform: Affine = NORTH_UP
) -> geopandas.GeoDataFrame:
    """Objects of boxes in pixels of the scene: left, top, right, bottom."""
    drawn = shapely.transform(
        shapely.box(*np.array(boxes, dtype=float).reshape(-1, 4).T),
        lambda points: np.array([transform @ point for point in points]).reshape(-1, 2),
    )
    return geopandas.GeoDataFrame(
        {
            'class': labels,
            'class_name': [f'kind {label}' for label in labels],
            'score': np.linspace(0.9, 0.5, len(labels)),
        },
        geometry=drawn,
        crs=32633,
    )


def draw(path: Path, found: geopandas.GeoDataFrame, scene: Path, **options: Any) -> Path:
    return write_objects_preview(
        scene, found, path, bands=(1, 2, 3), colors=COLORS, overwrite=True, **options
    )


def test_outlines_lie_on_the_sides_of_objects_above_a_dark_rim(tmp_path: Path) -> None:
    found = objects((5, 4, 20, 12), labels=[1])
    panel = read_panel(draw(tmp_path / 'a.png', found, write_scene(tmp_path / 'a.tif')))
    rows, cols = np.nonzero(is_color(panel, RED))
    # 20 pixels of the picture are one of the scene
    assert (rows.min(), rows.max()) == pytest.approx((79.5, 239.5), abs=1.5)
    assert (cols.min(), cols.max()) == pytest.approx((99.5, 399.5), abs=1.5)
    # nothing inside, and a dark line on both sides of the coloured one
    inner = panel[90:230, 110:390]
    assert not is_color(inner, RED).any()
    across = panel[160, 90:110].astype(int).max(axis=1)
    ground = across[0]
    assert (across[across != ground] < ground).any()


@pytest.mark.parametrize(
    ('transform', 'rows', 'cols'),
    [
        (Affine(10, 0, 4e5, 0, 10, 5e6 - 200), slice(None, None, -1), slice(None)),
        (Affine(-10, 0, 4e5 + 300, 0, 10, 5e6 - 200), slice(None, None, -1), slice(None, None, -1)),
    ],
    ids=['south-up', 'upside down'],
)
def test_the_same_ground_makes_the_same_picture_whichever_way_the_scene_lies(
    tmp_path: Path, transform: Affine, rows: slice, cols: slice
) -> None:
    found = objects((5, 4, 20, 12), (1, 1, 3, 3), labels=[1, 2])
    ramp = np.broadcast_to(np.arange(600, dtype='uint16').reshape(20, 30), (3, 20, 30))
    panels = []
    for name, place, pixels in (('up', NORTH_UP, ramp), ('other', transform, ramp[:, rows, cols])):
        scene = write_scene(tmp_path / f'{name}.tif', pixels=pixels, transform=place)
        panels.append(read_panel(draw(tmp_path / f'{name}.png', found, scene)).astype(int))
    assert is_color(panels[0].astype(np.uint8), RED).sum() > 100
    # positions are rounded otherwise
    assert (np.abs(panels[0] - panels[1]).max(axis=-1) > 40).mean() < 0.002


def test_a_rotated_scene_is_shown_as_it_is_stored_with_its_objects(tmp_path: Path) -> None:
    turned = NORTH_UP @ Affine.rotation(30)
    found = objects((5, 4, 20, 12), labels=[1], transform=turned)
    scene = write_scene(tmp_path / 'a.tif', transform=turned)
    rows, cols = np.nonzero(is_color(read_panel(draw(tmp_path / 'a.png', found, scene)), RED))
    assert (rows.min(), rows.max()) == pytest.approx((79.5, 239.5), abs=1.5)
    assert (cols.min(), cols.max()) == pytest.approx((99.5, 399.5), abs=1.5)


def test_objects_of_another_crs_are_drawn_at_their_place(tmp_path: Path) -> None:
    scene, found = write_scene(tmp_path / 'a.tif'), objects((5, 4, 20, 12), labels=[1])
    panels = [
        read_panel(draw(tmp_path / f'{name}.png', frame, scene))
        for name, frame in (('utm', found), ('degrees', found.to_crs('EPSG:4326')))
    ]
    places = [np.argwhere(is_color(panel, RED)) for panel in panels]
    np.testing.assert_allclose(places[0].min(axis=0), places[1].min(axis=0), atol=2)
    np.testing.assert_allclose(places[0].max(axis=0), places[1].max(axis=0), atol=2)


def test_an_object_of_two_parts_is_drawn_whole_and_counted_once(tmp_path: Path) -> None:
    scene, one = write_scene(tmp_path / 'a.tif'), objects((2, 2, 8, 8), labels=[1])
    other = objects((20, 10, 28, 18), labels=[1])
    both = one.set_geometry([shapely.MultiPolygon([*one.geometry, *other.geometry])], crs=one.crs)
    paths = [draw(tmp_path / f'{i}.png', frame, scene) for i, frame in enumerate((one, both))]
    is_red = is_color(read_panel(paths[1]), RED)
    assert is_red[:, :300].any()
    assert is_red[:, 300:].any()
    # the same title and legend
    whole, parts = (read_png(path) for path in paths)
    np.testing.assert_array_equal(whole[:72], parts[:72])
    np.testing.assert_array_equal(whole[:, 620:], parts[:, 620:])


def test_of_too_many_objects_the_best_are_drawn_and_all_are_counted(tmp_path: Path) -> None:
    found = objects((2, 2, 8, 8), (20, 10, 28, 18), labels=[1, 2])
    scene = write_scene(tmp_path / 'a.tif')
    whole, some = (
        read_png(draw(tmp_path / f'{most}.png', found, scene, most=most)) for most in (2, 1)
    )
    panel = read_panel(tmp_path / '1.png')
    assert is_color(panel, RED).any()
    assert not is_color(panel, BLUE).any()
    # both in the legend, and another title
    assert is_color(some, BLUE).sum() > 100
    assert (whole[44:70, :300] != some[44:70, :300]).any()


def test_objects_beside_the_grid_are_neither_drawn_nor_counted(tmp_path: Path) -> None:
    found = objects((5, 4, 20, 12), (-9, 0, -1, 5), (31, 3, 40, 9), labels=[1, 2, 2])
    scene = write_scene(tmp_path / 'a.tif')
    alone, among = (
        read_png(draw(tmp_path / f'{name}.png', frame, scene))
        for name, frame in (('alone', found[:1]), ('among', found))
    )
    np.testing.assert_array_equal(alone, among)


def test_objects_smaller_than_a_pixel_are_seen(tmp_path: Path) -> None:
    found = objects((5, 4, 5.001, 4.001), labels=[1])
    panel = read_panel(draw(tmp_path / 'a.png', found, write_scene(tmp_path / 'a.tif')))
    rows, cols = np.nonzero((panel != read_empty(tmp_path)).any(axis=-1))
    assert len(rows) >= 4
    assert (rows.mean(), cols.mean()) == pytest.approx((80, 100), abs=2)


def read_empty(folder: Path) -> np.ndarray:
    """A scene without objects has neither outlines nor legend."""
    scene = write_scene(folder / 'empty.tif')
    path = draw(folder / 'empty.png', objects(labels=[]), scene)
    assert read_png(path).shape[1] < ENLARGED[1] + 60
    return read_panel(path)


def test_what_cannot_be_drawn_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    scene, found = write_scene(tmp_path / 'a.tif'), objects((5, 4, 20, 12), labels=[1])
    nowhere = write_scene(tmp_path / 'b.tif', crs=None)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ValueError, match=r'written as \.png, got .*a\.jpg'):
        draw(tmp_path / 'a.jpg', found, scene)
    with pytest.raises(ValueError, match=r'b\.tif and its objects need a CRS'):
        draw(tmp_path / 'a.png', found, nowhere)
    with pytest.raises(FileNotFoundError, match=r'no\.tif does not exist'):
        draw(tmp_path / 'a.png', found, tmp_path / 'no.tif')
    assert sorted(tmp_path.iterdir()) == before
