"""What the rows of a map hold: observations, and pixels and areas of classes."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from ...geoio.pixel_area import pixel_areas_m2
from ...geoio.read import RasterHeader
from ..resume.entries import Counts
from .map_rows import Pieces
from .output import Settled, count

# Classes that are quicker compared with every pixel one by one than looked up.
_FEW = 10

# Pixels that are looked at together: few enough for the cache of a core.
_CACHED = 2**18


def count_pixels(
    header: RasterHeader, settled: Sequence[Settled[Pieces]], *, classes: int
) -> Counts:
    """Count what some rows hold: classes, and their areas by that of a pixel of each row.

    Args:
        header: Of the scene.
        settled: The rows.
        classes: Number of classes; 0 for maps of something else.

    Returns:
        The counts.
    """
    pixels = np.zeros(classes, dtype=np.int64)
    areas: NDArray[np.float64] | None = np.zeros(classes)
    for rows in settled if classes else ():
        if not rows.height:
            continue
        of_pixel = pixel_areas_m2(header, rows.row_off, rows.row_off + rows.height)
        for bounds, area in _alike(of_pixel, rows.height):
            some = [_count_classes(piece.maps[0][:, bounds], classes) for piece in rows.content]
            found = sum(some, np.zeros_like(pixels))
            pixels += found
            areas = None if areas is None or area is None else areas + found * area
    return replace(
        count(settled),
        class_pixels=tuple(pixels.tolist()),
        class_areas_m2=() if areas is None else tuple(areas.tolist()),
    )


def _alike(
    of_pixel: NDArray[np.float64] | None, height: int
) -> Iterator[tuple[slice, float | None]]:
    """Group rows whose pixels have one area: all in a plane, each by itself on an ellipsoid."""
    if of_pixel is None or (of_pixel == of_pixel[0]).all():
        yield slice(None), None if of_pixel is None else float(of_pixel[0])
    else:
        for row in range(height):
            yield slice(row, row + 1), float(of_pixel[row])


def _count_classes(pixels: NDArray[np.generic], classes: int) -> NDArray[np.int64]:
    """Count the pixels of each class; nodata is none."""
    values = pixels.ravel()
    if classes <= _FEW:
        pieces = [values[start : start + _CACHED] for start in range(0, len(values), _CACHED)]
        counts = [
            [np.count_nonzero(some == number) for number in range(classes)] for some in pieces
        ]
        return np.array(counts, dtype=np.int64).reshape(-1, classes).sum(axis=0)
    narrow = values if values.dtype == np.uint8 else values.astype(np.int32)
    # twice as fast as NumPy's, which converts to 64 bits first
    counted = torch.bincount(torch.from_numpy(narrow), minlength=classes)[:classes]
    found: NDArray[np.int64] = counted.numpy()
    return found
