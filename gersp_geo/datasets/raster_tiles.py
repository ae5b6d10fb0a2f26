"""Images that are read by number and window, with or without a place on the ground."""

import re
from collections.abc import Sequence
from dataclasses import replace
from math import pi
from pathlib import Path
from typing import Any

import numpy as np
import torch
from affine import Affine
from numpy.typing import NDArray
from torch import Tensor

from ..geoio.crs import WEB_MERCATOR
from ..geoio.read import RasterHeader, open_reader, read_valid, read_window
from ..windows import Window
from .file_pool import HandlePool
from .named_bands import band_names, check_bands, choose_bands, left_out, warn_of_data
from .raster_files import check_place, check_reals, ground_resolution, open_headers
from .scene_names import Paths, find_rasters

# a process keeps so many files open; 1024 is the usual limit of an operating system
OPEN_FILES = 256

# the radius of Web Mercator's sphere in metres: that of WGS84's equator
MERCATOR_RADIUS = 6378137.0

# what a file that no tile of a map is called by is told
HIGHEST_ZOOM = 30


class RasterTiles:
    """Images of one set of bands: each on a grid of its own, upright or rotated, or without one.

    Nothing is warped or resampled: whole pixels are read, in the data type of the file.
    """

    tiles: list[RasterHeader]
    """Header of each image."""

    chosen: list[int]
    """1-based bands that are read."""

    bands: Any
    """Their names."""

    nodata: float | None
    """Value that means "no observation", beside what the files themselves say."""

    _files: list[str]
    _readers: HandlePool[str, Any]

    def __init__(
        self,
        paths: Paths,
        *,
        bands: Sequence[int | str] | None = None,
        nodata: float | None = None,
        tile_pattern: str | None = None,
    ) -> None:
        """Initialize a new RasterTiles instance.

        Args:
            paths: As in :func:`~gersp_geo.datasets.scene_names.find_rasters`: rasters, and where a
                folder holds none, pictures such as PNG and JPEG files.
            bands: 1-based indices or names. Defaults to all but alpha.
            nodata: Value that means "no observation".
            tile_pattern: How paths of tiles of a web map end, without the suffix, such as
                '{x}-{y}-{z}' or '{z}/{x}/{y}': those that do not say where they lie get the place
                of their tile. Rows are counted from the north.

        Raises:
            FileNotFoundError: If a path does not exist, or a folder holds no image.
            UnreadableFileError: If a file cannot be read.
            ValueError: If bands do not fit, or a name does not follow *tile_pattern*.
        """
        found = find_rasters(paths)
        self._files, headers = open_headers(found, on_error='raise')
        self.tiles = [place_tile(*pair, tile_pattern) for pair in zip(found, headers, strict=True)]
        all_bands = band_names(self.tiles[0])
        self.chosen = choose_bands(self.tiles[0], bands, file=found[0])
        self.bands, self.nodata = [all_bands[band - 1] for band in self.chosen], nodata
        known: list[Any] = []
        for file, tile in zip(found, self.tiles, strict=True):
            check_place(file, tile)
            check_bands(file, tile, self.chosen, known)
        check_reals(found, self.tiles)
        warn_of_data(found, self.tiles, self.chosen)
        self._readers = HandlePool(open_reader, limit=OPEN_FILES)

    @property
    def files(self) -> list[str]:
        """Paths of the images, in the order of :attr:`tiles`."""
        return self._files

    @property
    def left_out(self) -> tuple[int, ...]:
        """1-based bands that are taken for transparency, and not read."""
        return left_out(self.tiles, self.chosen)

    @property
    def res_m(self) -> float | None:
        """Ground resolution of the first image in metres per pixel; None without a place."""
        return None if self.tiles[0].crs is None else ground_resolution(self.tiles[0])

    def may_miss(self, tile: int) -> bool:
        """Whether a tile can have pixels without observation, as far as its header tells."""
        header = self.tiles[tile]
        is_float = np.dtype(header.dtype).kind == 'f'
        return is_float or self.nodata is not None or header.masks != ('all_valid',)

    def read_patch(self, tile: int, window: Window) -> Tensor:
        """Read whole pixels of one image, in its own grid: nothing is warped or resampled.

        Args:
            tile: Index into :attr:`tiles`.
            window: Pixels to read, rows in the order of the file; what hangs over the edge is
                reflected.

        Returns:
            Shape (C, window.height, window.width), in the data type of the file.

        Raises:
            UnreadableFileError: If the file is damaged there.
        """
        src = self._readers.get(self._files[tile])
        return torch.from_numpy(read_window(src, window, bands=self.chosen))

    def read_valid(
        self, tile: int, window: Window, *, nodata: float | None = None
    ) -> NDArray[np.bool_]:
        """Say which pixels of a window of one image are observations, in the shape of the window.

        Args:
            tile: Index into :attr:`tiles`.
            window: Pixels in the grid of the file; what hangs over the edge is reflected.
            nodata: Value that means "no observation", beside what the file itself says. Defaults to
                that of all images.

        Raises:
            UnreadableFileError: If the file is damaged there.
        """
        src = self._readers.get(self._files[tile])
        nodata = self.nodata if nodata is None else nodata
        return read_valid(src, window, nodata=nodata, bands=self.chosen)


def place_tile(file: str, header: RasterHeader, pattern: str | None) -> RasterHeader:
    """Place a tile of a web map by its name, unless the file says itself where it lies.

    Raises:
        ValueError: If the name does not follow the *pattern*, or there is no such tile.
    """
    if pattern is None or header.georeference.is_place or header.crs is not None:
        return header
    numbers = re.escape(pattern)
    for key in ('x', 'y', 'z'):
        if numbers.count(rf'\{{{key}\}}') != 1:
            raise ValueError(
                f'tile_pattern must have {{x}}, {{y}} and {{z}} once each, such as '
                f"'{{x}}-{{y}}-{{z}}', got {pattern!r}"
            )
        numbers = numbers.replace(rf'\{{{key}\}}', rf'(?P<{key}>\d+)')
    name = Path(file).with_suffix('').as_posix()
    found = re.search(rf'(?<!\d){numbers}$', name)
    if found is None:
        raise ValueError(f'{file} is not named as tile_pattern={pattern!r} says; rename it')
    x, y, z = (int(found[key]) for key in ('x', 'y', 'z'))
    if z > HIGHEST_ZOOM or max(x, y) >= 2**z:
        raise ValueError(
            f'{file} would be the tile x={x}, y={y} of zoom {z}, which has x and y below '
            f'{2 ** min(z, HIGHEST_ZOOM)}; check the order in tile_pattern={pattern!r}'
        )
    side = 2 * pi * MERCATOR_RADIUS / 2**z
    half = pi * MERCATOR_RADIUS
    transform = Affine(
        side / header.width, 0, x * side - half, 0, -side / header.height, half - y * side
    )
    return replace(header, crs=WEB_MERCATOR, transform=transform)
