"""What the rows of a map hold: observations, and pixels and areas of classes."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ...geoio.pixel_area import pixel_areas_m2
from ..plan import PredictionPlan
from ..resume.journal import Counts
from ..streaming import FinishedRows


def count_pixels(plan: PredictionPlan, collected: Sequence[FinishedRows]) -> Counts:
    """Count what some rows hold: classes, and their areas by that of a pixel of each row."""
    classes = len(plan.layout.class_names) if plan.output == 'classes' else 0
    pixels = np.zeros(classes, dtype=np.int64)
    areas: NDArray[np.float64] | None = np.zeros(classes)
    for rows in collected if classes else ():
        if not rows.height:
            continue
        of_pixel = pixel_areas_m2(plan.header, rows.row_off, rows.row_off + rows.height)
        for bounds, area in _alike(of_pixel, rows.height):
            some = [_count_classes(piece.maps[0][:, bounds], classes) for piece in rows.pieces]
            found = sum(some, np.zeros_like(pixels))
            pixels += found
            areas = None if areas is None or area is None else areas + found * area
    return Counts(
        valid_pixels=sum(piece.valid_pixels for rows in collected for piece in rows.pieces),
        forwarded=sum(rows.forwarded for rows in collected),
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


def add_counts(plan: PredictionPlan, counted: Sequence[Counts]) -> Counts:
    """Sum the counts of parts up, in their order."""
    classes = len(plan.layout.class_names) if plan.output == 'classes' else 0
    places = range(classes)
    has_areas = all(len(counts.class_areas_m2) == classes for counts in counted)
    return Counts(
        valid_pixels=sum(counts.valid_pixels for counts in counted),
        forwarded=sum(counts.forwarded for counts in counted),
        class_pixels=tuple(sum(counts.class_pixels[at] for counts in counted) for at in places),
        class_areas_m2=tuple(sum(counts.class_areas_m2[at] for counts in counted) for at in places)
        if has_areas
        else (),
    )


def _count_classes(pixels: NDArray[np.generic], classes: int) -> NDArray[np.int64]:
    """Count the pixels of each class; nodata is none."""
    values = pixels.ravel()
    narrow = values if values.dtype == np.uint8 else values.astype(np.int32)
    # twice as fast as NumPy's, which converts to 64 bits first
    counts = torch.bincount(torch.from_numpy(narrow), minlength=classes)[:classes]
    found: NDArray[np.int64] = counts.numpy()
    return found
