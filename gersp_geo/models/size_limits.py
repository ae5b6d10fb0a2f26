"""Refuse a checkpoint that claims more than its file holds.

Every file is untrusted. Reading one takes memory and time in proportion to its bytes on disk, and
runs nothing; whatever would take more is refused before, or without, being read.
"""

import errno
import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

# A file system may keep a small file without data of its own; from this size on, a hole costs
# memory that the file does not have. A training checkpoint of a ResNet-50 is about as large.
LARGE_FILE = 256 * 2**20

# Records are a few hundred bytes, or a few thousand with hundreds of bands and classes.
LARGEST_JSON = 4 * 2**20

# What torch.jit.save puts into archives besides tensors
_PROGRAM = re.compile(r'[^/]+/code/.+\.py')

# What torch.load takes for a sign that the rest is an archive.
_ARCHIVE_MAGIC = b'PK\x03\x04'


def refuse_holes(path: Path) -> None:
    """Refuse a large file of which less than half is on disk.

    Holes are what nobody wrote: of sparse files, and of downloads into reserved room. Compressed
    data are no holes, so that compressing file systems do no harm.
    """
    size = path.stat().st_size
    if size < LARGE_FILE or not hasattr(os, 'SEEK_DATA'):
        return
    written = _count_written(path, size=size)
    if 2 * written < size:
        raise ValueError(
            f'{path} is {size} bytes long, of which {written} were ever written: a sparse file, or '
            'a download that did not finish'
        )


def _count_written(path: Path, *, size: int) -> int:
    """Add up the parts of a file that are no holes; all of it where the file system cannot tell."""
    written = end = 0
    with path.open('rb') as stream:
        while end < size:
            try:
                start = os.lseek(stream.fileno(), end, os.SEEK_DATA)
                end = os.lseek(stream.fileno(), start, os.SEEK_HOLE)
            except OSError as error:
                # no data after this place, or a file system without holes
                return written if error.errno == errno.ENXIO else size
            written += end - start
    return written


def refuse_bomb(path: Path) -> bool:
    """Refuse a damaged archive, and one with compressed or overlapping entries.

    It would take more room in memory than on disk.

    Returns:
        Whether what ``torch.save`` wrote is an archive; before torch 1.6 it was none.
    """
    with path.open('rb') as stream:
        looks_like_one = stream.read(len(_ARCHIVE_MAGIC)) == _ARCHIVE_MAGIC
    if not zipfile.is_zipfile(path):
        if looks_like_one:
            raise ValueError(f'{path} is a damaged archive: it has no table of contents')
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    # ValueError: a name that is no text
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
        raise ValueError(f'{path} is a damaged archive: {error}') from error
    if any(_PROGRAM.fullmatch(entry.filename) for entry in entries):
        raise ValueError(
            f'{path} is a program of TorchScript, which is not run here: save its weights with '
            'torch.save(torch.jit.load(FILE).state_dict(), OTHER)'
        )
    packed = [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
    if packed:
        raise ValueError(
            f'{path} holds compressed data ({packed[0]}), which torch.save never writes'
        )
    claimed, there = sum(entry.file_size for entry in entries), path.stat().st_size
    if claimed > there:
        raise ValueError(f'{path} claims to hold {claimed} bytes, but has {there}')
    return looks_like_one


def refuse_expanded(tensors: Mapping[str, Tensor], *, source: Path) -> None:
    """Refuse tensors that claim more values than *source* stores, or store them unusually."""
    there = source.stat().st_size
    storages: dict[int, int] = {}
    for name, tensor in tensors.items():
        usual = tensor.layout is torch.strided and tensor.device.type == 'cpu'
        if not usual or tensor.is_quantized or tensor.is_nested:
            raise ValueError(f'{source}: tensor {name} is not stored as plain values')
        stored = tensor.untyped_storage()
        claimed = tensor.numel() * tensor.element_size()
        storages[stored.data_ptr()] = stored.nbytes()
        if claimed > stored.nbytes() or sum(storages.values()) > there:
            raise ValueError(
                f'{source}: tensor {name} claims {tensor.numel()} values, '
                f'{min(stored.nbytes(), there)} bytes are stored'
            )
