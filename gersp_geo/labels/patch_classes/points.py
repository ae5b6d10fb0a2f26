"""Classes of patches around points on the ground."""

from collections.abc import Sequence

import numpy as np
import shapely
from lightning.pytorch.utilities import rank_zero_info
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ...datasets.raster_tiles import RasterTiles
from ...geoio.grids import place_points
from ...windows import Window
from ..placement import PlacedFeatures
from ..sources import BlockLabels
from .marks import Marks
from .target import PatchClasses


class PointClasses(PatchClasses):
    """A patch has the class of a point in its middle half, or at a side that is one of the image.

    Of several points, the nearest to the centre tells the class; labels are those of all.
    """

    unit = 'point'

    def __init__(
        self,
        images: RasterTiles,
        placed: Sequence[PlacedFeatures],
        marks: Marks,
        *,
        size: int,
        multilabel: bool,
        nodata: float | None,
        source: str,
    ) -> None:
        """Initialize a new PointClasses instance.

        Args:
            images: The images, all with a place.
            placed: Points per image, in its CRS.
            marks: Classes of the points.
            size: Side of the patches in pixels.
            multilabel: Whether a patch may have several.
            nodata: Value that means "no observation", beside what the files themselves say.
            source: The file, for messages.
        """
        super().__init__(marks, size=size, multilabel=multilabel)
        self.images, self.nodata = images, nodata
        self.margin = size // 4
        self._places: list[NDArray[np.int64]] = []
        self._rows: list[NDArray[np.int64]] = []
        for tile, features in zip(images.tiles, placed, strict=True):
            points = np.stack(
                [shapely.get_x(features.geometries), shapely.get_y(features.geometries)], axis=1
            )
            rows = np.flatnonzero(marks.known & np.isfinite(points).all(axis=1))
            pixels = np.floor(place_points(~tile.transform, points[rows]))[:, ::-1]
            inside = ((pixels >= 0) & (pixels < [tile.height, tile.width])).all(axis=1)
            self._places.append(pixels[inside].astype(np.int64))
            self._rows.append(rows[inside])
        if not multilabel:
            self._tell_of_close_points(source)

    def _tell_of_close_points(self, source: str) -> None:
        """Say how many points share a patch with one of another class."""
        close, total = 0, 0
        for places, rows in zip(self._places, self._rows, strict=True):
            pairs = cKDTree(places).query_pairs(self.margin, p=np.inf, output_type='ndarray')
            of = self.flags[rows].argmax(axis=1) if len(rows) else rows
            different = pairs[of[pairs[:, 0]] != of[pairs[:, 1]]]
            close, total = close + len(np.unique(different)), total + len(rows)
        if close:
            rank_zero_info(
                f'{close} of {total} points of {source} lie within {self.margin} px of one of '
                'another class: a patch has the class of the point nearest to its centre'
            )

    def _meets(self, tile: int, window: Window) -> NDArray[np.int64]:
        """List the points that tell what a patch is, as places in the lists of the image."""
        places, header = self._places[tile], self.images.tiles[tile]
        # a point near the border of an image is in the middle of no patch
        first = [off + self.margin * (off > 0) for off in (window.row_off, window.col_off)]
        stop = [
            end - self.margin * (end < side)
            for end, side in ((window.row_stop, header.height), (window.col_stop, header.width))
        ]
        return np.flatnonzero(((places >= first) & (places < stop)).all(axis=1))

    def find(self, tile: int, window: Window) -> NDArray[np.bool_] | None:
        """Say which classes a patch has, shape (classes,); None where nobody said."""
        met = self._meets(tile, window)
        if not len(met):
            return None
        rows = self._rows[tile][met]
        if self.multilabel:
            together: NDArray[np.bool_] = self.flags[rows].any(axis=0)
            return together
        row: NDArray[np.bool_] = self.flags[self._nearest(tile, window, met)]
        return row

    def _nearest(self, tile: int, window: Window, met: NDArray[np.int64]) -> int:
        """Choose the row of the point that is nearest to the centre of a patch."""
        middle = [window.row_off + (window.height - 1) / 2, window.col_off + (window.width - 1) / 2]
        nearest = np.square(self._places[tile][met] - middle).sum(axis=1).argmin()
        return int(self._rows[tile][met[nearest]])

    def _within(self, tile: int, block: Window) -> NDArray[np.int64]:
        """List the points in a block."""
        first, stop = (block.row_off, block.col_off), (block.row_stop, block.col_stop)
        places = self._places[tile]
        return np.flatnonzero(((places >= first) & (places < stop)).all(axis=1))

    def scan(self, tile: int, window: Window, *, seed: Sequence[int]) -> BlockLabels:
        """Count the points of a block that lie on observed ground."""
        chosen = self._within(tile, window)
        if len(chosen):
            valid = self.images.read_valid(tile, window, nodata=self.nodata)
            rows, cols = (self._places[tile][chosen] - (window.row_off, window.col_off)).T
            chosen = chosen[valid[rows, cols]]
        places = self._places[tile][chosen]
        anchors = np.concatenate([places - self.margin, places + self.margin + 1], axis=1)
        flags = self.flags[self._rows[tile][chosen]]
        return self.collect(flags, anchors, np.random.default_rng(seed))

    def lay(self, tile: int, block: Window, grid: Sequence[Window]) -> list[Window]:
        """Lay a patch around each point, moved where it would leave the block."""
        size = self.size
        last = max(block.height - size, 0), max(block.width - size, 0)
        offs = np.array((block.row_off, block.col_off))
        corners = self._places[tile][self._within(tile, block)] - size // 2
        moved = np.clip(corners, offs, offs + last)
        return [
            Window(row_off=row, col_off=col, height=size, width=size)
            for row, col in dict.fromkeys(map(tuple, moved.tolist()))
        ]

    def holds(self, tile: int, window: Window) -> bool:
        """Say whether a patch has a label, and any observation."""
        return super().holds(tile, window) and bool(
            self.images.read_valid(tile, window, nodata=self.nodata).any()
        )
