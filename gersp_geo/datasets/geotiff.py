"""GeoTIFFs as a torchgeo data set that reads whole pixels where it can."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pyproj import CRS
from torch import Tensor
from torchgeo.datasets import RasterDataset
from torchgeo.datasets.utils import GeoSlice, Sample

from ..geoio.reading import RasterHeader, open_reader, read_header, read_valid, read_window
from ..records import Window
from .handles import HandlePool
from .tiles import (
    ALIGNED,
    Paths,
    band_names,
    check_bands,
    check_tile,
    choose_bands,
    fill_slice,
    find_rasters,
    ground_resolution,
    is_north_up,
    whole_pixels,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexGrid:
    """What the fast path needs to know of a torchgeo index, as plain arrays."""

    index: Any
    """The GeoDataFrame that this was made from."""

    crs: Any
    """Its coordinate reference system then."""

    bounds: NDArray[np.float64]
    """Per row of the index: left, bottom, right, top in *crs*."""

    native: NDArray[np.bool_]
    """Per row: whether the tile's pixels are north-up in *crs*."""

    extent: tuple[float, float, float, float]
    """Left, bottom, right, top of all tiles."""

    tiles: NDArray[np.int64]
    """Per row of the index: the number of its tile."""

    times: slice
    """First and last time stamp."""


class GeoTIFFPatches(RasterDataset):
    """GeoTIFFs and VRTs, indexed by place (torchgeo's way) or by tile and window.

    Unlike :class:`torchgeo.datasets.RasterDataset`, no file is ever skipped, and a query that
    lies on the pixel grid of one file is read from it directly, without merging and warping.
    """

    def __init__(
        self,
        paths: Paths,
        *,
        crs: CRS | None = None,
        res: float | tuple[float, float] | None = None,
        bands: Sequence[int | str] | None = None,
        transforms: Callable[[Sample], Sample] | None = None,
        cache: bool = True,
        raw: bool = False,
    ) -> None:
        """Initialize a new GeoTIFFPatches instance.

        Args:
            paths: Files, or folders that are searched recursively for *.tif, *.tiff and *.vrt.
            crs: Coordinate reference system of queries. Defaults to that of the first file.
            res: Ground resolution of queries in units of *crs*. Defaults to the first file's.
            bands: 1-based band indices or band names, in the order wanted. Defaults to all but
                alpha.
            transforms: Applied to each sample.
            cache: Keep files open between queries.
            raw: Keep the data type of the files instead of converting to float32. Where a query
                has to be resampled, integers then take the nearest pixel.

        Raises:
            FileNotFoundError: If a path does not exist, or a folder holds no raster.
            ValueError: If a file cannot be read, has no CRS or a rotated grid, or its bands or
                data type do not fit; the message names it.
        """
        self._files = find_rasters(paths)
        self.tiles: tuple[RasterHeader, ...] = tuple(map(read_header, self._files))
        self._chosen = choose_bands(self.tiles[0], bands, file=self._files[0])
        self.all_bands = band_names(self.tiles[0])
        for file, header in zip(self._files, self.tiles, strict=True):
            check_tile(file, header)
            check_bands(file, header, self.tiles[0], self._chosen)
            if raw and header.dtype != self.tiles[0].dtype:
                raise ValueError(
                    f'raw=True needs one data type, got {self.tiles[0].dtype} and '
                    f'{header.dtype} in {file}; pass raw=False'
                )
        self.raw = raw
        self._readers: HandlePool[str, Any] = HandlePool(open_reader)
        self._warped = HandlePool(self._open_warped)
        self._grid: IndexGrid | None = None
        self._plain: dict[int, bool] = {}
        names = [self.all_bands[band - 1] for band in self._chosen]
        super().__init__(self._files, crs, res, names, transforms, cache)
        if len(self.index) != len(self._files):
            lost = sorted(set(self._files) - set(self.index['filepath']))
            raise ValueError(f'{lost[0]} could not be read')

    @property
    def files(self) -> list[str]:
        """Paths of the tiles, in the order of :attr:`tiles`."""
        return self._files

    @property
    def dtype(self) -> torch.dtype:
        """Data type of images."""
        if not self.raw:
            return torch.float32
        return torch.from_numpy(np.empty(0, dtype=self.tiles[0].dtype)).dtype

    @property
    def res_m(self) -> float:
        """Ground resolution of the first tile in metres per pixel."""
        return ground_resolution(self.tiles[0])

    def __getitem__(self, index: GeoSlice) -> Sample:
        """Read a place.

        Args:
            index: [xmin:xmax:xres, ymin:ymax:yres, tmin:tmax:tres] in units of the CRS.

        Returns:
            torchgeo's sample: 'image' of shape (C, H, W), 'bounds', 'transform'.

        Raises:
            IndexError: If no tile is there.
        """
        x, y, t = self._resolve(index)
        place = self._place(x, y)
        if place is None:
            return super().__getitem__(index)
        numbers = (x.start, x.stop, x.step, y.start, y.stop, y.step)
        times = (t.start.timestamp(), t.stop.timestamp(), t.step)
        sample: Sample = {
            'bounds': torch.tensor([*numbers, *times]),
            'transform': torch.tensor([x.step, 0, x.start, 0, -y.step, y.stop, 0, 0, 1.0]),
            'image': self.read_patch(*place).to(self.dtype),
        }
        return sample if self.transforms is None else self.transforms(sample)

    def read_patch(self, tile: int, window: Window) -> Tensor:
        """Read whole pixels of one tile, in its own grid: nothing is warped or resampled.

        Args:
            tile: Index into :attr:`tiles`.
            window: Pixels to read; what hangs over the edge is reflected.

        Returns:
            Shape (C, window.height, window.width), in the data type of the file.
        """
        src = self._readers.get(self._files[tile])
        return torch.from_numpy(read_window(src, window, bands=self._chosen))

    def read_valid(
        self, tile: int, window: Window, *, nodata: float | None = None
    ) -> NDArray[np.bool_]:
        """Say which pixels of one tile are observations.

        Args:
            tile: Index into :attr:`tiles`.
            window: As in :meth:`read_patch`.
            nodata: Value that means "no observation" where all bands have it, beside what the
                file itself says.

        Returns:
            Shape (window.height, window.width), True where there is an observation.
        """
        src = self._readers.get(self._files[tile])
        return read_valid(src, window, nodata=nodata, bands=self._chosen)

    def _cached_load_warp_file(  # type: ignore[override]  # there it is an lru_cache
        self, filepath: Any, crs: CRS
    ) -> Any:
        """Keep warped files open per process; torchgeo's own cache survives a fork."""
        return self._warped.get((str(filepath), crs))

    def _open_warped(self, key: tuple[str, CRS]) -> AbstractContextManager[Any]:
        """Open a file for the merge path; it closes once nobody holds it, a merge may hold many."""
        return nullcontext(self._load_warp_file(*key))

    def _index_grid(self) -> IndexGrid:
        """Mirror the index as arrays, again after somebody changed it or its CRS."""
        grid = self._grid
        if grid is None or grid.index is not self.index or grid.crs is not self.index.crs:
            crs = self.index.crs
            rows = {file: tile for tile, file in enumerate(self._files)}
            numbers = np.array([rows[file] for file in self.index['filepath']])
            tiles = [self.tiles[number] for number in numbers]
            left, bottom, right, top = self.index.total_bounds
            grid = IndexGrid(
                index=self.index,
                crs=crs,
                bounds=self.index.geometry.bounds.to_numpy(dtype=np.float64),
                native=np.array(
                    [is_north_up(t) and CRS.from_user_input(t.crs) == crs for t in tiles]
                ),
                tiles=numbers,
                extent=(left, bottom, right, top),
                times=slice(self.index.index.left.min(), self.index.index.right.max()),
            )
            self._grid = grid
        return grid

    def _resolve(self, index: GeoSlice) -> tuple[slice, slice, slice]:
        """Fill in what a query leaves open."""
        grid = self._index_grid()
        left, bottom, right, top = grid.extent
        whole = (
            slice(left, right, self.res[0]),
            slice(bottom, top, self.res[1]),
            slice(grid.times.start, grid.times.stop, 1),
        )
        given = (index,) if isinstance(index, slice) else index
        x, y, t = (
            fill_slice(given[i] if i < len(given) else slice(None), whole[i]) for i in range(3)
        )
        return x, y, t

    def _place(self, x: slice, y: slice) -> tuple[int, Window] | None:
        """Find the tile and whole pixels that a query means; None if they are not so simple."""
        grid = self._index_grid()
        left, bottom, right, top = grid.bounds.T
        slack_x, slack_y = ALIGNED * x.step, ALIGNED * y.step
        meets_x = (left < x.stop - slack_x) & (right > x.start + slack_x)
        meets_y = (bottom < y.stop - slack_y) & (top > y.start + slack_y)
        rows = np.flatnonzero(meets_x & meets_y)
        if len(rows) != 1 or not grid.native[rows[0]]:
            return None
        tile = int(grid.tiles[rows[0]])
        window = whole_pixels(self.tiles[tile], x, y)
        if window is None or not self._is_plain(tile):
            return None
        return tile, window

    def _is_plain(self, tile: int) -> bool:
        """Whether a merge would copy the pixels as they are: no mask but the nodata value."""
        if tile not in self._plain:
            src = self._readers.get(self._files[tile])
            kinds = {flag.name for flags in src.mask_flag_enums for flag in flags}
            self._plain[tile] = kinds <= {'all_valid', 'nodata'}
        return self._plain[tile]
