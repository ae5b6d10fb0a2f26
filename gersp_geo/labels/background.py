"""A class of its own for all pixels under no polygon."""

from os import PathLike

import numpy as np
from numpy.typing import NDArray

from ..datasets.raster_tiles import RasterTiles
from ..geoio.vector import read_vectors
from ..windows import Window
from .placement import place_features
from .polygons import VectorLabels, burn_features
from .sources import IGNORE, Colors


class SurveyedArea:
    """Ground on which every object was drawn, as the polygons of a vector file."""

    def __init__(self, images: RasterTiles, area: str | PathLike[str]) -> None:
        """Initialize a new SurveyedArea instance.

        Args:
            images: The images.
            area: Vector file in any CRS, with one layer.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it cannot be read, holds other geometries than polygons, or meets no
                image.
        """
        frame = read_vectors(area)
        drawn = frame.geometry[~(frame.geometry.isna() | frame.geometry.is_empty)]
        kinds = sorted(set(drawn.geom_type) - {'Polygon', 'MultiPolygon'})
        if kinds:
            raise ValueError(f'area must be polygons, got {", ".join(kinds)} in {area}')
        self.tiles = images.tiles
        self._placed, _ = place_features(frame.geometry, self.tiles, source=str(area))

    def read(self, tile: int, window: Window) -> NDArray[np.bool_]:
        """Say which pixels of a window inside image *tile* have their centre in the area."""
        placed = self._placed[tile]
        inside = np.ones(len(placed.geometries), dtype=np.uint8)
        return burn_features(placed, self.tiles[tile], window, inside, fill=0) > 0


class WithBackground:
    """Polygons, and a class of its own, the first one, for all pixels under none.

    With an area, nothing is known outside of it.
    """

    def __init__(
        self, labels: VectorLabels, *, name: str, area: SurveyedArea | None = None
    ) -> None:
        """Initialize a new WithBackground instance.

        Args:
            labels: The polygons.
            name: What the first class is called.
            area: Where all objects were drawn; None means all images.

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
        self.labels, self.area = labels, area
        self.class_names = (name, *labels.class_names)
        # no colour is known for it
        self.class_colors: Colors = ()

    def read(self, tile: int, window: Window) -> NDArray[np.uint8]:
        """Read the classes of a window inside image *tile*, shape (window.height, window.width).

        Class 0 lies under no polygon, and the others are moved up by one. What lies under a polygon
        without a class is neither this nor that, and so is what lies outside the area.
        """
        classes = self.labels.read(tile, window)
        moved = np.where(classes == IGNORE, IGNORE, classes + 1)
        found = np.where(self.labels.read_outside(tile, window), 0, moved)
        if self.area is not None:
            found = np.where(self.area.read(tile, window), found, IGNORE)
        return found.astype(np.uint8)
