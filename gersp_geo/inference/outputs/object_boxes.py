"""From what a model found in one patch to boxes and outlines in pixels of the scene."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import shapely
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...geoio.vector import outline_mask
from ...suppression import Areas, Detections, Flags, Floats, Places
from ...windows import Window
from ..model.detector import Found

# A side of a box nearer than this to a side of its patch may be where the patch cuts the object.
# Detectors of torchvision clip boxes to the image, and miss its side by fractions of a pixel.
EDGE_PX = 1.0

# Share of a box that has to lie in the scene, along either axis. What is reflected at a border
# joins with its mirror image into a box that the border halves; a mirror image alone lies outside.
_INSIDE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The scene that patches lie in."""

    height: int
    """Rows."""

    width: int
    """Columns."""

    score_threshold: float
    """Lowest score of an object."""

    has_background: bool
    """Whether label 0 means that there is nothing."""

    def locate(
        self, found: Found, window: Window, wanted: Callable[[Window], Flags | None]
    ) -> Detections:
        """Place what was found in a patch.

        Boxes are cut at the sides of the patch and of the scene. A side of the scene cuts nothing
        off that anyone could see.

        Args:
            found: As :class:`~..model.detector.Detector` has checked it, in pixels of the patch.
            window: The patch; may hang over the sides of the scene.
            wanted: Says which pixels of the patch hold an observation of interest; None means all.
                Asked only if there is a box.

        Returns:
            In pixels of the scene.
        """
        labels, scores = (found[key].detach().cpu() for key in ('labels', 'scores'))
        chosen = scores >= self.score_threshold
        chosen &= found['boxes'].detach().cpu().isfinite().all(dim=1)
        if self.has_background:
            chosen &= labels != 0
        if not bool(chosen.any()):
            return Detections.none()
        raw = found['boxes'].detach().cpu()[chosen].double()
        corners = _corners(raw) + np.array([window.col_off, window.row_off])
        hull = np.hstack([corners.min(axis=1), corners.max(axis=1)])
        boxes, is_inside = self._clip(hull, window)
        outlines = np.full(len(hull), None, dtype=np.object_)
        if 'masks' in found:
            outlines = self._outlines(found['masks'][chosen.to(found['masks'].device)], window)
        elif raw.shape[1] == 5:
            outlines = shapely.polygons(corners)
        return Detections(
            boxes=boxes,
            labels=labels[chosen].numpy().astype(np.int64),
            scores=scores[chosen].double().numpy(),
            is_cut=self._is_cut(hull, window),
            is_wanted=_at_centres(wanted(window), boxes, window),
            outlines=outlines,
        ).take(is_inside)

    def _clip(self, hull: Floats, window: Window) -> tuple[Floats, Flags]:
        """Cut boxes at the sides of patch and scene, and say which remain."""
        seen = _clip(hull, (window.col_off, window.row_off, window.col_stop, window.row_stop))
        boxes = _clip(seen, (0, 0, self.width, self.height))
        sides, sides_before = (b[:, 2:] - b[:, :2] for b in (boxes, seen))
        # a scene that is smaller than an object is reflected again and again
        needed = np.minimum(_INSIDE * sides_before, (self.width, self.height))
        is_inside = (sides > 0).all(axis=1) & (sides >= needed).all(axis=1)
        return boxes, is_inside

    def _is_cut(self, hull: Floats, window: Window) -> Flags:
        """Say which boxes reach a side of the patch beyond which the scene goes on."""
        left, top, right, bottom = hull.T
        is_cut = np.zeros(len(hull), dtype=np.bool_)
        if window.col_off > 0:
            is_cut |= left - window.col_off < EDGE_PX
        if window.row_off > 0:
            is_cut |= top - window.row_off < EDGE_PX
        if window.col_stop < self.width:
            is_cut |= window.col_stop - right < EDGE_PX
        if window.row_stop < self.height:
            is_cut |= window.row_stop - bottom < EDGE_PX
        return is_cut

    def _outlines(self, masks: Tensor, window: Window) -> NDArray[np.object_]:
        """Draw the outline of each mask inside the scene; None where a mask is empty."""
        top, left = max(-window.row_off, 0), max(-window.col_off, 0)
        bottom, right = self.height - window.row_off, self.width - window.col_off
        pixels = (masks.detach() > 0.5).cpu().numpy()
        pixels = pixels.reshape(len(pixels), *pixels.shape[-2:])[:, top:bottom, left:right]
        move = np.array([window.col_off + left, window.row_off + top])
        traced = np.full(len(pixels), None, dtype=np.object_)
        for number, mask in enumerate(pixels):
            outline = outline_mask(mask)
            if outline is not None:
                traced[number] = shapely.transform(outline, lambda points: points + move)
        return traced


def polygon_areas(found: Detections, first: Places, second: Places) -> Areas:
    """Measure pairs of outlines that are polygons, as :func:`~gersp_geo.suppression.box_areas`.

    For oriented boxes: their hulls overlap where the objects do not.
    """
    one, other = found.outlines[first], found.outlines[second]
    shared: Floats = shapely.area(shapely.intersection(one, other))
    return shared, shapely.area(one), shapely.area(other)


def _corners(boxes: Tensor) -> Floats:
    """List the corners of boxes (left, top, right, bottom) or (x, y, width, height, angle)."""
    if boxes.shape[1] == 5:
        # seconds, which upright boxes do without unless the model brings it
        from torchvision.ops import box_convert

        # degrees, from the direction of columns against the clock
        corners = box_convert(boxes, 'cxcywhr', 'xyxyxyxy').reshape(-1, 4, 2)
        located: Floats = corners.numpy()
        return located
    left, top, right, bottom = boxes.unbind(dim=1)
    corners = torch.stack([left, top, left, bottom, right, bottom, right, top], dim=1)
    upright: Floats = corners.reshape(-1, 4, 2).numpy()
    return upright


def _clip(boxes: Floats, bounds: tuple[int, int, int, int]) -> Floats:
    """Cut boxes at the sides of a rectangle."""
    left, top, right, bottom = bounds
    clipped: Floats = np.clip(boxes, (left, top, left, top), (right, bottom, right, bottom))
    return clipped


def _at_centres(flags: Flags | None, boxes: Floats, window: Window) -> Flags:
    """Look up the pixels in which centres of boxes lie."""
    if flags is None:
        return np.ones(len(boxes), dtype=np.bool_)
    centres = np.floor((boxes[:, :2] + boxes[:, 2:]) / 2).astype(np.int64)
    # a box outside the scene is dropped whatever is found
    cols = np.clip(centres[:, 0] - window.col_off, 0, window.width - 1)
    rows = np.clip(centres[:, 1] - window.row_off, 0, window.height - 1)
    return flags[rows, cols]
