"""Overlapping windows, with every block decoded once."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.windows import Window as RasterioWindow

from gersp_geo.geoio.read.block_reader import CellReader
from gersp_geo.geoio.read.cells import CellSource, plan_cells
from gersp_geo.geoio.read.observations import read_observed, read_valid
from gersp_geo.geoio.read.padding import padded_window
from gersp_geo.geoio.read.reader import UnreadableFileError, open_reader, read_header, read_window
from gersp_geo.geoio.read.thumbnail import read_reduced
from gersp_geo.windows import Window

# blocks as (rows, columns); None is strips
LAYOUTS: dict[str, tuple[int, int] | None] = {
    'tiles': (64, 32), 'large tiles': (512, 512), 'strips': None,
}  # fmt: skip


def write(
    path: Path,
    pixels: NDArray[Any],
    *,
    blocks: tuple[int, int] | None = (64, 32),
    nodata: float | None = None,
    interleave: str = 'pixel',
) -> Path:
    count, height, width = pixels.shape
    layout = (
        {'tiled': False, 'blockysize': 3}
        if blocks is None
        else {'tiled': True, 'blockysize': blocks[0], 'blockxsize': blocks[1]}
    )
    with rasterio.open(
        path, 'w', driver='GTiff', height=height, width=width, count=count, dtype=pixels.dtype,
        nodata=nodata, transform=Affine(2, 0, 0, 0, -2, 0), interleave=interleave, **layout,
    ) as dst:  # fmt: skip
        dst.write(pixels)
    return path


def noise(shape: tuple[int, ...], dtype: str = 'uint8') -> NDArray[Any]:
    return np.random.default_rng(5).integers(0, 6, shape).astype(dtype)


def cell_reader(path: Path, *, bands: tuple[int, ...] = (1, 2), **options: Any) -> CellReader:
    header = read_header(path)
    threads, others = options.pop('threads', 1), options.pop('others', ())
    source = CellSource(
        opener=partial(open_reader, path), bands=bands, block_shape=header.block_shape, **options
    )
    return CellReader(
        [source, *others], plan_cells(header), dtype=np.dtype(header.dtype), threads=threads
    )


@st.composite
def windows(draw: st.DrawFn, *, height: int, width: int) -> Window:
    return Window(
        row_off=draw(st.integers(-90, height + 50)),
        col_off=draw(st.integers(-90, width + 50)),
        height=draw(st.integers(1, 100)),
        width=draw(st.integers(1, 100)),
    )


@pytest.mark.parametrize('layout', LAYOUTS)
@given(data=st.data(), nodata=st.sampled_from([None, 0.0, 3.0]))
def test_windows_are_what_reading_each_by_itself_gives(
    layout: str, data: st.DataObject, nodata: float | None, tmp_path: Path
) -> None:
    path = write(tmp_path / 'a.tif', noise((3, 150, 130)), blocks=LAYOUTS[layout], nodata=3)
    with (
        cell_reader(path, bands=(3, 1), nodata=nodata, threads=2) as reader,
        open_reader(path) as src,
    ):
        for window in data.draw(st.lists(windows(height=150, width=130), min_size=1, max_size=4)):
            reader.request(window)
            out = np.empty((2, window.height, window.width), dtype=np.uint8)
            valid = reader.take(window, out)
            np.testing.assert_array_equal(out, read_window(src, window, bands=(3, 1)))
            expected = read_valid(src, window, bands=(3, 1), nodata=nodata)
            found = np.ones_like(expected) if valid is None else valid
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize('dtype', ['uint8', 'int16', 'float32', 'float64'])
@pytest.mark.parametrize('tagged', [None, 2.0, -1.0, float('nan')])
@pytest.mark.parametrize('given_too', [None, 5.0])
def test_one_reading_says_what_two_say(
    dtype: str, tagged: float | None, given_too: float | None, tmp_path: Path
) -> None:
    if dtype == 'uint8' and tagged is not None and not 0 <= tagged <= 255:
        tagged = 255.0
    if dtype == 'int16' and tagged is not None and np.isnan(tagged):
        tagged = -32768.0
    pixels = noise((2, 40, 40), dtype)
    pixels[:, :10, :10] = 2
    if pixels.dtype.kind == 'f':
        pixels[0, 3, 3], pixels[1, 20, 20] = np.nan, np.inf
    path = write(tmp_path / 'a.tif', pixels, nodata=tagged)
    window = Window(row_off=0, col_off=0, height=40, width=40)
    with open_reader(path) as src:
        for bands in ((1, 2), (2,), (2, 1, 2)):
            found, valid = read_observed(src, window, bands=bands, nodata=given_too)
            np.testing.assert_array_equal(found, read_window(src, window, bands=bands))
            expected = read_valid(src, window, bands=bands, nodata=given_too)
            assert (valid is None) == bool(expected.all())
            if valid is not None:
                np.testing.assert_array_equal(valid, expected)


@pytest.mark.parametrize('count', [1, 2, 3, 4, 5])
def test_an_alpha_band_decides(count: int, tmp_path: Path) -> None:
    pixels = noise((count + 1, 40, 40))
    pixels[-1] = 255
    pixels[-1, :, :7] = 0
    path = tmp_path / 'alpha.tif'
    meaning = rasterio.enums.ColorInterp
    with rasterio.open(
        path, 'w', driver='GTiff', height=40, width=40, count=count + 1, dtype='uint8', alpha='yes',
        transform=Affine(2, 0, 0, 0, -2, 0),
    ) as dst:  # fmt: skip
        dst.colorinterp = [meaning.gray, *[meaning.undefined] * (count - 1), meaning.alpha]
        dst.write(pixels)
    assert 'alpha' in read_header(path).masks
    with open_reader(path) as src:
        _, reduced = read_reduced(src, bands=[1], shape=(40, 40), resampling='nearest')
        assert not reduced[:, :7].any()
        assert reduced[:, 7:].all()
        _, valid = read_observed(src, Window(row_off=0, col_off=0, height=40, width=40), bands=(1,))
    assert valid is not None
    assert not valid[:, :7].any()
    assert valid[:, 7:].all()


class Counting:
    """An open raster that writes down what is decoded."""

    # read by itself
    driver = 'other'

    def __init__(self, src: Any, decoded: Counter[tuple[int, int]]) -> None:
        self.src, self.decoded = src, decoded

    def __getattr__(self, name: str) -> Any:
        return getattr(self.src, name)

    def read(self, *args: Any, window: RasterioWindow, **options: Any) -> Any:
        height, width = self.src.block_shapes[0]
        rows = range(window.row_off // height, -(-(window.row_off + window.height) // height))
        cols = range(window.col_off // width, -(-(window.col_off + window.width) // width))
        self.decoded.update((row, col) for row in rows for col in cols)
        return self.src.read(*args, window=window, **options)


@pytest.mark.parametrize('layout', LAYOUTS)
def test_each_block_is_decoded_once(layout: str, tmp_path: Path) -> None:
    path = write(tmp_path / 'a.tif', noise((2, 700, 610)), blocks=LAYOUTS[layout], nodata=3)
    decoded: Counter[tuple[int, int]] = Counter()

    @contextmanager
    def opener() -> Iterator[Any]:
        with open_reader(path) as src:
            yield Counting(src, decoded)

    header = read_header(path)
    source = CellSource(opener=opener, bands=(1, 2), block_shape=header.block_shape)
    with CellReader([source], plan_cells(header), dtype=np.dtype('uint8'), threads=2) as reader:
        for row_off in range(-30, 700, 50):
            for col_off in range(-30, 610, 50):
                window = Window(row_off=row_off, col_off=col_off, height=96, width=96)
                reader.request(window)
                reader.take(window, np.empty((2, 96, 96), dtype=np.uint8))
            reader.release(max(row_off + 50, 0))
    height, width = header.block_shape
    assert len(decoded) == -(-700 // height) * -(-610 // width)
    assert set(decoded.values()) == {1}


@pytest.mark.parametrize('side', [64, 256])
def test_what_is_not_stored_is_no_observation(side: int, tmp_path: Path) -> None:
    path = write(tmp_path / 'a.tif', noise((2, 600, 600)), blocks=(side, side))
    stored = np.ones((-(-600 // side), -(-600 // side)), dtype=np.bool_)
    stored[256 // side : 512 // side] = False
    with cell_reader(path, stored=stored) as reader:
        empty = Window(row_off=256, col_off=0, height=200, width=600)
        both = Window(row_off=200, col_off=100, height=100, width=50)
        assert not reader.may_hold(empty)
        assert reader.may_hold(both)
        reader.request(both)
        out = np.empty((2, 100, 50), dtype=np.uint8)
        valid = reader.take(both, out)
    assert valid is not None
    assert valid[:56].all()
    assert not valid[56:].any()
    assert (out[:, 56:] == 0).all()


def test_only_rows_above_are_forgotten(tmp_path: Path) -> None:
    path = write(tmp_path / 'a.tif', noise((2, 600, 300)), blocks=(256, 256))
    window = Window(row_off=0, col_off=0, height=600, width=300)
    with cell_reader(path) as reader:
        reader.request(window)
        assert reader.valid(window) is None
        reader.release(255)
        assert reader.valid(window) is None
        reader.release(256)
        valid = reader.valid(window)
    assert valid is not None
    assert not valid[:256].any()
    assert valid[256:].all()


def test_damage_is_told_where_the_window_is_taken(tmp_path: Path) -> None:
    path = write(tmp_path / 'a.tif', noise((2, 600, 600)), blocks=(256, 256))
    path.write_bytes(path.read_bytes()[:-300_000])
    window = Window(row_off=0, col_off=0, height=600, width=600)
    with cell_reader(path) as reader:
        reader.request(window)
        with pytest.raises(UnreadableFileError, match=r'a\.tif cannot be read at rows'):
            reader.take(window, np.empty((2, 600, 600), dtype=np.uint8))


@pytest.mark.parametrize(
    ('blocks', 'cell'),
    [((64, 32), (256, 256)), ((512, 512), (512, 512)), ((1, 5000), (256, 5000)),
     ((300, 300), (300, 300)), ((20_000, 5000), (512, 5000))],
)  # fmt: skip
def test_cells_are_whole_blocks_and_not_too_small(
    blocks: tuple[int, int], cell: tuple[int, int], tmp_path: Path
) -> None:
    path = write(tmp_path / 'a.tif', noise((2, 32, 32)), blocks=(16, 16))
    grid = plan_cells(replace(read_header(path), block_shape=blocks, height=20_000, width=5000))
    assert (grid.cell_height, grid.cell_width) == cell


def test_a_cell_may_hold_blocks_that_are_not_stored(tmp_path: Path) -> None:
    path = write(tmp_path / 'a.tif', noise((2, 200, 200)), blocks=(64, 64))
    stored = np.ones((4, 4), dtype=np.bool_)
    stored[1, 2] = False
    window = Window(row_off=0, col_off=0, height=200, width=200)
    with cell_reader(path, stored=stored) as reader:
        reader.request(window)
        valid = reader.take(window, np.empty((2, 200, 200), dtype=np.uint8))
    assert valid is not None
    hole = np.zeros((200, 200), dtype=np.bool_)
    hole[64:128, 128:192] = True
    np.testing.assert_array_equal(valid, ~hole)


@given(data=st.data(), nodata=st.sampled_from([None, 5.0]))
def test_bands_of_two_rasters_follow_each_other_where_both_have_observations(
    data: st.DataObject, nodata: float | None, tmp_path: Path
) -> None:
    one = write(tmp_path / 'a.tif', noise((3, 150, 330)), blocks=(64, 32), nodata=3)
    flipped = noise((2, 150, 330))[:, ::-1]
    flipped[:, :, 256:] = 3
    other = write(tmp_path / 'b.tif', flipped, blocks=(128, 64), nodata=3)
    stored = np.ones((2, 6), dtype=np.bool_)
    stored[0, 1] = False
    source = CellSource(
        opener=partial(open_reader, other), bands=(2,), nodata=nodata, block_shape=(128, 64),
        stored=stored,
    )  # fmt: skip
    with (
        cell_reader(one, bands=(3, 1), threads=2, others=[source]) as reader,
        open_reader(one) as src,
        open_reader(other) as later,
    ):
        for window in data.draw(st.lists(windows(height=150, width=330), min_size=1, max_size=4)):
            reader.request(window)
            out = np.empty((3, window.height, window.width), dtype=np.uint8)
            valid = reader.take(window, out)
            whole = Window(row_off=0, col_off=0, height=150, width=330)
            expected = read_valid(src, whole, bands=(3, 1))
            expected &= read_valid(later, whole, bands=(2,), nodata=nodata)
            expected[:128, 64:128] = False
            rows, cols, inside = padded_window(window, height=150, width=330)
            expected = expected[inside.row_off :, inside.col_off :][rows[:, None], cols]
            found = np.ones_like(expected) if valid is None else valid
            np.testing.assert_array_equal(found, expected)
            pixels = np.concatenate(
                [read_window(src, window, bands=(3, 1)), read_window(later, window, bands=(2,))]
            )
            np.testing.assert_array_equal(out[:, found], pixels[:, found])


def test_each_thread_opens_each_raster_once_and_what_no_pixel_needs_is_not_read(
    tmp_path: Path,
) -> None:
    one = write(tmp_path / 'a.tif', noise((1, 600, 600)), blocks=(256, 256))
    half = noise((1, 600, 600))
    half[:, :, 256:] = 9
    other = write(tmp_path / 'b.tif', half, blocks=(256, 256), nodata=9)
    opened: Counter[Path] = Counter()
    decoded: Counter[tuple[int, int]] = Counter()

    @contextmanager
    def opener(path: Path) -> Iterator[Any]:
        with open_reader(path) as src:
            opened[path] += 1
            yield Counting(src, decoded if path == one else Counter())

    source = CellSource(opener=partial(opener, other), bands=(1,), block_shape=(256, 256))
    window = Window(row_off=0, col_off=0, height=600, width=600)
    header = read_header(one)
    first = CellSource(opener=partial(opener, one), bands=(1,), block_shape=header.block_shape)
    sources, cells = [first, source], plan_cells(header)
    with CellReader(sources, cells, dtype=np.dtype('uint8')) as reader:
        reader.request(window)
        valid = reader.take(window, np.empty((2, 600, 600), dtype=np.uint8))
    assert valid is not None
    assert not valid[:, 256:].any()
    assert opened == {one: 1, other: 1}
    assert set(decoded) == {(0, 0), (1, 0), (2, 0)}
