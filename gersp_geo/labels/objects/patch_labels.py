"""Objects as a task of detection or instance segmentation learns them."""

from collections.abc import Sequence

import numpy as np
import shapely
import torch
from numpy.typing import NDArray

from ...datasets.raster_tiles import RasterTiles
from ...windows import Window
from ..sources import ANCHORS, BlockLabels, Colors, Sample, crop
from .cut import Cut, objects_in
from .table import Objects, ObjectSource

# Side in pixels below which a box is nothing that a detector could match: float32 may round it to
# no area at all.
SMALLEST_SIDE = 0.01


class ObjectLabels:
    """Boxes, classes from 1 on, and masks if they are wanted.

    What is neither target nor background is blanked, so that any task leaves it out: pixels of
    ignored objects, of objects of which a patch shows too little, and beyond the image.
    """

    def __init__(
        self,
        images: RasterTiles,
        source: ObjectSource,
        *,
        size: int,
        min_visible: float,
        masks: bool = False,
        nodata: float | None = None,
    ) -> None:
        """Initialize a new ObjectLabels instance.

        Args:
            images: The images.
            source: Their objects.
            size: Side of the patches in pixels.
            min_visible: Share of its area, in (0, 1], from which on a cut object is a target.
            masks: Whether to add a mask per object.
            nodata: Value that means "no observation", beside what the files themselves say.
        """
        self.images, self.source, self.nodata = images, source, nodata
        self.size, self.min_visible, self.masks = size, min_visible, masks

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes that batches number from 1 on."""
        return self.source.class_names

    @property
    def class_colors(self) -> Colors:
        """No format of objects has colours."""
        return ()

    def read(
        self, sample: Sample, tile: int, window: Window, *, valid: NDArray[np.bool_]
    ) -> Sample:
        """Add 'bbox_xyxy' (float32, shape (n, 4)), 'label' (int64, (n,)) and 'mask' (uint8).

        Boxes are left, top, right and bottom in pixels of the patch; masks have shape (n, H, W).
        Objects without any observed pixel are left out.
        """
        header, image = self.images.tiles[tile], sample['image'].numpy()
        inside = crop(window, height=header.height, width=header.width)
        # beyond the image, a reflection would show objects that are no targets
        image[:, inside.height :] = image[:, :, inside.width :] = np.nan
        found = objects_in(self._of(tile), inside, min_visible=self.min_visible)
        if len(found.blank_boxes):
            blank_out(image, found.blanked())
        kept = is_seen(found, valid)
        added = {
            'bbox_xyxy': torch.from_numpy(found.boxes[kept].astype(np.float32)),
            'label': torch.from_numpy(found.classes[kept] + 1),
        }
        if self.masks:
            masks = np.zeros((int(kept.sum()), window.height, window.width), dtype=np.uint8)
            masks[:, : inside.height, : inside.width] = found.masks()[kept]
            added['mask'] = torch.from_numpy(masks)
        return {**sample, **added}

    def scan(self, tile: int, window: Window, *, seed: Sequence[int]) -> BlockLabels:
        """Count the objects whose centre lies in a block, per class, and find ground without any.

        The last stratum is that of patches without any object.
        """
        strata = len(self.class_names) + 1
        counts = np.zeros(strata, dtype=np.int64)
        objects = self.source.of(tile)
        anchors: dict[int, NDArray[np.int64]] = {}
        if objects is None:
            return BlockLabels(counts=counts, anchors=anchors)
        generator = np.random.default_rng(np.random.SeedSequence(seed))
        header = self.images.tiles[tile]
        valid = self._observed(tile, window)
        bounds, classes = self._in_block(objects, window, valid)
        limits = np.array([header.height, header.width] * 2)
        rectangles = np.concatenate(
            [np.floor(bounds[:, [1, 0]] + 1e-6), np.ceil(bounds[:, [3, 2]] - 1e-6)], axis=1
        )
        rectangles = np.clip(rectangles, 0, limits).astype(np.int64)
        for value in np.unique(classes).tolist():
            places = np.flatnonzero(classes == value)
            counts[value] = len(places)
            chosen = np.unique(generator.integers(len(places), size=ANCHORS))
            anchors[value] = rectangles[places[chosen]]
        empty = self._empty_windows(objects, window, valid, generator)
        if len(empty):
            counts[-1], anchors[strata - 1] = 1, empty
        return BlockLabels(counts=counts, anchors=anchors)

    def holds(self, tile: int, window: Window) -> bool:
        """Say whether somebody looked at the image, and a patch shows any of what was looked at."""
        objects = self.source.of(tile)
        if objects is None:
            return False
        header = self.images.tiles[tile]
        inside = crop(window, height=header.height, width=header.width)
        shown = self._observed(tile, inside)
        found = objects_in(objects, inside, min_visible=self.min_visible)
        return bool((shown & ~found.blanked()).any() if len(found.blank_boxes) else shown.any())

    def survey(self) -> tuple[int, int]:
        """Count the objects of all images, without ignored ones, and those too large to show."""
        found = [self.source.of(tile) for tile in range(len(self.images.files))]
        known = [(objects, ~objects.ignored) for objects in found if objects is not None]
        large = sum(
            int(self._too_large(objects, np.flatnonzero(kept)).sum()) for objects, kept in known
        )
        return sum(int(kept.sum()) for _, kept in known), large

    def _too_large(self, objects: Objects, chosen: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Say which of the chosen objects no patch can show enough of to make them targets."""
        bounds = objects.bounds[chosen]
        sides = np.minimum(bounds[:, 2:] - bounds[:, :2], self.size)
        # one that misses the share by less is rounded, as where objects are cut
        least = objects.areas[chosen] * (self.min_visible - 1e-9)
        too_large: NDArray[np.bool_] = sides.prod(axis=1) < least
        return too_large

    def _of(self, tile: int) -> Objects:
        """Give the objects of an image that somebody looked at."""
        objects = self.source.of(tile)
        if objects is None:
            raise ValueError(f'{self.images.files[tile]} has no labels to read')
        return objects

    def _observed(self, tile: int, window: Window) -> NDArray[np.bool_]:
        """Say which pixels are observations, without reading those of images that miss none."""
        if not self.images.may_miss(tile):
            return np.ones((window.height, window.width), dtype=np.bool_)
        return self.images.read_valid(tile, window, nodata=self.nodata)

    def _in_block(
        self, objects: Objects, window: Window, valid: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Find bounds and classes of the targets whose centre is an observed pixel of a block."""
        edges = window.col_off, window.row_off, window.col_stop, window.row_stop
        near = np.sort(objects.tree.query(shapely.box(*edges)))
        targets = near[~objects.ignored[near] & ~self._too_large(objects, near)]
        cols, rows = np.floor((objects.bounds[targets, :2] + objects.bounds[targets, 2:]) / 2).T
        inside = (window.row_off <= rows) & (rows < window.row_stop)
        inside &= (window.col_off <= cols) & (cols < window.col_stop)
        rows, cols, targets = rows[inside], cols[inside], targets[inside]
        seen = valid[rows.astype(np.int64) - window.row_off, cols.astype(np.int64) - window.col_off]
        return objects.bounds[targets[seen]], objects.classes[targets[seen]]

    def _empty_windows(
        self,
        objects: Objects,
        window: Window,
        valid: NDArray[np.bool_],
        generator: np.random.Generator,
    ) -> NDArray[np.int64]:
        """Find some patches of a block that no object reaches into, half observed at least."""
        free = max(window.height - self.size, 0), max(window.width - self.size, 0)
        rows, cols = (generator.integers(most + 1, size=ANCHORS) for most in free)
        corners = np.unique(np.stack([rows, cols], axis=1), axis=0)
        sides = np.array([min(self.size, window.height), min(self.size, window.width)])
        found = np.concatenate([corners, corners + sides], axis=1)
        placed: NDArray[np.int64] = found + np.array([window.row_off, window.col_off] * 2)
        # by outlines: the box around a river, or around ground that nobody looked at, is wide
        meets = np.unique(objects.tree.query(boxes_of(placed), predicate='intersects')[0])
        free_ones = np.setdiff1d(np.arange(len(placed)), meets)
        if not valid.all():
            parts = (valid[t:b, l:r] for t, l, b, r in found[free_ones].tolist())
            free_ones = free_ones[[bool(part.mean() >= 0.5) for part in parts]]
        chosen: NDArray[np.int64] = placed[free_ones]
        return chosen


def blank_out(image: NDArray[np.float32], blank: NDArray[np.bool_]) -> None:
    """Put NaN into the pixels that are to be blanked, looking at their rows and columns alone.

    Args:
        image: Shape (C, H, W); changed in place.
        blank: Of its upper left part, shape (h, w).
    """
    rows, cols = (np.flatnonzero(blank.any(axis=axis)) for axis in (1, 0))
    if len(rows):
        part = np.s_[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
        np.copyto(image[:, *part], np.float32(np.nan), where=blank[part])


def is_seen(found: Cut, valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Say which objects have a box that is large enough, and an observed pixel in it.

    Args:
        found: In a patch.
        valid: Which pixels of the patch are observations, shape (H, W).

    Returns:
        Shape (n,).
    """
    sides = found.boxes[:, 2:] - found.boxes[:, :2]
    kept: NDArray[np.bool_] = (sides >= SMALLEST_SIDE).all(axis=1)
    if not valid.all():
        first = np.floor(found.boxes[:, :2]).astype(np.int64).tolist()
        stop = np.ceil(found.boxes[:, 2:]).astype(np.int64).tolist()
        kept &= np.array(
            [valid[t:b, l:r].any() for (l, t), (r, b) in zip(first, stop, strict=True)],
            dtype=np.bool_,
        )
    return kept


def boxes_of(rectangles: NDArray[np.int64]) -> NDArray[np.object_]:
    """Draw rectangles of top, left, bottom and right, shape (n, 4)."""
    top, left, bottom, right = rectangles.T
    return np.asarray(shapely.box(left, top, right, bottom), dtype=np.object_)
