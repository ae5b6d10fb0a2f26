"""GeoTIFFs as a torchgeo data set that reads whole pixels where it can."""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from time import monotonic
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pyproj import CRS
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torchgeo.datasets import RasterDataset
from torchgeo.datasets.utils import GeoSlice, Sample

from ..geoio.crs import crs_text
from ..geoio.formats import SCENE_SUFFIXES
from ..geoio.read import (
    WORTH_KEEPING,
    hash_stamps,
    open_on_grid,
    open_reader,
    read_unmasked,
    recall,
    remember,
)
from ..windows import Window
from .file_pool import HandlePool
from .index import IndexGrid, PatchSlice, build_index, read_index
from .named_bands import band_names, choose_bands, warn_of_data
from .raster_files import (
    ALIGNED,
    check_reals,
    check_tiles,
    fill_slice,
    match_names,
    measure_valid,
    open_headers,
    whole_pixels,
)
from .raster_tiles import OPEN_FILES, RasterTiles
from .scene_names import Paths, find_rasters

# Raise this when other pixels count as observations, so that shares are measured anew
_SHARES = 2

# measuring nodata in so many tiles takes seconds
SHOW_PROGRESS_FROM = 20


class GeoTIFFPatches(RasterTiles, RasterDataset):
    """GeoTIFFs and VRTs, indexed by place (torchgeo's way) or by tile and window.

    Unlike :class:`torchgeo.datasets.RasterDataset`, no file is skipped silently, headers are
    remembered on disk, and a query that lies on the pixel grid of one file is read from it
    directly, without merging and warping.
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
        time_series: bool = False,
        raw: bool = False,
        nodata: float | None = None,
        filename_regex: str | None = None,
        date_format: str | None = None,
        on_error: Literal['raise', 'skip'] = 'raise',
    ) -> None:
        r"""Initialize a new GeoTIFFPatches instance.

        Args:
            paths: As in :func:`~gersp_geo.datasets.scene_names.find_rasters`, rasters only.
            crs: Coordinate reference system of queries. Defaults to that of the first file.
            res: Ground resolution of queries in units of *crs*. Defaults to the first file's.
            bands: 1-based band indices or band names, in the order wanted; one that is tagged as
                alpha is data then, and hides nothing. Defaults to all but alpha.
            transforms: Applied to each sample.
            cache: Keep files open between queries.
            time_series: Stack the files of a query, as torchgeo does, instead of merging them.
            raw: Keep the data type of the files, complex ones too, instead of converting to
                float32. Where a query has to be resampled, integers then take the nearest pixel.
            nodata: Value that means "no observation", in all bands of 8 bits or in any band of
                other types, beside what the files themselves say.
            filename_regex: Files whose name it does not match are left out; a group ``date`` (or
                ``start`` and ``stop``) dates them, as in torchgeo. For example
                ``.*_(?P<date>\d{8})\.tif``.
            date_format: Of those dates; ``%Y%m%d`` by default.
            on_error: 'skip' leaves out files that cannot be read, with a warning, up to 1 % of all;
                'raise' stops at the first.

        Raises:
            FileNotFoundError: If a path does not exist, or a folder holds no raster.
            UnreadableFileError: If a file cannot be read.
            ValueError: If a file has no CRS or a rotated grid, or its bands or data type do not
                fit, or it holds complex numbers without *raw*; the message names it.
        """
        self.filename_regex = filename_regex or self.filename_regex
        self.date_format = date_format or self.date_format
        self.nodata = self.nodata if nodata is None else nodata
        found = match_names(find_rasters(paths, kinds=(SCENE_SUFFIXES,)), self.filename_regex)
        self._files, self.tiles = open_headers(found, on_error=on_error)
        self.all_bands = band_names(self.tiles[0])
        self.chosen = choose_bands(self.tiles[0], bands, file=self._files[0])
        check_tiles(self._files, self.tiles, self.chosen, one_dtype=raw)
        if not raw:
            check_reals(self._files, self.tiles)
        warn_of_data(self._files, self.tiles, self.chosen)
        # not RasterDataset.__init__: it opens every file again, and leaves out what it cannot read
        self.paths, self.raw, self.transforms = paths, raw, transforms
        self.cache, self.time_series = cache, time_series
        self.bands = [self.all_bands[band - 1] for band in self.chosen]
        self._alpha_is_data = any(set(tile.alpha) & set(self.chosen) for tile in self.tiles)
        self.band_indexes = self.chosen
        self._readers: HandlePool[str, Any] = HandlePool(open_reader, limit=OPEN_FILES)
        self._warped = HandlePool(self._open_warped, limit=OPEN_FILES)
        self._grid: IndexGrid | None = None
        first = self.tiles[0]
        native = CRS.from_wkt(crs_text(first.crs))
        target = native if crs is None else CRS.from_user_input(crs)
        spans = [self._filepath_to_timestamp(file) for file in self._files]
        self.index = build_index(self._files, self.tiles, spans, crs=target)
        if res is None and target == native:
            res = abs(first.transform.a), abs(first.transform.e)
        elif res is None:
            res = super()._load_warp_file(self._files[0], target).res
        self._res = (float(res), float(res)) if isinstance(res, int | float) else res

    @property
    def dtype(self) -> torch.dtype:
        """Data type of images."""
        if not self.raw:
            return torch.float32
        return torch.from_numpy(np.empty(0, dtype=self.tiles[0].dtype)).dtype

    def __getitem__(self, index: GeoSlice) -> Sample:
        """Read a place.

        Args:
            index: [xmin:xmax:xres, ymin:ymax:yres, tmin:tmax:tres] in units of the CRS.

        Returns:
            torchgeo's sample: 'image' of shape (C, H, W), 'bounds', 'transform'. Where tiles
            overlap, they are merged as torchgeo does, unless a :class:`PatchSlice` names one.

        Raises:
            IndexError: If no tile is there.
        """
        x, y, t = self._resolve(index)
        place = self._named(index) if isinstance(index, PatchSlice) else self._place(x, y, t)
        if place is None:
            return super().__getitem__(index)
        tile, window = place
        image = self._read_filled(tile, window)
        if self.tiles[tile].transform.e > 0:
            image = image.flip(1)
        if not self.raw:
            image = image.to(self.dtype)
        times = t.start.timestamp(), t.stop.timestamp(), t.step
        bounds = [x.start, x.stop, x.step, y.start, y.stop, y.step, *times]
        transform = [x.step, 0, x.start, 0, -y.step, y.stop, 0, 0, 1]
        # by way of NumPy, which turns lists into tensors three times as fast
        sample: Sample = {
            'bounds': torch.from_numpy(np.array(bounds, dtype=np.float32)),
            'transform': torch.from_numpy(np.array(transform, dtype=np.float32)),
            'image': image,
        }
        return sample if self.transforms is None else self.transforms(sample)

    def _read_filled(self, tile: int, window: Window) -> Tensor:
        """Read a patch as a merge would copy it: with nodata, else 0, where a mask hides pixels."""
        image = self.read_patch(tile, window)
        if set(self.tiles[tile].masks) <= {'all_valid', 'nodata'}:
            return image
        src = self._readers.get(self._files[tile])
        hidden = ~read_unmasked(src, window, bands=self.chosen)
        # NumPy shares the memory, and fills integers that torch does not
        image.numpy()[hidden] = 0 if src.nodata is None else src.nodata
        return image

    def valid_shares(self) -> NDArray[np.float64]:
        """Estimate which share of each tile's pixels are observations.

        Small tiles are read whole, of others 64 windows in a regular grid. What took long to
        measure is remembered on disk until the files change.

        Returns:
            Shape (N,), in [0, 1]; 1 for tiles that cannot miss any.

        Raises:
            UnreadableFileError: If a file is damaged.
        """
        shares = np.ones(len(self.tiles))
        missing = [tile for tile in range(len(self.tiles)) if self.may_miss(tile)]
        if not missing:
            return shares
        marks = hash_stamps([self._files[tile] for tile in missing])
        key = json.dumps([_SHARES, marks, self.chosen, self.nodata])
        found = None if marks is None else recall('valid-shares', key)
        if found is None:
            begin = monotonic()
            shown = track(
                missing,
                'Measuring nodata',
                console=Console(stderr=True),
                transient=True,
                disable=len(missing) < SHOW_PROGRESS_FROM,
            )
            found = [measure_valid(self.tiles[t], partial(self.read_valid, t)) for t in shown]
            if marks is not None and monotonic() - begin > WORTH_KEEPING:
                remember('valid-shares', key, found)
        shares[missing] = found
        return shares

    def _cached_load_warp_file(  # type: ignore[override]  # there it is an lru_cache
        self, filepath: Any, crs: CRS
    ) -> Any:
        """Keep warped files open per process; torchgeo's own cache survives a fork."""
        return self._warped.get((str(filepath), crs))

    def _open_warped(self, key: tuple[str, CRS]) -> AbstractContextManager[Any]:
        """Open a file for the merge path; it closes once nobody holds it, a merge may hold many."""
        return nullcontext(self._load_warp_file(*key))

    def _load_warp_file(self, filepath: Any, crs: CRS | None = None) -> Any:
        """Open a file on the grid of queries; bands that are asked for hide no pixels."""
        grid = {'crs': (crs or self.crs).to_wkt(), 'res': self.res, 'resampling': self.resampling}
        as_data = open_on_grid(filepath, bands=self.chosen, **grid) if self._alpha_is_data else None
        return super()._load_warp_file(filepath, crs) if as_data is None else as_data

    @property
    def crs(self) -> CRS:
        """Coordinate reference system of queries; assign another one as in torchgeo."""
        crs: CRS = self.index.crs
        return crs

    @crs.setter
    def crs(self, new_crs: CRS) -> None:
        """Bring the index into another CRS, as ``&`` and ``|`` do."""
        self.index = self.index.to_crs(new_crs)

    def index_grid(self) -> IndexGrid:
        """Mirror the index as arrays, again after it was replaced."""
        if self._grid is None or self._grid.index is not self.index:
            self._grid = read_index(self.index, self._files, self.tiles)
        return self._grid

    def _resolve(self, index: GeoSlice) -> tuple[slice, slice, slice]:
        """Fill in what a query leaves open."""
        if isinstance(index, PatchSlice):
            x, y, t = index
            return x, y, t
        across, up, times = self.index_grid().extent
        whole = (
            slice(across.start, across.stop, self.res[0]),
            slice(up.start, up.stop, self.res[1]),
            times,
        )
        given = (index,) if isinstance(index, slice) else index
        x, y, t = (
            fill_slice(given[i] if i < len(given) else slice(None), whole[i]) for i in range(3)
        )
        return x, y, t

    def _named(self, index: PatchSlice) -> tuple[int, Window] | None:
        """Find the tile that an index names; None if it is another's, or has to be warped."""
        grid = self.index_grid()
        row = grid.rows.get(index.file)
        if row is None or self.time_series or not grid.native[row]:
            return None
        tile = int(grid.tiles[row])
        x, y, _ = index
        transform = self.tiles[tile].transform
        is_same_grid = x.step == transform.a and y.step == abs(transform.e)
        return (tile, index.window) if is_same_grid else None

    def _place(self, x: slice, y: slice, t: slice) -> tuple[int, Window] | None:
        """Find the tile and whole pixels that a query means; None if they are not so simple."""
        grid = self.index_grid()
        left, bottom, right, top = grid.bounds.T
        slack_x, slack_y = ALIGNED * x.step, ALIGNED * y.step
        meets = (left < x.stop - slack_x) & (right > x.start + slack_x)
        meets &= (bottom < y.stop - slack_y) & (top > y.start + slack_y)
        if t != grid.extent[2]:
            meets &= self.index.index.overlaps(pd.Interval(t.start, t.stop))
        rows = np.flatnonzero(meets)
        if len(rows) != 1 or self.time_series or t.step != 1 or not grid.native[rows[0]]:
            return None
        tile = int(grid.tiles[rows[0]])
        window = whole_pixels(self.tiles[tile], x, y)
        return None if window is None else (tile, window)
