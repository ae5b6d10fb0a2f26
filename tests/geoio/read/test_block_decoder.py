"""Pixels are those of GTiff, whichever driver decodes them."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window as RasterioWindow

from gersp_geo.geoio.read import block_decoder
from gersp_geo.geoio.read.block_decoder import open_decoder
from gersp_geo.geoio.read.cells import CellSource, plan_cells
from gersp_geo.geoio.read.observations import read_observed
from gersp_geo.geoio.read.reader import UnreadableFileError, open_reader, read_header
from gersp_geo.windows import Window

pytestmark = pytest.mark.filterwarnings(
    f'ignore::{NotGeoreferencedWarning.__module__}.NotGeoreferencedWarning'
)
WHOLE = Window(row_off=0, col_off=0, height=70, width=90)
PLACE = Affine(2, 0, 500000, 0, -2, 5000000)
TILES: dict[str, Any] = {'tiled': True, 'blockxsize': 32, 'blockysize': 16}


def write(path: Path, *, count: int = 3, dtype: str = 'uint8', **options: Any) -> Path:
    pixels = np.random.default_rng(3).integers(0, 100, (count, WHOLE.height, WHOLE.width))
    options = {'transform': PLACE, 'crs': 'EPSG:32633'} | options
    with rasterio.open(
        path, 'w', driver='GTiff', height=WHOLE.height, width=WHOLE.width, count=count, dtype=dtype,
        **options,
    ) as dst:  # fmt: skip
        # the rest is left out of a sparse file
        dst.write(pixels.astype(dtype)[:, :40], window=RasterioWindow(0, 0, WHOLE.width, 40))
    return path


def decode(path: Path | str, window: Window = WHOLE) -> NDArray[np.generic] | None:
    header = read_header(path)
    with open_decoder(str(path), header) as decoder:
        return decoder.read(window, bands=range(1, header.count + 1))


def by_gtiff(path: Path | str) -> NDArray[Any]:
    with rasterio.open(path, driver='GTiff') as src:
        pixels: NDArray[Any] = src.read()
    return pixels


LAYOUTS = st.fixed_dictionaries(
    {
        'count': st.integers(1, 5),
        'dtype': st.sampled_from(
            [
                'uint8',
                'int8',
                'uint16',
                'int16',
                'uint32',
                'int64',
                'float32',
                'float64',
                'complex64',
            ]
        ),
        'interleave': st.sampled_from(['pixel', 'band']),
    },
    optional={
        'tiled': st.just(True),
        'compress': st.sampled_from(['deflate', 'zstd', 'lzw', 'packbits', 'lerc', 'jpeg']),
        'predictor': st.sampled_from([2, 3]),
        'nodata': st.sampled_from([0, 7, float('nan'), -9999]),
        'sparse_ok': st.just(True),
        'bigtiff': st.just('YES'),
        'endianness': st.just('BIG'),
        'nbits': st.sampled_from([1, 4, 12, 16]),
        'photometric': st.sampled_from(['RGB', 'YCBCR', 'CMYK', 'MINISWHITE', 'PALETTE']),
        'alpha': st.just('YES'),
    },
)


@given(layout=LAYOUTS, top=st.integers(0, 69), left=st.integers(0, 89), side=st.integers(1, 90))
def test_any_layout_has_the_pixels_of_gtiff(
    layout: dict[str, Any], top: int, left: int, side: int, tmp_path: Path
) -> None:
    blocks: dict[str, Any] = (
        {'blockxsize': 32, 'blockysize': 16} if layout.get('tiled') else {'blockysize': 8}
    )
    try:
        path = write(tmp_path / 'a.tif', **layout, **blocks)
    except (RasterioError, ValueError):
        # not every layout exists
        assume(False)
    height, width = min(side, WHOLE.height - top), min(side, WHOLE.width - left)
    found = decode(path, Window(row_off=top, col_off=left, height=height, width=width))
    if found is not None:
        expected = by_gtiff(path)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected[:, top : top + height, left : left + width])


@pytest.mark.parametrize('options', [
    {}, {'compress': 'zstd', 'predictor': 2}, {'compress': 'deflate', 'nodata': 5},
    {'compress': 'lzw', 'interleave': 'band'}, {'dtype': 'float32', 'predictor': 3, 'compress': 'zstd'},
    {'dtype': 'uint16', 'count': 5, 'bigtiff': 'YES'}, {'tiled': False, 'compress': 'deflate', 'blockysize': 14},
], ids=str)  # fmt: skip
def test_the_usual_layouts_are_decoded(options: dict[str, Any], tmp_path: Path) -> None:
    path = write(tmp_path / 'a.tif', **(TILES | {'interleave': 'pixel'} | options))
    np.testing.assert_array_equal(decode(path), by_gtiff(path))


def mask(path: Path) -> None:
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, 'r+') as dst:
        dst.write_mask(np.eye(WHOLE.height, WHOLE.width) == 0)


def overviews(path: Path) -> None:
    with rasterio.Env(TIFF_USE_OVR=True), rasterio.open(path, 'r+') as dst:
        dst.build_overviews([2], rasterio.enums.Resampling.average)


def metadata(path: Path) -> None:
    Path(f'{path}.aux.xml').write_text(
        '<PAMDataset><SRS>EPSG:32632</SRS>'
        + ''.join(
            f'<PAMRasterBand band="{band}"><NoDataValue>9</NoDataValue></PAMRasterBand>'
            for band in (1, 2, 3)
        )
        + '</PAMDataset>'
    )


def place(path: Path) -> None:
    path.with_suffix('.tfw').write_text('5\n0\n0\n-5\n1000\n2000\n')


@pytest.mark.parametrize(('ending', 'add', 'is_decoded'), [
    ('.msk', mask, False), ('.ovr', overviews, True), ('.aux.xml', metadata, False),
    ('.tfw', place, False),
])  # fmt: skip
def test_what_lies_beside_a_file_is_heeded(
    ending: str, add: Any, is_decoded: bool, tmp_path: Path
) -> None:
    own: dict[str, Any] = {} if ending != '.tfw' else {'transform': None, 'crs': None}
    path = write(tmp_path / 'a.tif', **TILES, **own)
    add(path)
    assert (path.with_suffix(ending) if ending == '.tfw' else Path(f'{path}{ending}')).exists()
    header = read_header(path)
    source = CellSource(opener=lambda: open_reader(path), bands=(1, 2, 3), block_shape=(16, 32))
    with source.open(plan_cells(header)) as file, open_reader(path) as src:
        assert file[1].is_in_use == is_decoded
        pixels, valid = source.read(file, WHOLE)
        expected, shown = read_observed(src, WHOLE, bands=(1, 2, 3))
    np.testing.assert_array_equal(pixels, expected)
    np.testing.assert_equal(valid, shown)
    if ending == '.aux.xml':
        assert header.nodata == 9
    if ending == '.tfw':
        assert header.transform.a == 5


def damaged(path: Path, **options: Any) -> tuple[Path, Window, Window]:
    """Write a file, and spoil its second block; returns that and the first one too."""
    write(path, **TILES, **options)
    with rasterio.open(path) as src:
        offset = int(src.get_tag_item('BLOCK_OFFSET_1_0', 'TIFF', bidx=1))
    content = bytearray(path.read_bytes())
    content[offset + 2 : offset + 40] = b'\x55' * 38
    path.write_bytes(content)
    first = Window(row_off=0, col_off=0, height=16, width=32)
    return path, first, Window(row_off=0, col_off=32, height=16, width=32)


@pytest.mark.parametrize('compress', ['deflate', 'zstd', 'lzw'])
def test_damage_is_told_as_by_gtiff_and_harms_no_other_block(compress: str, tmp_path: Path) -> None:
    path, first, spoilt = damaged(tmp_path / 'a.tif', compress=compress)
    header = read_header(path)
    source = CellSource(opener=lambda: open_reader(path), bands=(1, 2, 3), block_shape=(16, 32))
    with source.open(plan_cells(header)) as file, open_reader(path) as src:
        assert file[1].is_in_use
        expected, _ = source.read(file, first)
        with pytest.raises(UnreadableFileError, match=r'a\.tif cannot be read at rows') as told:
            source.read(file, spoilt)
        with pytest.raises(UnreadableFileError) as alone:
            read_observed(src, spoilt, bands=(1, 2, 3))
        # the decoder would take what is left of the failure for the first block
        again, _ = source.read(file, first)
    assert str(told.value) == str(alone.value)
    np.testing.assert_array_equal(again, expected)


def test_gdal_without_the_driver_reads_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_decoder, 'DRIVER', 'NEVER')
    assert decode(write(tmp_path / 'a.tif', **TILES)) is None


def test_bits_in_reverse_and_files_elsewhere_are_left_to_gtiff(tmp_path: Path) -> None:
    numbers = [
        (256, 4, 90), (257, 4, 1), (258, 3, 8), (259, 3, 1), (262, 3, 1), (266, 3, 2), (273, 4, 8),
        (277, 3, 1), (278, 4, 1), (279, 4, 90),
    ]  # fmt: skip
    entries = b''.join(struct.pack('<HHII', tag, kind, 1, value) for tag, kind, value in numbers)
    path = tmp_path / 'reversed.tif'
    head = b'II*\0' + struct.pack('<I', 8 + 90) + bytes(range(90))
    path.write_bytes(head + struct.pack('<H', len(numbers)) + entries + bytes(4))
    assert by_gtiff(path)[0, 0, 1] == 128
    assert decode(path) is None
    plain = write(tmp_path / 'a.tif', **TILES)
    assert decode(f'GTIFF_DIR:1:{plain}') is None
    with rasterio.MemoryFile(plain.read_bytes()) as memory:
        assert decode(memory.name) is None
