"""Classes of pixels under the polygons of a vector file."""

from collections.abc import Sequence
from os import PathLike

import numpy as np
from affine import Affine
from lightning.pytorch.utilities import rank_zero_warn
from numpy.typing import NDArray
from shapely import box
from shapely.affinity import affine_transform

from ..datasets.raster_tiles import RasterTiles
from ..geoio.vector import attribute_texts, burn, read_vectors
from ..windows import Window
from .attribute_classes import choose_classes
from .placement import place_features
from .sources import IGNORE, Colors


class VectorLabels:
    """Polygons over the images, with their class in one attribute.

    Points and lines label too: the pixel of a point, and those that a line runs through.
    """

    def __init__(
        self,
        images: RasterTiles,
        labels: str | PathLike[str],
        *,
        attribute: str,
        layer: str | None = None,
        class_names: Sequence[str] = (),
    ) -> None:
        """Initialize a new VectorLabels instance.

        Args:
            images: The images.
            labels: Vector file in any CRS.
            attribute: Column with the class; features without a value label nothing.
            layer: Layer of *labels*; None takes the only one that holds features with a place.
            class_names: Defaults to the values of *attribute*, sorted. Else these values in an
                order of one's own, or, if all are whole numbers, one name per number in ascending
                order.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it cannot be read, lacks the layer, the attribute or a CRS, meets no
                image, or has other values than *class_names*, or too many.

        Warns:
            UserWarning: If features have no value, values look alike, or images have no feature.
        """
        self.tiles = images.tiles
        frame = read_vectors(labels, layer=layer)
        known = [name for name in frame.columns if name != frame.geometry.name]
        if attribute not in known:
            raise ValueError(f'{labels} has no attribute {attribute!r}, only {known}')
        places, (met, used) = place_features(frame.geometry, self.tiles, source=str(labels))
        if empty := np.flatnonzero(~met).tolist():
            rank_zero_warn(
                f'{len(empty)} of {len(places)} images meet no feature of {labels}, one is '
                f'{images.files[empty[0]]}'
            )
        self.class_names, codes = choose_classes(
            attribute_texts(frame[attribute]),
            used,
            tuple(map(str, class_names)),
            attribute=attribute,
            source=str(labels),
        )
        self.class_colors: Colors = ()
        # below all others, what has no class hides none
        order = np.argsort(codes >= 0, kind='stable')
        self._values = np.where(codes < 0, IGNORE, codes)[order].astype(np.uint8)
        # one for all images in one CRS, so that no patch has to be reprojected
        ordered = {id(placed): placed.order(order) for placed in places}
        self._placed = [ordered[id(placed)] for placed in places]

    def read(self, tile: int, window: Window) -> NDArray[np.uint8]:
        """Rasterize the features over a window inside image *tile*, later ones over earlier."""
        return self._burn(tile, window, self._values, fill=IGNORE)

    def read_outside(self, tile: int, window: Window) -> NDArray[np.bool_]:
        """Say which pixels of a window inside image *tile* lie under no feature at all."""
        return self._burn(tile, window, np.zeros_like(self._values), fill=1) > 0

    def _burn(
        self, tile: int, window: Window, values: NDArray[np.uint8], *, fill: int
    ) -> NDArray[np.uint8]:
        """Give each pixel the value of the last feature over it."""
        grid, placed = self.tiles[tile].transform, self._placed[tile]
        seen = box(window.col_off, window.row_off, window.col_stop, window.row_stop)
        outline = affine_transform(seen, grid.to_shapely())
        nearby = np.sort(placed.tree.query(outline))
        return burn(
            placed.geometries[nearby],
            values[nearby],
            transform=grid @ Affine.translation(window.col_off, window.row_off),
            height=window.height,
            width=window.width,
            fill=fill,
        )


class WithBackground:
    """Polygons, and a class of its own, the first one, for all pixels under none."""

    def __init__(self, labels: VectorLabels, *, name: str) -> None:
        """Initialize a new WithBackground instance, whose first class is called *name*.

        Raises:
            ValueError: If a class of *labels* has that name, or there are too many.
        """
        if name in labels.class_names:
            raise ValueError(
                f'background={name!r} is a class of the labels already; pass another name, and '
                'class_names without it'
            )
        if len(labels.class_names) >= IGNORE - 1:
            raise ValueError(
                f'background needs at most {IGNORE - 1} other classes, got '
                f'{len(labels.class_names)}'
            )
        self.labels = labels
        self.class_names = (name, *labels.class_names)
        # no colour is known for it
        self.class_colors: Colors = ()

    def read(self, tile: int, window: Window) -> NDArray[np.uint8]:
        """Read the classes of a window inside image *tile*, shape (window.height, window.width).

        Class 0 lies under no polygon, and the others are moved up by one. What lies under a polygon
        without a class is neither this nor that.
        """
        classes = self.labels.read(tile, window)
        moved = np.where(classes == IGNORE, IGNORE, classes + 1)
        return np.where(self.labels.read_outside(tile, window), 0, moved).astype(np.uint8)
