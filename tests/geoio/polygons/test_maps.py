from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray

from gersp_geo.geoio.pixel_area import pixel_areas_m2
from gersp_geo.geoio.polygons import maps
from gersp_geo.geoio.polygons.maps import ClassMap, areas_above, describe_map, read_strips
from gersp_geo.geoio.read.reader import open_reader
from gersp_geo.geoio.write.geotiff import write_raster

NAMES, COLORS = ('field', 'forest', '7'), ((9, 8, 7), (0, 255, 0), (1, 2, 3))


def write(path: Path, pixels: NDArray[np.generic], **options: object) -> Path:
    settings = {'crs': 'EPSG:32632', 'transform': Affine(2, 0, 0, 0, -2, 0), 'block_size': 16}
    return write_raster(path, pixels, **(settings | options))  # type: ignore[arg-type]


def read(path: Path, *classes: int) -> list[NDArray[np.integer]]:
    with open_reader(path) as src:
        return list(read_strips(src, describe_map(src).header, classes=classes or None))


def describe(path: Path) -> ClassMap:
    with open_reader(path) as src:
        return describe_map(src)


@pytest.mark.parametrize('traced', [1, 40 * 3, 40 * 16, 2**22])
def test_strips_are_the_map_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, traced: int
) -> None:
    monkeypatch.setattr(maps, '_PIXELS_TRACED', traced)
    pixels = np.random.default_rng(0).choice(np.array([0, 1, 254, 255], np.uint8), (50, 40))
    strips = read(write(tmp_path / 'map.tif', pixels, nodata=255))
    assert max(len(strip) for strip in strips) == min(max(traced // 40, 1), 50)
    expected = np.where(pixels == 255, 0, pixels.astype(int) + 1)
    np.testing.assert_array_equal(np.concatenate(strips), expected)


@pytest.mark.parametrize('dtype', ['uint8', 'uint16', 'int16', 'uint32', 'int64'])
def test_classes_that_are_not_wanted_are_nothing(tmp_path: Path, dtype: str) -> None:
    top = min(65535, np.iinfo(dtype).max)
    pixels = np.array([[0, 1, 2], [top, 1, 9]], dtype)
    path = write(tmp_path / 'map.tif', pixels, nodata=9)
    (all_,), (some,) = read(path), read(path, 0, top)
    assert all_.tolist() == [[1, 2, 3], [int(top) + 1, 2, 0]]
    assert some.tolist() == [[1, 0, 0], [int(top) + 1, 0, 0]]


def test_a_huge_block_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps, '_PIXELS_READ', 40 * 5)
    pixels = np.arange(16 * 40, dtype=np.uint16).reshape(16, 40)
    strips = read(write(tmp_path / 'map.tif', pixels, block_size=64))
    assert [len(strip) for strip in strips] == [5, 5, 5, 1]
    np.testing.assert_array_equal(np.concatenate(strips), pixels + 1)


def test_a_mask_says_what_is_no_class(tmp_path: Path) -> None:
    path = write(tmp_path / 'map.tif', np.ones((2, 2), np.uint8))
    with rasterio.open(path, 'r+') as dst:
        dst.write_mask(np.array([[255, 0], [255, 255]], np.uint8))
    assert read(path)[0].tolist() == [[2, 0], [2, 2]]


def test_names_and_colours_are_those_of_the_map(tmp_path: Path) -> None:
    path = write(
        tmp_path / 'map.tif', np.zeros((2, 2), np.uint8), class_names=NAMES, class_colors=COLORS
    )
    found = describe(path)
    assert found.names == NAMES
    assert found.colors[:3] == COLORS
    assert [found.name(value) for value in (0, 1, 3)] == ['field', 'forest', 'class 3']
    assert found.find(['forest', 0, '2']) == (0, 1, 2)
    # a name goes before a number
    assert found.find(['7']) == (2,)
    with pytest.raises(ValueError, match="no class 'lake'; its classes are field, forest, 7"):
        found.find(['forest', 'lake'])


@pytest.mark.parametrize('tag', ['no JSON', '{"a": 1}', '[1, 2]', None])
def test_a_map_without_legend_has_numbers_and_colours_that_differ(
    tmp_path: Path, tag: str | None
) -> None:
    path = write(tmp_path / 'map.tif', np.zeros((2, 2), np.uint8))
    if tag is not None:
        with rasterio.open(path, 'r+') as dst:
            dst.update_tags(1, CLASS_NAMES=tag)
    found = describe(path)
    assert found.name(4) == 'class 4'
    assert len({found.color(value) for value in range(30)}) == 30
    with pytest.raises(ValueError, match='names none'):
        found.find(['forest'])


@pytest.mark.parametrize(
    ('pixels', 'options', 'message'),
    [
        (np.zeros((2, 2), np.float32), {}, 'whole numbers, .* holds float32'),
        (np.zeros((3, 2, 2), np.uint8), {}, 'one band, .* has 3'),
        (np.zeros((2, 2), np.uint8), {'crs': None}, 'names no CRS'),
        (np.zeros((2, 2), np.uint8), {'class_names': ['a\nb']}, 'printable'),
        (np.full((2, 2), 70000, np.int32), {}, r'\[0, 65535\], .* holds 70000'),
        (np.full((2, 2), -5, np.int16), {}, r'\[0, 65535\], .* holds -5'),
    ],
)
def test_what_is_no_class_map_is_refused(
    tmp_path: Path, pixels: NDArray[np.generic], options: dict[str, object], message: str
) -> None:
    path = write(tmp_path / 'map.tif', pixels, **options)
    with pytest.raises(ValueError, match=message):
        read(path)


def test_nodata_may_be_any_value(tmp_path: Path) -> None:
    path = write(tmp_path / 'map.tif', np.array([[-9999, 1]], np.int16), nodata=-9999)
    assert read(path)[0].tolist() == [[0, 2]]


@pytest.mark.parametrize('crs', ['EPSG:32632', 'EPSG:4326'])
def test_areas_above_lines_are_sums_of_pixels(tmp_path: Path, crs: str) -> None:
    transform = Affine(0.01, 0, 8, 0, -0.01, 47.3)
    path = write(tmp_path / 'map.tif', np.zeros((30, 2), np.uint8), crs=crs, transform=transform)
    header = describe(path).header
    above, areas = areas_above(header), pixel_areas_m2(header, 0, 30)
    assert above is not None
    assert areas is not None
    assert above[0] == 0
    np.testing.assert_allclose(np.diff(above), areas)


def test_a_damaged_map_is_said_so(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 9, (64, 64)).astype(np.uint8)
    path = write(tmp_path / 'map.tif', pixels)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(OSError, match=r'map\.tif cannot be read at rows'):
        read(path)


def test_classes_that_are_called_alike_are_told_apart_by_their_values(tmp_path: Path) -> None:
    path = write(tmp_path / 'map.tif', np.zeros((4, 4), np.uint8))
    described = replace(describe(path), names=('oak', 'oak', 'elm', ''))
    assert described.tell_apart([0, 1, 2, 3]) == ['oak (0)', 'oak (1)', 'elm', 'class 3']
    assert described.tell_apart([1, 2]) == ['oak', 'elm']
    described = replace(described, names=('oak', 'oak', 'oak (1)', 'class 5'))
    assert described.tell_apart([0, 1, 2, 3, 5]) == [
        'oak (0)', 'oak (1) (1)', 'oak (1) (2)', 'class 5 (3)', 'class 5 (5)'
    ]  # fmt: skip
