"""What a patch shows of the objects of an image."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from ...windows import Window
from .fill import fill_outlines
from .table import Objects

# a share that misses its limit by less than this is rounded
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """Objects in a patch, in its own pixels."""

    height: int
    """Rows of the patch."""

    width: int
    """Its columns."""

    boxes: NDArray[np.float64]
    """Left, top, right and bottom of what is visible of each target, shape (n, 4). They are exact;
    float32 rounds them to 3e-5 of a pixel in a patch of 512."""

    classes: NDArray[np.int64]
    """Their classes, counted from 0; shape (n,)."""

    blank_boxes: NDArray[np.float64]
    """The same of what is neither target nor background, under targets too; shape (m, 4)."""

    are_boxes: bool
    """Whether all of them are upright boxes."""

    origin: NDArray[np.float64]
    """Column and row of the image where the patch begins."""

    parts: tuple[NDArray[np.object_], NDArray[np.object_]]
    """Visible parts of targets and of the others in pixels of the image, shapes (n,) and (m,)."""

    @property
    def outlines(self) -> NDArray[np.object_]:
        """What is visible of the targets, shape (n,)."""
        return self._move(self.parts[0])

    @property
    def blank(self) -> NDArray[np.object_]:
        """Visible parts of the others, shape (m,)."""
        return self._move(self.parts[1])

    def _move(self, parts: NDArray[np.object_]) -> NDArray[np.object_]:
        """Bring outlines into pixels of the patch."""
        moved = shapely.transform(parts, lambda points: points - self.origin)
        return np.asarray(moved, dtype=np.object_)

    def blanked(self) -> NDArray[np.bool_]:
        """Say which pixels are neither target nor background, shape (height, width).

        Their centres lie in such parts, and in no target.
        """
        blanked = np.zeros((self.height, self.width), dtype=np.bool_)
        if self.are_boxes:
            # most sets consist of them, and their pixels need no outline
            for boxes, value in ((self.blank_boxes, True), (self.boxes, False)):
                for left, top, right, bottom in np.ceil(boxes - 0.5).astype(np.int64).tolist():
                    blanked[top:bottom, left:right] = value
            return blanked
        around = pixels_around(self.blank_boxes)
        for (left, top, right, bottom), inside in fill(self.blank, around):
            blanked[top:bottom, left:right] |= inside
        targets = pixels_around(self.boxes)
        # others have nothing to be freed from
        meets = (targets[:, None, :2] < around[:, 2:]) & (around[:, :2] < targets[:, None, 2:])
        freed = meets.all(axis=2).any(axis=1)
        outlines = self.outlines[freed]
        for (left, top, right, bottom), inside in fill(outlines, targets[freed]):
            blanked[top:bottom, left:right] &= ~inside
        return blanked

    def masks(self) -> NDArray[np.uint8]:
        """Rasterize each target, shape (n, height, width): 1 where the centre of a pixel is inside.

        One that covers no centre has the pixel that it covers most of, or one of them.
        """
        outlines = self.outlines
        masks = np.zeros((len(outlines), self.height, self.width), dtype=np.uint8)
        drawn = fill(outlines, pixels_around(self.boxes))
        for mask, outline, ((left, top, right, bottom), inside) in zip(
            masks, outlines, drawn, strict=True
        ):
            mask[top:bottom, left:right] = inside
            if not inside.any():
                inner = outline.representative_point()
                mask[min(int(inner.y), self.height - 1), min(int(inner.x), self.width - 1)] = 1
        return masks


def objects_in(objects: Objects, window: Window, *, min_visible: float) -> Cut:
    """Cut the objects of an image as a window shows them.

    Args:
        objects: Of the image.
        window: In its pixels. A part of an outline that lies in the window is visible: leave out
            what of a window lies beyond the image.
        min_visible: Share of its area, in (0, 1], from which on an object is a target. Of others,
            as of ignored ones, what is visible is to be blanked.

    Raises:
        ValueError: If *min_visible* is no such share.
    """
    if not 0 < min_visible <= 1:
        raise ValueError(f'min_visible must be in (0, 1], got {min_visible}')
    edges = np.array([window.col_off, window.row_off, window.col_stop, window.row_stop], np.float64)
    near = np.sort(objects.tree.query(shapely.box(*edges)))
    bounds, outlines, areas = _clip(objects, near, edges)
    shows = areas > 0
    near, bounds, outlines, areas = near[shows], bounds[shows], outlines[shows], areas[shows]
    is_target = areas >= objects.areas[near] * (min_visible - _ROUNDING)
    is_target &= ~objects.ignored[near]
    boxes = bounds - np.tile(edges[:2], 2)
    return Cut(
        height=window.height,
        width=window.width,
        boxes=boxes[is_target],
        classes=objects.classes[near][is_target],
        blank_boxes=boxes[~is_target],
        are_boxes=bool(objects.is_box[near].all()),
        origin=edges[:2],
        parts=(outlines[is_target], outlines[~is_target]),
    )


def _clip(
    objects: Objects, near: NDArray[np.int64], edges: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.object_], NDArray[np.float64]]:
    """Find bounds, outlines and areas of what objects show between edges; nothing has area 0."""
    bounds, outlines = objects.bounds[near], objects.outlines[near].copy()
    areas = objects.areas[near].copy()
    clipped = np.concatenate(
        [np.maximum(bounds[:, :2], edges[:2]), np.minimum(bounds[:, 2:], edges[2:])], axis=1
    )
    is_cut = (clipped != bounds).any(axis=1)
    boxes, others = is_cut & objects.is_box[near], np.flatnonzero(is_cut & ~objects.is_box[near])
    outlines[boxes] = shapely.box(*clipped[boxes].T)
    areas[boxes] = np.maximum(clipped[boxes, 2:] - clipped[boxes, :2], 0).prod(axis=1)
    if len(others):
        parts = shapely.intersection(outlines[others], shapely.box(*edges))
        outlines[others] = [polygons_of(part) for part in parts]
        areas[others] = shapely.area(outlines[others])
        # an empty part has no bounds
        clipped[others] = np.nan_to_num(shapely.bounds(outlines[others]))
    return clipped, outlines, areas


def areas_inside(outlines: NDArray[np.object_], sides: NDArray[np.float64]) -> NDArray[np.float64]:
    """Measure what images show of outlines.

    Args:
        outlines: Valid polygons, shape (n,).
        sides: Width and height of the image of each, shape (n, 2).
    """
    bounds, areas = shapely.bounds(outlines), shapely.area(outlines)
    # most lie inside, and cutting takes long
    beyond = np.flatnonzero(~((bounds[:, :2] >= 0) & (bounds[:, 2:] <= sides)).all(axis=1))
    cut = shapely.intersection(outlines[beyond], shapely.box(0, 0, *sides[beyond].T))
    areas[beyond] = shapely.area(cut)
    return np.asarray(areas)


def polygons_of(geometry: shapely.Geometry) -> shapely.Geometry:
    """Leave out the points and lines that a cut leaves of a polygon that it touches."""
    if geometry.geom_type != 'GeometryCollection':
        return geometry if geometry.geom_type.endswith('Polygon') else shapely.Polygon()
    return shapely.union_all(
        [part for part in geometry.geoms if part.geom_type.endswith('Polygon')]
    )


def pixels_around(bounds: NDArray[np.float64]) -> NDArray[np.int64]:
    """Find the whole pixels around bounds of left, top, right and bottom, shape (n, 4)."""
    whole = np.concatenate([np.floor(bounds[:, :2]), np.ceil(bounds[:, 2:])], axis=1)
    return whole.astype(np.int64)


def fill(
    outlines: NDArray[np.object_], parts: NDArray[np.int64]
) -> Iterator[tuple[list[int], NDArray[np.bool_]]]:
    """Give each part of the pixels, and which of its pixels have their centre in its outline."""
    return zip(parts.tolist(), fill_outlines(outlines, parts), strict=True)
