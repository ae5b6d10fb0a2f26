"""Laws of maps that are made of parts."""

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.env import get_gdal_config
from rio_cogeo.cogeo import cog_validate

from gersp_geo.geoio.write import overviews
from gersp_geo.geoio.write.cog import MapLayout, OverviewResampling
from gersp_geo.geoio.write.mosaic import build_mosaic, finish_map
from gersp_geo.geoio.write.overviews import build_overviews, halve
from gersp_geo.geoio.write.parts import Part, write_part

type Box = tuple[int, int, int, int]

LAYOUT = MapLayout(
    height=700,
    width=600,
    crs=CRS.from_epsg(3857),
    transform=Affine(0.1, 0, 11_350_123.1, 0, -0.1, 6_123_456.7),
    dtype='uint8',
    nodata=255,
    descriptions=('class',),
    class_names=('water', 'Wald & Wiese', '"<>"'),
    class_colors=((0, 0, 200), (10, 180, 20), (1, 2, 3)),
)
QUANTITIES = replace(
    LAYOUT,
    dtype='float32',
    nodata=math.nan,
    descriptions=('water', 'Wald & Wiese'),
    class_names=(),
    class_colors=(),
)
LAYOUTS = {
    'uint8': LAYOUT,
    'uint16': replace(LAYOUT, dtype='uint16', nodata=65535),
    'float32': QUANTITIES,
    'scaled': replace(QUANTITIES, dtype='uint8', nodata=255, scale=1 / 254),
}
TRANSFORMS = {
    'north-up, 0.1 m, large coordinates': LAYOUT.transform,
    'south-up': Affine(1 / 3, 0, 5e5 + 1 / 7, 0, 1 / 3, 5e6),
    'rotated': Affine(0.29, 0.045, 5e5 + 1 / 7, 0.067, -0.19, 5e6 + 1 / 3),
}
# x first, y first, feet, compound, without a code, of no place
CRSS = {
    'none': None,
    'geographic': CRS.from_epsg(4326),
    'UTM': CRS.from_epsg(32633),
    'northing first': CRS.from_epsg(31467),
    'feet': CRS.from_epsg(2263),
    'with heights': CRS.from_epsg(7415),
    'custom': CRS.from_proj4('+proj=laea +lat_0=12.34 +lon_0=5.67 +ellps=GRS80 +units=m'),
}
HALVES = ((0, 0, 350, 600), (350, 0, 350, 600))


def resampling_for(layout: MapLayout) -> OverviewResampling:
    return 'mode' if layout.class_names else 'average'


def noise(layout: MapLayout, seed: int = 0) -> NDArray[np.generic]:
    """Values and a few pixels of nodata, everywhere."""
    rng = np.random.default_rng(seed)
    shape = (len(layout.descriptions), layout.height, layout.width)
    values = rng.integers(0, 3, shape).astype(layout.dtype)
    return np.where(rng.random(shape[1:]) < 0.2, np.asarray(layout.nodata, layout.dtype), values)


def cut(
    folder: Path, pixels: NDArray[np.generic], boxes: Sequence[Box], nodata: float
) -> list[Part]:
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for index, (row, col, height, width) in enumerate(boxes):
        path = folder / f'part {index}.tif'
        write_part(path, pixels[:, row : row + height, col : col + width], nodata=nodata)
        parts.append(Part(path=str(path), row_off=row, col_off=col, height=height, width=width))
    return parts


def make(
    folder: Path,
    layout: MapLayout,
    pixels: NDArray[np.generic],
    boxes: Sequence[Box] | None = None,
    *,
    threads: int = 2,
    block_size: int = 128,
) -> Path:
    whole = ((0, 0, layout.height, layout.width),)
    parts = cut(folder / 'parts', pixels, whole if boxes is None else boxes, layout.nodata)
    finish_map(
        parts,
        folder / 'map.tif',
        layout,
        {'MODEL': 'a & b'},
        overview_resampling=resampling_for(layout),
        work=folder / 'work',
        threads=threads,
        block_size=block_size,
    )
    return folder / 'map.tif'


def assert_valid(path: Path) -> None:
    is_valid, errors, warnings = cog_validate(path, strict=True)
    assert is_valid, (errors, warnings)


@st.composite
def cuts(draw: st.DrawFn, height: int, width: int) -> list[Box]:
    """Cut a map into rows, and every row into columns of its own."""
    boxes: list[Box] = []
    rows = sorted(draw(st.sets(st.integers(1, height), max_size=3)) | {0, height})
    for top, bottom in pairwise(rows):
        cols = sorted(draw(st.sets(st.integers(1, width), max_size=3)) | {0, width})
        boxes += [(top, left, bottom - top, right - left) for left, right in pairwise(cols)]
    return boxes


@given(data=st.data())
def test_the_bytes_of_a_map_do_not_depend_on_cuts_or_threads(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 400)), data.draw(st.integers(1, 400))
    layout = replace(data.draw(st.sampled_from(list(LAYOUTS.values()))), height=height, width=width)
    pixels = noise(layout, seed=data.draw(st.integers(0, 99)))
    hole = data.draw(cuts(height, width))[0]
    pixels[:, : hole[2], : hole[3]] = np.asarray(layout.nodata, layout.dtype)
    boxes = data.draw(cuts(height, width))
    # parts of nothing but nodata may be missing; order does not matter
    boxes = [
        (row, col, rows, cols)
        for row, col, rows, cols in data.draw(st.permutations(boxes))
        if row + rows > hole[2] or col + cols > hole[3] or data.draw(st.booleans())
    ]
    with TemporaryDirectory() as folder:
        whole = make(Path(folder, 'whole'), layout, pixels, threads=1)
        parts = make(
            Path(folder, 'cut'), layout, pixels, boxes, threads=data.draw(st.integers(1, 3))
        )
        assert whole.read_bytes() == parts.read_bytes()
        with rasterio.open(parts) as src:
            np.testing.assert_array_equal(src.read(), pixels)


@pytest.mark.parametrize('layout', LAYOUTS.values(), ids=LAYOUTS)
def test_a_map_is_a_valid_cog_with_the_pixels_of_its_parts(
    tmp_path: Path, layout: MapLayout
) -> None:
    pixels = noise(layout)
    path = make(tmp_path, layout, pixels, HALVES, block_size=512)
    assert_valid(path)
    with rasterio.open(path) as src:
        np.testing.assert_array_equal(src.read(), pixels)
        np.testing.assert_equal(src.nodata, layout.nodata)
        assert src.dtypes == (layout.dtype,) * len(layout.descriptions)
        assert set(src.scales) == {layout.scale or 1}
        assert src.overviews(1) == [2]
        assert src.block_shapes[0] == (512, 512)


@pytest.mark.quick(
    'south-up-none', 'south-up-feet', 'rotated-with heights', 'rotated-custom', 'rotated-UTM'
)
@pytest.mark.parametrize('crs', CRSS.values(), ids=CRSS)
@pytest.mark.parametrize('transform', TRANSFORMS.values(), ids=TRANSFORMS)
def test_crs_and_transform_survive_to_the_last_bit(
    tmp_path: Path, transform: Affine, crs: CRS | None
) -> None:
    layout = replace(LAYOUT, transform=transform, crs=crs)
    make(tmp_path, layout, noise(layout), HALVES)
    for path in (tmp_path / 'work' / 'map.vrt', tmp_path / 'map.tif'):
        with rasterio.open(path) as src:
            assert tuple(src.transform) == tuple(transform)
            assert src.crs == crs
            # the same order of axes, too
            assert crs is None or src.crs.to_epsg() == crs.to_epsg()


def test_names_colours_and_tags_survive(tmp_path: Path) -> None:
    make(tmp_path, LAYOUT, noise(LAYOUT), HALVES)
    for path in (tmp_path / 'work' / 'map.vrt', tmp_path / 'map.tif'):
        with rasterio.open(path) as src:
            colors = src.colormap(1)
            assert [colors[index][:3] for index in range(3)] == list(LAYOUT.class_colors)
            assert json.loads(src.tags(1)['CLASS_NAMES']) == list(LAYOUT.class_names)
            assert src.descriptions == ('class',)
            assert src.tags()['MODEL'] == 'a & b'


def test_pixels_under_no_part_are_nodata(tmp_path: Path) -> None:
    pixels = noise(LAYOUT)
    boxes = ((3, 5, 100, 130), (400, 300, 300, 300))
    path = make(tmp_path, LAYOUT, pixels, boxes)
    expected = np.full_like(pixels, 255)
    for row, col, height, width in boxes:
        window = np.s_[:, row : row + height, col : col + width]
        expected[window] = pixels[window]
    assert_valid(path)
    with rasterio.open(path) as src:
        np.testing.assert_array_equal(src.read(), expected)


@pytest.mark.parametrize('layout', LAYOUTS.values(), ids=LAYOUTS)
def test_a_map_of_no_part_is_all_nodata(tmp_path: Path, layout: MapLayout) -> None:
    path = make(tmp_path, layout, noise(layout), boxes=())
    assert_valid(path)
    with rasterio.open(path) as src:
        assert src.overviews(1) == [2, 4, 8]
        pixels = src.read(masked=True)
        assert pixels.mask.all()
        assert pixels.shape == (len(layout.descriptions), 700, 600)


@pytest.mark.parametrize(
    ('height', 'width', 'overviews'),
    [(1, 1, 0), (5, 7, 0), (128, 128, 0), (129, 128, 1), (1000, 1, 3), (1, 1025, 4), (257, 513, 3)],
)
def test_a_map_may_be_small_or_narrow(
    tmp_path: Path, height: int, width: int, overviews: int
) -> None:
    layout = replace(LAYOUT, height=height, width=width)
    pixels = noise(layout)
    path = make(tmp_path, layout, pixels)
    # a single row or column cannot be halved: rio-cogeo finds fault with GDAL's overviews, too
    if overviews == 0 or min(height, width) > 1:
        assert_valid(path)
    with rasterio.open(path) as src:
        assert len(src.overviews(1)) == overviews
        np.testing.assert_array_equal(src.read(), pixels)


@pytest.mark.parametrize('layout', LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize(('height', 'width'), [(700, 600), (515, 301)])
def test_each_overview_halves_the_level_before(
    tmp_path: Path, layout: MapLayout, height: int, width: int
) -> None:
    layout = replace(layout, height=height, width=width)
    pixels = noise(layout)
    boxes = ((0, 0, 333, width), (333, 0, height - 333, 111), (333, 111, height - 333, width - 111))
    path = make(tmp_path, layout, pixels, boxes)
    for level in range(3):
        padded = np.pad(
            pixels,
            [(0, 0), (0, pixels.shape[1] % 2), (0, pixels.shape[2] % 2)],
            constant_values=layout.nodata,
        )
        pixels = np.stack(
            [
                halve(band, resampling=resampling_for(layout), nodata=layout.nodata)
                for band in padded
            ]
        )
        with rasterio.open(path, overview_level=level) as src:
            np.testing.assert_array_equal(src.read(), pixels)


@given(st.lists(st.sampled_from([0, 1, 2, 3, 255]), min_size=4, max_size=4), st.booleans())
def test_halving_keeps_the_most_frequent_or_mean_value_that_is_there(
    four: list[int], is_float: bool
) -> None:
    nodata = math.nan if is_float else 255
    square = np.array(four, dtype='float32' if is_float else 'uint16').reshape(2, 2)
    square[square == 255] = nodata
    there = [value for value in four if value != 255]
    ((mode,),) = halve(square, resampling='mode', nodata=nodata)
    ((mean,),) = halve(square, resampling='average', nodata=nodata)
    ((nearest,),) = halve(square, resampling='nearest', nodata=nodata)
    # most_common keeps the order of first occurrence among equals
    np.testing.assert_equal(mode, Counter(there).most_common(1)[0][0] if there else nodata)
    expected = np.mean(there) if there else nodata
    np.testing.assert_allclose(mean, expected if is_float else np.rint(expected), rtol=1e-6)
    np.testing.assert_equal(nearest, square[0, 0])


def test_every_kind_of_nan_is_the_one_nodata(tmp_path: Path) -> None:
    layout = replace(QUANTITIES, descriptions=('value',), height=100, width=100)
    pixels = np.full((1, 100, 100), -np.nan, dtype='float32')
    pixels[0, 50, 50] = 1
    path = make(tmp_path / 'one', layout, pixels)
    quarters = [(row, col, 50, 50) for row in (0, 50) for col in (0, 50)]
    assert path.read_bytes() == make(tmp_path / 'cut', layout, pixels, quarters).read_bytes()


def test_a_map_of_more_than_4_gib_is_a_valid_cog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = replace(QUANTITIES, height=40_000, width=30_000, descriptions=('value',))
    patch = np.arange(600 * 700, dtype='float32').reshape(1, 600, 700)
    write_part(tmp_path / 'part.tif', patch, nodata=math.nan)
    part = Part(
        path=str(tmp_path / 'part.tif'), row_off=39_400, col_off=29_300, height=600, width=700
    )
    made: list[NDArray[np.generic]] = []

    def counted(pixels: NDArray[np.generic], **options: Any) -> NDArray[np.generic]:
        made.append(halve(pixels, **options))
        return made[-1]

    monkeypatch.setattr(overviews, 'halve', counted)
    finish_map(
        [part], tmp_path / 'map.tif', layout, {}, overview_resampling='average', work=tmp_path
    )
    assert_valid(tmp_path / 'map.tif')
    # BigTIFF, and nearly empty
    assert (tmp_path / 'map.tif').read_bytes()[:4] == b'II+\0'
    assert (tmp_path / 'map.tif').stat().st_size < 8e6
    # at most 2 x 2 windows of each level were touched
    assert 7 <= len(made) <= 4 * 7
    with rasterio.open(tmp_path / 'map.tif') as src:
        assert src.overviews(1) == [2, 4, 8, 16, 32, 64, 128]
        window = rasterio.windows.Window(29_300, 39_400, 700, 600)
        np.testing.assert_array_equal(src.read(window=window), patch)


def test_overviews_hold_no_block_where_no_part_lies(tmp_path: Path) -> None:
    layout = replace(LAYOUT, height=1024, width=1024)
    parts = cut(tmp_path, np.zeros((1, 1024, 1024), 'uint8'), [(600, 300, 20, 20)], 255)
    first, *_ = build_overviews(parts, tmp_path, layout, resampling='mode', block_size=128)
    with rasterio.open(first) as src:
        filled = [
            place
            for place, _ in src.block_windows(1)
            if src.get_tag_item('BLOCK_OFFSET_{1}_{0}'.format(*place), 'TIFF', bidx=1)
        ]
    assert filled == [(2, 1)]


def test_a_part_stores_no_empty_block_and_replaces_an_older_one(tmp_path: Path) -> None:
    path = tmp_path / 'part.tif'
    write_part(path, np.random.default_rng(0).random((2, 1024, 1024)), nodata=math.nan)
    write_part(path, np.full((2, 1024, 1024), math.nan), nodata=math.nan)
    assert path.stat().st_size < 2000
    assert [other.name for other in tmp_path.iterdir()] == ['part.tif']


def test_a_mosaic_names_its_parts_relative_to_itself(tmp_path: Path) -> None:
    pixels = noise(LAYOUT)
    parts = cut(tmp_path / 'old' / 'parts', pixels, HALVES, 255)
    build_mosaic(parts, tmp_path / 'old' / 'map.vrt', LAYOUT, {})
    (tmp_path / 'old').rename(tmp_path / 'new')
    with rasterio.open(tmp_path / 'new' / 'map.vrt') as src:
        np.testing.assert_array_equal(src.read(), pixels)


def test_a_map_can_be_finished_again_after_a_kill(tmp_path: Path) -> None:
    expected = make(tmp_path / 'undisturbed', LAYOUT, noise(LAYOUT)).read_bytes()
    work = tmp_path / 'work'
    work.mkdir()
    for name in ('map.vrt', 'overview-1.tif', '.overview-1.0123.partial.tif'):
        (work / name).write_bytes(b'II*\0 cut off')
    assert make(tmp_path, LAYOUT, noise(LAYOUT)).read_bytes() == expected


def test_an_existing_map_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    path = make(tmp_path, LAYOUT, noise(LAYOUT))
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match=r'map\.tif exists'):
        make(tmp_path, LAYOUT, noise(LAYOUT, seed=1))
    assert path.read_bytes() == before


def test_the_cache_of_gdal_is_as_before(tmp_path: Path) -> None:
    before = get_gdal_config('GDAL_CACHEMAX')
    make(tmp_path / 'outside', LAYOUT, noise(LAYOUT))
    assert get_gdal_config('GDAL_CACHEMAX') == before
    with rasterio.Env():
        make(tmp_path / 'inside', LAYOUT, noise(LAYOUT))
        assert get_gdal_config('GDAL_CACHEMAX') == before


@pytest.mark.parametrize('height', [100, 700], ids=['one block', 'with overviews'])
@pytest.mark.parametrize('share', [0, 0.001, 0.1, 0.5, 0.99])
def test_a_truncated_part_is_named_and_leaves_no_map(
    tmp_path: Path, share: float, height: int
) -> None:
    layout = replace(LAYOUT, height=height, width=100)
    (part,) = cut(tmp_path / 'parts', noise(layout), [(0, 0, height, 100)], 255)
    content = Path(part.path).read_bytes()
    Path(part.path).write_bytes(content[: int(share * len(content))])
    with pytest.raises(OSError, match=r'part 0\.tif') as info:
        finish_map(
            [part],
            tmp_path / 'map.tif',
            layout,
            {},
            overview_resampling='mode',
            work=tmp_path / 'work',
            block_size=128,
        )
    assert '\n' not in str(info.value)
    assert not (tmp_path / 'map.tif').exists()
    assert not list(tmp_path.glob('**/*.partial*'))


def test_a_part_of_another_size_is_named(tmp_path: Path) -> None:
    (part,) = cut(tmp_path, noise(LAYOUT), [(0, 0, 300, 200)], 255)
    with pytest.raises(OSError, match=r'part 0\.tif must have 301 x 200 pixels, got 300 x 200'):
        build_overviews([replace(part, height=301)], tmp_path, LAYOUT, resampling='mode')


@pytest.mark.parametrize('share', [0.002, 0.3, 0.6, 0.85, 0.95, 0.999])
def test_a_full_disk_leaves_no_map_and_no_part(
    tmp_path: Path, small_disk: Callable[[int], AbstractContextManager[None]], share: float
) -> None:
    # noise: all blocks are of one size, and what GDAL holds back until the end is large
    layout = replace(QUANTITIES, height=300, width=300)
    values = np.random.default_rng(0).random((2, 300, 300), dtype='float32')
    path = make(tmp_path, layout, values)
    size = path.stat().st_size
    path.unlink()
    part = Part(
        path=str(tmp_path / 'parts' / 'part 0.tif'), row_off=0, col_off=0, height=300, width=300
    )
    with small_disk(int(share * size)), pytest.raises(OSError, match='is the disk full') as info:
        finish_map(
            [part],
            path,
            layout,
            {},
            overview_resampling='average',
            work=tmp_path / 'work',
            block_size=128,
        )
    assert '\n' not in str(info.value)
    assert not path.exists()
    size = Path(part.path).stat().st_size
    with small_disk(int(share * size)), pytest.raises(OSError, match='is the disk full') as info:
        write_part(tmp_path / 'parts' / 'new.tif', values, nodata=math.nan)
    assert '\n' not in str(info.value)
    assert not list(tmp_path.glob('**/*new*'))
    assert not list(tmp_path.glob('**/.*'))
