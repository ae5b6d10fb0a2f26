"""The grid of an image that lies by ground control points or rational polynomials."""

import math

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.transform import from_origin

from ..grids import place_points
from .rectifier import Rectifier

# lines of samples along each side of an image, by which a grid is chosen and checked
_SAMPLES = 33

# Pixels of a grid per pixel of an image: one that lies askew fills a small part of it.
_MOST_TIMES = 100

# share of the samples that may lie the other way round, or come back elsewhere
_ODD = 0.05

# share of the larger side by which a sample may miss its place when it comes back
_CLOSE = 0.01


def choose_rectified_grid(
    rectifier: Rectifier, *, height: int, width: int
) -> tuple[Affine, tuple[int, int]]:
    """Choose a grid, north-up with square pixels, that covers an image and keeps its detail.

    Args:
        rectifier: Says where its pixels lie.
        height: Rows of the image.
        width: Columns of the image.

    Returns:
        Transform; rows and columns. Of an image across 180 degrees, longitudes go on beyond 180.

    Raises:
        ValueError: If the image cannot lie where its points or polynomials say.
    """
    cols, rows = np.meshgrid(np.linspace(0, width, _SAMPLES), np.linspace(0, height, _SAMPLES))
    places = np.stack(rectifier.to_ground(cols.ravel(), rows.ravel()), axis=1)
    if not np.isfinite(places).all():
        # the CRS reaches all points, as was checked before
        raise (
            _contradicted(rectifier)
            if rectifier.points
            else ValueError(
                f'{rectifier.name} cannot be expressed in {rectifier.crs}, which does not reach '
                'all of it; choose a CRS that does'
            )
        )
    side = _pixel_side(rectifier, places, height=height, width=width)
    _check_return(rectifier, places, cols.ravel(), rows.ravel(), side=max(height, width))
    left, bottom = places.min(axis=0).tolist()
    right, top = places.max(axis=0).tolist()
    across, along = (max(1, math.ceil(ground / side)) for ground in (right - left, top - bottom))
    if across * along > _MOST_TIMES * height * width:
        raise ValueError(
            f'{rectifier.name} of {height:,} x {width:,} px would become {along:,} x {across:,} in '
            f'{rectifier.crs}: its ground control points or polynomials, or the CRS, are those of '
            'another place; choose a CRS that reaches there'
        )
    return from_origin(left, top, side, side), (along, across)


def rectified_scales(
    rectifier: Rectifier, transform: Affine, *, height: int, width: int
) -> tuple[float, float]:
    """Measure how many pixels of a grid a pixel of an image makes, in its middle.

    Args:
        rectifier: Says where pixels of the image lie.
        transform: Transform of the grid.
        height: Rows of the image.
        width: Columns of the image.

    Returns:
        Pixels along its rows and along its columns.
    """
    cols, rows = width / 2 + np.array([0.0, 1.0, 0.0]), height / 2 + np.array([0.0, 0.0, 1.0])
    places = place_points(~transform, np.stack(rectifier.to_ground(cols, rows), axis=1))
    x_scale, y_scale = np.linalg.norm(places[1:] - places[0], axis=1).tolist()
    is_known = 0 < x_scale < math.inf and 0 < y_scale < math.inf
    return (x_scale, y_scale) if is_known else (1.0, 1.0)


def _pixel_side(
    rectifier: Rectifier, places: NDArray[np.float64], *, height: int, width: int
) -> float:
    """Measure the side of a square as large as a pixel."""
    x, y = places.T.reshape(2, _SAMPLES, _SAMPLES)
    right = np.diff(x, axis=1)[:-1], np.diff(y, axis=1)[:-1]
    down = np.diff(x, axis=0)[:, :-1], np.diff(y, axis=0)[:, :-1]
    areas = right[0] * down[1] - down[0] * right[1]
    middle = float(np.median(areas))
    if not middle or (areas * np.sign(middle) <= 0).mean() > _ODD:
        raise _contradicted(rectifier)
    return math.sqrt(abs(middle) * (_SAMPLES - 1) ** 2 / (height * width))


def _check_return(
    rectifier: Rectifier,
    places: NDArray[np.float64],
    cols: NDArray[np.float64],
    rows: NDArray[np.float64],
    *,
    side: int,
) -> None:
    """Refuse what does not come back from the ground to where it came from."""
    back_cols, back_rows = rectifier.to_image(*places.T)
    missed = np.hypot(back_cols - cols, back_rows - rows)
    lost = float((~(missed <= max(1.0, _CLOSE * side))).mean())
    if lost > _ODD:
        raise ValueError(
            f'{rectifier.name} has ground control points or polynomials by which {100 * lost:.0f} '
            '% of its pixels lie in two places; correct them, or make a grid of it first with '
            'gdalwarp'
        )


def _contradicted(rectifier: Rectifier) -> ValueError:
    """Say that no image can lie so."""
    return ValueError(
        f'{rectifier.name} has ground control points that contradict each other or lie on a line; '
        'correct them'
    )
