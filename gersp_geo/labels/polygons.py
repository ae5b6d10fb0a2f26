"""Classes of pixels under the polygons of a vector file."""

from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np
from affine import Affine
from lightning.pytorch.utilities import rank_zero_warn
from numpy.typing import NDArray
from shapely import Polygon

from ..datasets.raster_tiles import RasterTiles
from ..geoio.grids import Grid, place_points
from ..geoio.vector import attribute_texts, burn, read_vectors
from ..geoio.warp import advise_place, describe_lack
from ..windows import Window
from .attribute_classes import assign_classes, choose_classes
from .class_mapping import Classes
from .overlaps import report_overlaps
from .placement import PlacedFeatures, place_features
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
        attribute: str | None,
        layer: str | None = None,
        class_names: Sequence[str] = (),
        classes: Classes | None = None,
        ignore: Sequence[Any] = (),
    ) -> None:
        """Initialize a new VectorLabels instance.

        Args:
            images: The images.
            labels: Vector file in any CRS.
            attribute: Column with the class; features without a value label nothing. None: all
                features are of the one class in *class_names*.
            layer: Layer of *labels*; None takes the only one that holds features with a place.
            class_names: Defaults to the values of *attribute*, sorted. Else these values in an
                order of one's own, or, if all are whole numbers, one name per number in ascending
                order.
            classes: In place of *class_names*: name to value or values of *attribute*, texts or
                numbers.
            ignore: With *classes*, values that label nothing.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it cannot be read, lacks the layer, the attribute or a CRS, meets no
                image, or has other values than *class_names*, or too many.

        Warns:
            UserWarning: If features have no value, values look alike, images have no feature, or
                features of different classes overlap.
        """
        self.tiles = images.tiles
        check_places(images, needed_by=str(labels))
        frame = read_vectors(labels, layer=layer)
        known = [name for name in frame.columns if name != frame.geometry.name]
        if attribute is not None and attribute not in known:
            raise ValueError(f'{labels} has no attribute {attribute!r}, only {known}')
        places, (met, used) = place_features(frame.geometry, self.tiles, source=str(labels))
        if empty := np.flatnonzero(~met).tolist():
            rank_zero_warn(
                f'{len(empty)} of {len(places)} images meet no feature of {labels}, one is '
                f'{images.files[empty[0]]}'
            )
        where = f'{attribute!r} of {labels}'
        self.class_names: tuple[str, ...]
        texts = [] if attribute is None else attribute_texts(frame[attribute])
        if attribute is None:
            (name,) = class_names
            self.class_names, codes = (name,), np.zeros(len(frame), dtype=np.int16)
        elif classes is None:
            self.class_names, codes = choose_classes(
                texts, used, tuple(map(str, class_names)), attribute=attribute, source=str(labels)
            )
        else:
            self.class_names, codes = assign_classes(texts, used, classes, ignore, where=where)
        self.class_colors: Colors = ()
        report_overlaps(places, self.tiles, codes, self.class_names, source=str(labels))
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
        return burn_features(self._placed[tile], self.tiles[tile], window, values, fill=fill)


def check_places(images: RasterTiles, *, needed_by: str) -> None:
    """Refuse images without a place, which no feature can lie over.

    Raises:
        ValueError: Names the first one.
    """
    for file, tile in zip(images.files, images.tiles, strict=True):
        if tile.crs is None:
            raise ValueError(
                f'{needed_by} lies on the ground, but {file} {describe_lack(tile)}; pass masks, or '
                'images with a place (advice for one image: '
                f'{advise_place(tile, has_option=False)})'
            )


def burn_features(
    placed: PlacedFeatures, grid: Grid, window: Window, values: NDArray[np.uint8], *, fill: int
) -> NDArray[np.uint8]:
    """Give each pixel of a window the value of the last feature over its centre.

    Args:
        placed: Features in the CRS of the image.
        grid: Where the pixels of the image lie.
        window: Pixels of the image.
        values: One per feature.
        fill: Value of pixels under none.

    Returns:
        Shape (window.height, window.width).
    """
    left, top, right, bottom = window.col_off, window.row_off, window.col_stop, window.row_stop
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    nearby = np.sort(placed.tree.query(Polygon(place_points(grid.transform, corners))))
    return burn(
        placed.geometries[nearby],
        values[nearby],
        transform=grid.transform @ Affine.translation(left, top),
        height=window.height,
        width=window.width,
        fill=fill,
    )
