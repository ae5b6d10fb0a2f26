"""Local files that end before their content does, such as those of an interrupted download."""

from io import SEEK_CUR, SEEK_END
from os import PathLike, fspath
from pathlib import Path
from typing import BinaryIO

import numpy as np
from rasterio.errors import RasterioIOError
from rasterio.windows import Window

from .reader import Reader, UnreadableFileError, list_files, open_reader
from .sidecars import is_local
from .tiff_directories import (
    COUNTS,
    OFFSETS,
    REDUCED,
    SIGNATURES,
    Directory,
    TruncatedTableError,
    read_directories,
)

_PNG = b'\x89PNG\r\n\x1a\n'

# entries of a table looked at together, to bound memory
_ENTRIES = 2**20


def check_whole(path: str | PathLike[str]) -> None:
    """Refuse a raster of which a file was cut off: its own, its mask, or one that a VRT refers to.

    So is a VRT that refers to a file that does not exist, of which GDAL says nothing before its
    pixels are read.

    GDAL takes for absent what it cannot read of a TIFF's header: the CRS, masks, and blocks, as if
    they had never been stored. Of PNG and ENVI files, it makes up pixels that are missing. Headers
    and tables are read here, no pixels but one block where a table points beyond the end of a file.
    It takes about a millisecond per 100,000 blocks. Only TIFF, PNG and ENVI files are looked at;
    other formats fail when they are read. So do files that are not on a local disk.

    Args:
        path: A file, or any name that GDAL understands.

    Raises:
        FileNotFoundError: If there is no such file.
        UnreadableFileError: If a file is cut off or missing, or GDAL cannot read it.
    """
    for file in list_files(path):
        if not is_local(file):
            continue
        if not Path(file).exists():
            raise UnreadableFileError(
                file, f'{fspath(path)} refers to {file}, which does not exist; put it there again'
            )
        if Path(file).is_file():
            _check_file(file)
            # GDAL leaves out a mask that it cannot open
            if Path(f'{file}.msk').is_file():
                _check_file(f'{file}.msk', is_mask=True)


def is_complete(path: Path) -> bool:
    """Say whether a TIFF holds all that it lists: its blocks, and those of masks and overviews."""
    with path.open('rb') as stream:
        size = stream.seek(0, SEEK_END)
        try:
            directories = list(read_directories(stream, size))
        except (KeyError, TruncatedTableError):
            # there is no signature, or no end of the header
            return False
        return bool(directories) and all(
            _beyond(stream, directory, size) is None for directory in directories
        )


def _check_file(file: str, *, is_mask: bool = False) -> None:
    """Look for the end of one file."""
    with Path(file).open('rb') as stream:
        start = stream.read(len(_PNG))
        size = stream.seek(0, SEEK_END)
        if start[:4] in SIGNATURES:
            _check_tiff(file, stream, size)
        elif start == _PNG:
            _check_png(file, stream, size)
        elif is_mask and len(start) < 4:
            raise _cut_off(file, size, 'its header')
        elif Path(file).with_suffix('.hdr').is_file() or Path(f'{file}.hdr').is_file():
            _check_envi(file, size)


def _check_tiff(file: str, stream: BinaryIO, size: int) -> None:
    """Read the directories of a TIFF, and the tables that say where its blocks lie."""
    try:
        directories = list(read_directories(stream, size))
    except TruncatedTableError as error:
        raise _cut_off(file, size, str(error)) from error
    for number, directory in enumerate(directories):
        # an overview has no effect unless it is read, and then its end is missed
        is_mask = bool(directory.kind) and not directory.kind & REDUCED
        if number and not is_mask:
            continue
        beyond = _beyond(stream, directory, size)
        # some writers say too large a size for the last block, which GDAL reads nevertheless
        if beyond is not None and not _is_readable(file, *beyond, is_mask=number > 0):
            raise _cut_off(
                file, size, f'block {beyond[0] + 1:,} of its {"mask" if number else "pixels"}'
            )


def _beyond(stream: BinaryIO, directory: Directory, size: int) -> tuple[int, int] | None:
    """Find the first block that does not lie within a file, from 0, and say how many there are."""
    tables = directory.table(OFFSETS), directory.table(COUNTS)
    if tables[0] is None or tables[1] is None:
        return None
    blocks = min(table.count for table in tables if table)
    for start in range(0, blocks, _ENTRIES):
        offsets, counts = (
            table.read(stream, start, _ENTRIES).astype(np.uint64) for table in tables if table
        )
        common = min(len(offsets), len(counts))
        offsets, counts = offsets[:common], counts[:common]
        # 0 is where nothing is stored
        ends = np.where((offsets > 0) & (counts > 0), np.maximum(offsets + counts, offsets), 0)
        if (found := np.flatnonzero(ends > size)).size:
            return start + int(found[0]), blocks
    return None


def _is_readable(file: str, number: int, of: int, *, is_mask: bool) -> bool:
    """Let GDAL read one *of* the blocks of a TIFF, counted from 0, or all of its mask."""
    with open_reader(file) as src:
        try:
            if is_mask:
                src.read_masks(1)
            else:
                _read_block(src, number, of=of)
        except RasterioIOError:
            return False
    return True


def _read_block(src: Reader, number: int, *, of: int) -> None:
    """Read one *of* the blocks, counted from 0: those of a band may follow those of another."""
    height, width = src.block_shapes[0]
    rows, cols = -(-src.height // height), -(-src.width // width)
    # a large strip is read as several, of which the last is the first to be missing
    band, place = divmod(number, rows * cols) if of % (rows * cols) == 0 else (0, rows * cols - 1)
    row, col = divmod(place, cols)
    window = Window(
        col * width,
        row * height,
        min(width, src.width - col * width),
        min(height, src.height - row * height),
    )
    src.read(min(band + 1, src.count), window=window)


def _check_png(file: str, stream: BinaryIO, size: int) -> None:
    """Go from chunk to chunk: https://www.w3.org/TR/png-3/#5Chunk-layout."""
    stream.seek(len(_PNG))
    while len(head := stream.read(8)) == 8:
        if head[4:] == b'IEND':
            return
        # a checksum comes after the content
        stream.seek(int.from_bytes(head[:4]) + 4, SEEK_CUR)
    raise _cut_off(file, size, 'its last chunk')


def _check_envi(file: str, size: int) -> None:
    """Compare the size of an ENVI file with what its header says; others may end in .hdr too."""
    if file.lower().endswith('.hdr'):
        return
    with open_reader(file) as src:
        if src.driver != 'ENVI' or src.tags(ns='ENVI').get('file_compression', '0').strip() != '0':
            return
        expected = src.width * src.height * sum(np.dtype(name).itemsize for name in src.dtypes)
    if size < expected:
        raise _cut_off(file, size, f'the {expected:,} bytes of its pixels')


def _cut_off(file: str, size: int, what: str) -> UnreadableFileError:
    """Word the refusal."""
    return UnreadableFileError(
        file, f'{file} is cut off: it ends at byte {size:,}, before {what}; fetch or copy it again'
    )
