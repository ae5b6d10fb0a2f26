"""What can be said of tiles from their paths and headers alone."""

import os
from collections.abc import Iterable, Sequence
from math import cos, radians, sqrt
from pathlib import Path

import numpy as np

from ..geoio.reading import RasterHeader
from ..records import Window

SUFFIXES = ('.tif', '.tiff', '.vrt')

# Mean radius of the Earth, 6371008.8 m (https://doi.org/10.1007/s001900050278), times pi / 180
METRES_PER_DEGREE = 111195.08

# A query this close to the pixel grid, in pixels, is on it: float64 coordinates of 1e7 m at 0.1 m
# per pixel are exact to 1e-8 pixels.
ALIGNED = 1e-6

type Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def find_rasters(paths: Paths) -> list[str]:
    """List raster files in sorted order without repeats.

    Args:
        paths: Files, folders (searched recursively) or names that only GDAL understands.

    Raises:
        FileNotFoundError: If a path does not exist, or a folder holds no raster.
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else paths
    found: set[str] = set()
    for path in [os.fspath(path) for path in given]:
        if '://' in path or path.startswith('/vsi') or Path(path).is_file():
            found.add(path)
            continue
        if not Path(path).exists():
            raise FileNotFoundError(f'no file or folder {path}; check the path')
        inside = [str(file) for file in Path(path).rglob('*') if file.suffix.lower() in SUFFIXES]
        if not inside:
            raise FileNotFoundError(
                f'no raster ({", ".join(SUFFIXES)}) in {path}; name a folder that holds some'
            )
        found.update(inside)
    if not found:
        raise FileNotFoundError('no raster given; name at least one file or folder')
    return sorted(found)


def band_names(header: RasterHeader) -> tuple[str, ...]:
    """Name the bands by their descriptions, or band_1, band_2, ... where those do not tell."""
    numbered = tuple(f'band_{band}' for band in range(1, header.count + 1))
    names = tuple(
        name or number for name, number in zip(header.descriptions, numbered, strict=True)
    )
    return names if len(set(names)) == len(names) else numbered


def choose_bands(
    header: RasterHeader, bands: Sequence[int | str] | None, *, file: str
) -> list[int]:
    """Turn band indices and names into 1-based indices.

    Args:
        header: Of the file that names the bands.
        bands: 1-based indices or names; None means all but alpha.
        file: Named in errors.

    Raises:
        ValueError: If a band does not exist, or none is left.
    """
    names = band_names(header)
    if bands is None:
        chosen = [band for band in range(1, header.count + 1) if band not in header.alpha]
    else:
        chosen = [names.index(band) + 1 if band in names else band for band in bands]  # type: ignore[misc]
    missing = [
        band for band in chosen if not isinstance(band, int) or not 1 <= band <= header.count
    ]
    if missing or not chosen:
        raise ValueError(
            f'bands must be in [1, {header.count}] or named {", ".join(names)}, '
            f'got {missing or chosen} for {file}'
        )
    return chosen


def check_tile(file: str, header: RasterHeader) -> None:
    """Refuse tiles that have no place on an upright grid.

    Raises:
        ValueError: If the file has no CRS, or its grid is rotated or sheared.
    """
    if header.crs is None:
        raise ValueError(f'{file} has no CRS; assign one, for example with rio edit-info --crs')
    if header.transform.b != 0 or header.transform.d != 0:
        raise ValueError(f'{file} has a rotated grid; warp it first, for example with rio warp')


def check_bands(
    file: str, header: RasterHeader, first: RasterHeader, chosen: Sequence[int]
) -> None:
    """Refuse tiles whose bands are not those of the first one.

    Raises:
        ValueError: If a chosen band is missing, or has another name than in the first tile.
    """
    if header.count < max(chosen):
        raise ValueError(f'{file} has {header.count} bands, band {max(chosen)} is wanted')
    for band in chosen:
        here, there = header.descriptions[band - 1], first.descriptions[band - 1]
        if here and there and here != there:
            raise ValueError(
                f'{file} calls band {band} {here!r}, the first file {there!r}; '
                f'bring all files into one band order'
            )


def is_north_up(header: RasterHeader) -> bool:
    """Whether rows go south and columns go east."""
    return bool(header.transform.a > 0 > header.transform.e)


def ground_resolution(header: RasterHeader) -> float:
    """Measure the side of a pixel on the ground.

    Args:
        header: Of a tile with a CRS.

    Returns:
        Metres per pixel: the geometric mean of both sides, for degrees at the tile's centre.
    """
    width, height = abs(header.transform.a), abs(header.transform.e)
    if header.crs is not None and header.crs.is_geographic:
        latitude = header.transform.f + header.transform.e * header.height / 2
        return sqrt(width * height * cos(radians(latitude))) * METRES_PER_DEGREE
    metres = 1.0 if header.crs is None else float(header.crs.linear_units_factor[1])
    return sqrt(width * height) * metres


def whole_pixels(header: RasterHeader, x: slice, y: slice) -> Window | None:
    """Find the window that a query means, if it lies on the grid and inside the tile.

    Args:
        header: Of a north-up tile in the CRS of the query.
        x: Left, right and pixel width.
        y: Bottom, top and pixel height.
    """
    transform = header.transform
    sides = np.array([x.step / transform.a, y.step / -transform.e])
    edges = np.array(
        [
            (x.start - transform.c) / transform.a,
            (x.stop - transform.c) / transform.a,
            (y.stop - transform.f) / transform.e,
            (y.start - transform.f) / transform.e,
        ]
    )
    whole = np.rint(edges)
    if np.abs(sides - 1).max() > ALIGNED / max(header.width, header.height):
        return None
    if np.abs(edges - whole).max() > ALIGNED:
        return None
    left, right, top, bottom = whole.astype(int).tolist()
    if not (0 <= left < right <= header.width and 0 <= top < bottom <= header.height):
        return None
    return Window(row_off=top, col_off=left, height=bottom - top, width=right - left)


def fill_slice(given: slice, whole: slice) -> slice:
    """Replace what *given* leaves open by *whole*."""
    return slice(
        whole.start if given.start is None else given.start,
        whole.stop if given.stop is None else given.stop,
        whole.step if given.step is None else given.step,
    )
