"""Classes of patches whose centre lies in a polygon."""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from ...datasets.raster_tiles import RasterTiles
from ...geoio.grids import place_points
from ...windows import Window
from ..attribute_classes import MOST_CLASSES
from ..placement import PlacedFeatures
from ..polygons import burn_features
from ..sources import IGNORE, BlockLabels
from .marks import Marks
from .target import PatchClasses


class PolygonClasses(PatchClasses):
    """A patch has the classes of the polygons over its centre; of one class each, the last one's."""

    unit = 'pixel'

    def __init__(
        self,
        images: RasterTiles,
        placed: Sequence[PlacedFeatures],
        marks: Marks,
        *,
        size: int,
        multilabel: bool,
        nodata: float | None,
    ) -> None:
        """Initialize a new PolygonClasses instance.

        Args:
            images: The images, all with a place.
            placed: Polygons per image, in its CRS.
            marks: Classes of the polygons.
            size: Side of the patches in pixels.
            multilabel: Whether a patch may have several.
            nodata: Value that means "no observation", beside what the files themselves say.
        """
        super().__init__(marks, size=size, multilabel=multilabel)
        if len(self.class_names) > MOST_CLASSES:
            raise ValueError(
                f'there may be at most {MOST_CLASSES} classes of polygons, got '
                f'{len(self.class_names)}; pass an attribute with fewer'
            )
        self.images, self.nodata = images, nodata
        parts = [marks.known]
        if multilabel:
            parts += [*(marks.known[:, None] & marks.flags).T]
        # one for all images in one CRS
        ordered = {
            id(every): [every.order(np.flatnonzero(part)) for part in parts] for every in placed
        }
        self._placed = [ordered[id(every)] for every in placed]
        self._codes = marks.flags[marks.known].argmax(axis=1).astype(np.uint8)

    def cover(self, tile: int, window: Window) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Say which classes the pixels of a window have, and which lie under any polygon.

        Returns:
            Shapes (classes, H, W) and (H, W).
        """
        grid, (every, *each) = self.images.tiles[tile], self._placed[tile]
        if not self.multilabel:
            codes = burn_features(every, grid, window, self._codes, fill=IGNORE)
            numbers = np.arange(len(self.class_names), dtype=np.uint8)[:, None, None]
            return codes == numbers, codes != IGNORE
        covered, *classes = (
            burn_features(part, grid, window, np.ones(len(part.geometries), np.uint8), fill=0) > 0
            for part in (every, *each)
        )
        return np.stack(classes), covered

    def _middle(self, tile: int) -> tuple[int, int]:
        """Say how many rows and columns behind its corner the centre of a patch lies."""
        header = self.images.tiles[tile]
        # of one that hangs over, the centre of what it shows
        return min(self.size, header.height) // 2, min(self.size, header.width) // 2

    def find(self, tile: int, window: Window) -> NDArray[np.bool_] | None:
        """Say which classes a patch has, shape (classes,); None where nobody said."""
        down, right = self._middle(tile)
        centre = Window(
            row_off=window.row_off + down, col_off=window.col_off + right, height=1, width=1
        )
        classes, covered = self.cover(tile, centre)
        return classes[:, 0, 0] if covered[0, 0] else None

    def scan(self, tile: int, window: Window, *, seed: Sequence[int]) -> BlockLabels:
        """Count the observed pixels under polygons that can be the centre of a patch."""
        classes, covered = self.cover(tile, window)
        header, middle = self.images.tiles[tile], np.array(self._middle(tile))
        if covered.any():
            covered &= self.images.read_valid(tile, window, nodata=self.nodata)
        pixels = np.argwhere(covered)
        corners = pixels + np.array((window.row_off, window.col_off)) - middle
        last = max(header.height - self.size, 0), max(header.width - self.size, 0)
        inside = ((corners >= 0) & (corners <= last)).all(axis=1)
        rows, cols = pixels[inside].T
        anchors = np.concatenate([corners[inside], corners[inside] + self.size], axis=1)
        return self.collect(classes[:, rows, cols].T, anchors, np.random.default_rng(seed))

    def lay(self, tile: int, block: Window, grid: Sequence[Window]) -> list[Window]:
        """Lay patches side by side, and one into each polygon, which may lie between centres."""
        size, middle = self.size, np.array(self._middle(tile))
        transform, every = self.images.tiles[tile].transform, self._placed[tile][0]
        sides = shapely.box(block.col_off, block.row_off, block.col_stop, block.row_stop)
        seen = shapely.transform(sides, lambda xy: place_points(transform, xy))
        near = every.geometries[np.sort(every.tree.query(seen))]
        points = shapely.get_coordinates(shapely.point_on_surface(near))
        corners = np.floor(place_points(~transform, points))[:, ::-1].astype(np.int64) - middle
        first = np.array((block.row_off, block.col_off))
        last = first + np.array((max(block.height - size, 0), max(block.width - size, 0)))
        own = corners[((corners >= first) & (corners <= last)).all(axis=1)]
        extra = [Window(row_off=r, col_off=c, height=size, width=size) for r, c in own.tolist()]
        return list(dict.fromkeys([*grid, *extra]))

    def holds(self, tile: int, window: Window) -> bool:
        """Say whether a patch has a label, and any observation."""
        return super().holds(tile, window) and bool(
            self.images.read_valid(tile, window, nodata=self.nodata).any()
        )
