"""One picture of the polygons of a class map."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from ...geoio.read import RasterHeader, read_header
from ...geoio.write import Color, new_file
from .picture import Panel, align, save_picture, to_bytes
from .scenery import Scenery
from .shapes import Geometries, Shapes, place_polygons
from .sheet import Sheet

MOST_POLYGONS = 20_000
"""More of them are no longer seen one by one."""

# below polygons, where there is no scene
_PAPER = (246, 246, 243)

# square metres of a unit, and how it is written
_UNITS = ((1e6, 'km²'), (1e4, 'ha'), (1.0, 'm²'))


@dataclass(frozen=True, slots=True, kw_only=True)
class PolygonClass:
    """What the legend says about a class."""

    name: str
    color: Color
    count: int
    """Polygons."""

    area_m2: float | None
    """Their area; None where the CRS does not tell."""


class Sketch:
    """Keeps the largest of many polygons, no finer than they are seen."""

    def __init__(
        self, header: RasterHeader, *, max_side: int = 1200, most: int = MOST_POLYGONS
    ) -> None:
        """Initialize a new Sketch instance.

        Args:
            header: Of the class map.
            max_side: Longest side of the map in the picture, in pixels.
            most: Polygons that are drawn.
        """
        self.sheet = Sheet.of(header, side=max_side)
        self.most = most
        self.count = 0
        self._polygons: Geometries = np.zeros(0, dtype=np.object_)
        self._values = np.zeros(0, dtype=np.int64)
        self._areas = np.zeros(0)

    def add(self, polygons: Geometries, values: NDArray[np.int64]) -> None:
        """Take further polygons.

        Args:
            polygons: In the CRS of the map.
            values: Class of each.
        """
        self.count += len(polygons)
        areas = shapely.area(polygons)
        # once there are enough, most are smaller than all of these
        is_large = areas > (self._areas[-1] if len(self._areas) == self.most else 0)
        chosen = np.flatnonzero(is_large)
        chosen = chosen[np.argsort(-areas[chosen], kind='stable')[: self.most]]
        placed, origin = place_polygons(polygons[chosen], self.sheet)
        every = np.concatenate([self._areas, areas[chosen][origin]])
        order = np.argsort(-every, kind='stable')[: self.most]
        self._areas = every[order]
        self._values = np.concatenate([self._values, values[chosen][origin]])[order]
        self._polygons = np.concatenate([self._polygons, placed])[order]

    def save(
        self,
        destination: Path,
        classes: dict[int, PolygonClass],
        *,
        names: Sequence[str],
        scene: str | PathLike[str] | None = None,
        overwrite: bool = False,
    ) -> None:
        """Draw the polygons over a scene or over paper, as a PNG file.

        Args:
            destination: PNG file to write.
            classes: Of every value.
            names: File names that head the picture.
            scene: A raster of that place, resampled where it has another grid.
            overwrite: Replace an existing file.

        Raises:
            FileExistsError: If *destination* exists and *overwrite* is False.
            OSError: If the scene cannot be read, or the picture not be written.
        """
        colors = np.array([classes[value].color for value in self._values.tolist()])
        panel = Panel(
            title=_title(self.count, most=self.most),
            pixels=self.sheet.turn(self._ground(scene)),
            shapes=Shapes(
                # small ones above large ones
                polygons=self._polygons,
                colors=colors.reshape(-1, 3) / 255,
                is_filled=True,
            ),
        )
        with new_file(destination, overwrite=overwrite) as temporary:
            save_picture(
                temporary,
                [panel],
                names=names,
                legend=_list_classes(list(classes.values())),
                metres_per_pixel=self.sheet.metres_per_pixel,
            )

    def _ground(self, scene: str | PathLike[str] | None) -> NDArray[np.uint8]:
        """Draw what lies below the polygons."""
        if scene is None:
            return np.full((*self.sheet.shape, 3), _PAPER, dtype=np.uint8)
        header = read_header(scene)
        bands = [band for band in range(1, header.count + 1) if band not in header.alpha]
        scenery = Scenery.read(scene, self.sheet, bands=bands)
        return to_bytes(scenery.show(scenery.find_limits()), scenery.valid)


def _title(count: int, *, most: int) -> str:
    """Say how many polygons there are, and whether all are drawn."""
    if count > most:
        return f'Polygons: the {most:,} largest of {count:,}'
    return f'Polygons: {count:,}' if count else 'Polygons: none'


def _list_classes(classes: Sequence[PolygonClass]) -> list[tuple[str, Color]]:
    """Make the entries of a legend: the area of each class, or how many polygons it has."""
    areas = [one.area_m2 for one in classes if one.area_m2 is not None]
    if len(areas) < len(classes):
        numbers = [f'{one.count:,}' for one in classes]
    else:
        size, unit = next((u for u in _UNITS if max(areas, default=0) >= u[0]), _UNITS[-1])
        numbers = [f'{area / size:,.{0 if size == 1 else 1}f} {unit}' for area in areas]
    return [
        (f'{number}  {one.name}', one.color)
        for number, one in zip(align(numbers), classes, strict=True)
    ]
