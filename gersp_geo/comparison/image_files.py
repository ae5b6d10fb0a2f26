"""Whole images of one kind, read as stored and resized to one square."""

import os
from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional as F

from ..bands import RGB
from ..datasets.decoding import decode_any, refuse_deep
from ..datasets.hidden import list_files
from ..datasets.named_bands import (
    BandNames,
    band_names,
    check_bands,
    choose_bands,
    left_out,
    warn_of_data,
)
from ..datasets.raster_files import check_reals, open_headers
from ..geoio.formats import IMAGE_SUFFIXES, SCENE_SUFFIXES
from ..geoio.read import UnreadableFileError, open_reader, read_valid, read_window
from ..windows import Window

# A pixel between observed and missing ones is observed if so much of its weight is
LEAST_SEEN = 0.5


class ImageFiles:
    """Images below a folder, in sorted order."""

    files: list[str]
    """Paths."""

    names: list[str]
    """Paths inside the folder, with / between their parts."""

    bands: tuple[str, ...]
    """Names of the bands that are read, in this order."""

    dtype: str
    """NumPy type of the values as stored."""

    def __init__(
        self, folder: str | PathLike[str], *, bands: Sequence[int | str] | None = None
    ) -> None:
        """Initialize a new ImageFiles instance; headers of rasters are read.

        Args:
            folder: Searched at any depth, without what is hidden.
            bands: Of rasters, 1-based or by name; None takes all but alpha.

        Raises:
            FileNotFoundError: If there is no such folder, or no image in it.
            UnreadableFileError: If a raster cannot be read.
            ValueError: If there are both pictures and rasters, or rasters of several kinds.
        """
        root = Path(folder)
        if not root.is_dir():
            raise FileNotFoundError(f'no folder {root}; give one with a sub-folder per class')
        visible = sorted(list_files(root))
        pictures, rasters = (
            [str(file) for file in visible if file.suffix.lower() in suffixes]
            for suffixes in (IMAGE_SUFFIXES, SCENE_SUFFIXES)
        )
        if pictures and rasters:
            raise ValueError(
                f'{root} holds {len(pictures)} pictures, one is {pictures[0]}, and '
                f'{len(rasters)} rasters, one is {rasters[0]}; leave one kind in the folder'
            )
        if not pictures and not rasters:
            known = ', '.join((*IMAGE_SUFFIXES, *SCENE_SUFFIXES))
            raise FileNotFoundError(f'no image ({known}) in {root}')
        self.files = pictures or rasters
        # a tenth of the time of relative_to
        start = len(os.path.join(root, '')) if root != Path() else 0
        self.names = [file[start:].replace(os.sep, '/') for file in self.files]
        self._chosen: list[int] | None = None
        if rasters:
            self._open(bands)
        elif bands is not None:
            raise ValueError(f'bands are for rasters, got {list(bands)} for {pictures[0]}')
        else:
            self.bands, self.dtype = RGB.bands, 'uint8'

    def _open(self, bands: Sequence[int | str] | None) -> None:
        """Read the headers of rasters, and refuse those that do not fit the first one."""
        _, headers = open_headers(self.files, on_error='raise')
        first = headers[0]
        chosen = choose_bands(first, bands, file=self.files[0])
        names = band_names(first)
        self.bands = tuple(names[band - 1] for band in chosen)
        self.dtype, self._chosen = first.dtype, chosen
        known: list[BandNames] = []
        for file, header in zip(self.files, headers, strict=True):
            check_bands(file, header, chosen, known)
            if header.dtype != first.dtype or (bands is None and header.count != first.count):
                raise ValueError(
                    f'{file} has {header.count} bands of {header.dtype}, {self.files[0]} has '
                    f'{first.count} of {first.dtype}; give images of one sensor'
                )
        check_reals(self.files, headers)
        if left_out(headers, chosen):
            warn_of_data(self.files, headers, chosen)

    def read(self, index: int, *, size: int | None = None) -> Tensor:
        """Read one image: float32 values as stored, NaN where there is no observation.

        Args:
            index: Into :attr:`files`.
            size: Side of the result, to which the whole image is resized; None leaves it.

        Returns:
            Shape (C, *size*, *size*), or (C, H, W).

        Raises:
            UnreadableFileError: If the file cannot be read.
            ValueError: If it is a picture of more than 8 bits.
        """
        file = self.files[index]
        values = read_picture(file) if self._chosen is None else read_raster(file, self._chosen)
        return values if size is None else resize_whole(values, size=size)


def read_picture(file: str) -> Tensor:
    """Read a picture upright as red, green and blue; NaN where it is fully transparent."""
    try:
        with Image.open(file) as image:
            refuse_deep(image, file)
            alpha = None
            if image.has_transparency_data:
                alpha = np.array(ImageOps.exif_transpose(image).convert('RGBA').getchannel('A'))
            pixels = decode_any(image)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        message = f'{fspath(file)} cannot be read as an image: {error}'
        raise UnreadableFileError(fspath(file), message) from error
    values = torch.from_numpy(pixels).permute(2, 0, 1).float()
    return values if alpha is None else values.masked_fill(torch.from_numpy(alpha == 0), torch.nan)


def read_raster(file: str, bands: Sequence[int]) -> Tensor:
    """Read bands of a raster; NaN where its mask, alpha, nodata or the value says so."""
    with open_reader(file) as src:
        whole = Window(row_off=0, col_off=0, height=src.height, width=src.width)
        values = torch.from_numpy(read_window(src, whole, bands=bands).astype(np.float32))
        valid = torch.from_numpy(read_valid(src, whole, bands=bands))
    return values.masked_fill(~(valid & values.isfinite()), torch.nan)


def resize_whole(values: Tensor, *, size: int) -> Tensor:
    """Resize a whole image to a square, bilinearly and without antialiasing.

    That is the definition of torchgeo-bench 0.4. Missing pixels take no part: one between observed
    and missing ones is of those observed, or missing where these have less than half its weight.

    Args:
        values: Shape (C, H, W), floating point, NaN where there is no observation.
        size: Side of the result.

    Returns:
        Shape (C, *size*, *size*); *values* themselves where they have this size.
    """
    if tuple(values.shape[1:]) == (size, size):
        return values
    seen = values.isfinite()
    if seen.all():
        return _interpolate(values, size)
    weights = _interpolate(seen.to(values.dtype), size)
    mixed = _interpolate(values.where(seen, 0), size) / weights
    return mixed.where(weights >= LEAST_SEEN, torch.nan)


def _interpolate(values: Tensor, size: int) -> Tensor:
    """Resize (C, H, W) bilinearly, pixels being areas."""
    return F.interpolate(values[None], size=(size, size), mode='bilinear', align_corners=False)[0]
