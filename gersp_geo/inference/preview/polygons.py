"""Pictures of objects, and of the polygons of a class map, over a scene."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas
import numpy as np
import shapely
from numpy.typing import NDArray

from ...geoio.crs import crs_text, turn_of
from ...geoio.grids import Grid
from ...geoio.read import Observed, RasterHeader, read_header
from ...geoio.vector import bring_near
from ...geoio.write import Color, class_color
from .layout import DPI, Entry, check_picture, save_picture
from .quicklook import Panel, Sheet, ShownScene, show_scenes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

type Geometries = NDArray[np.object_]
"""Polygons."""

# Of more objects than this, the best are drawn: they are a pattern rather than objects.
_MOST_OBJECTS = 5000

# Of more polygons than this, the largest are drawn: nobody sees all of them one by one.
_MOST_POLYGONS = 20_000

# Longest side of a map of polygons in a picture, in pixels.
_MAP_SIDE = 1200

# Objects that would not be seen are enlarged to this side.
_SMALLEST_PX = 2.0

# Nobody sees what is nearer to a straight line than this.
_FINEST_PX = 0.15

# Outlines are this wide around objects of no side, and around those of the side below or more.
_OUTLINES_PX = (1.3, 2.6)
_LARGE_PX = 30.0

# The dark line below a coloured one is wider on both sides together.
_RIM_PX = 1.4
_RIM_COLOR = (30, 30, 30)

# Polygons of a map have this border, and let as much of the ground be seen.
_BORDER_PX = 0.8
_OPACITY = 0.5

# The colour below polygons where there is no scene.
_PAPER = (246, 246, 243)

# Square metres of a unit, and how it is written.
_UNITS = ((1e6, 'km²'), (1e4, 'ha'), (1.0, 'm²'))


def write_objects_preview(
    scene: str | PathLike[str],
    objects: geopandas.GeoDataFrame,
    destination: str | PathLike[str],
    *,
    bands: Sequence[int],
    name: str = '',
    grid: RasterHeader | None = None,
    nodata: float | None = None,
    observed: Observed = 'auto',
    colors: Mapping[int, Color] | None = None,
    most: int = _MOST_OBJECTS,
    max_side: int = 1200,
    overwrite: bool = False,
) -> Path:
    """Draw a scene with the outlines of objects over it, as a PNG file.

    Args:
        scene: The raster in which they were found, read through overviews.
        objects: As :func:`gersp_geo.inference.detection.detect_objects` writes them: polygons of
            any CRS, with ``class``, ``class_name`` and ``score``. What lies elsewhere is left out.
        destination: PNG file to write.
        bands: 1-based bands of the scene; those that are red, green and blue by name or meaning
            are shown, else the first three, or the first as grey.
        name: Of the objects, for the head of the picture.
        grid: Header of the grid to show, if not that of the scene; with a CRS.
        nodata: Value that means "no observation", besides what the scene says itself.
        observed: Where a pixel is an observation, as in ``predict_geotiff``.
        colors: Of classes; others get some.
        most: Objects that are drawn: those of the best scores.
        max_side: Longest side of the scene in the picture, in pixels.
        overwrite: Replace an existing file.

    Returns:
        *destination* as a path.

    Raises:
        FileExistsError: If *destination* exists and *overwrite* is False.
        FileNotFoundError: If there is no such scene.
        UnreadableFileError: If GDAL cannot read it.
        ValueError: If *destination* is no .png, or scene or objects have no CRS.
    """
    final = Path(destination)
    check_picture(final, overwrite=overwrite)
    header = read_header(scene) if grid is None else grid
    if header.crs is None or objects.crs is None:
        raise ValueError(f'{fspath(scene)} and its objects need a CRS to be drawn, one has none')
    sheet = Sheet.of(header, side=max_side)
    if objects.empty:
        # GeoJSON without features has no columns.
        objects = objects.reindex(columns=['class', 'class_name', 'score', objects.geometry.name])
    polygons, turn = objects.geometry.to_crs(crs_text(header.crs)).to_numpy(), turn_of(header.crs)
    # GeoJSON cuts objects at 180 degrees into parts.
    polygons, origin = shapely.get_parts(polygons, return_index=True)
    if turn is not None:
        # Longitudes of GeoJSON end there, and those of the scene may not.
        polygons = bring_near(polygons, turn, Grid.of(header).x_range())
    polygons, is_on = _place_objects(polygons, sheet)
    parts = objects.iloc[origin[is_on]].assign(outline=polygons[is_on])
    found = objects.iloc[np.unique(origin[is_on])]
    classes = found.groupby('class')['class_name'].agg(['first', 'size'])
    palette = {
        label: (colors or {}).get(label, class_color(place))
        for place, label in enumerate(classes.index.tolist())
    }
    legend = []
    for label, class_name, count in classes.itertuples():
        known = class_name if isinstance(class_name, str) else f'class {label}'
        legend.append((f'{count:,}', known, palette[label]))
    # The best ones lie above the others.
    drawn = parts.sort_values('score', kind='stable').tail(most)
    outlines = drawn['outline'].to_numpy(), [palette[label] for label in drawn['class']]
    shown = ShownScene(path=scene, bands=bands, nodata=nodata, observed=observed)
    panel = Panel(
        title=_title('Objects', 'best', len(found), most=most),
        pixels=show_scenes([shown], sheet)[0].pixels,
        add=lambda axes: _add_outlines(axes, *outlines),
    )
    names = [Path(scene).name, *([name] if name else [])]
    return save_picture(final, [panel], sheet, names=names, legend=legend, overwrite=overwrite)


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

    def __init__(self, header: RasterHeader, *, most: int = _MOST_POLYGONS) -> None:
        """Initialize a new Sketch instance.

        Args:
            header: Of the class map.
            most: Polygons that are drawn.
        """
        self.sheet = Sheet.of(header, side=_MAP_SIDE)
        self.most = most
        self.count = 0
        self._polygons = np.zeros(0, dtype=np.object_)
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
        # Once there are enough, most are smaller than all of these.
        least = self._areas[-1] if len(self._areas) == self.most else 0
        chosen = np.flatnonzero(areas > least)
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
        classes: Mapping[int, PolygonClass],
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
        pixels = np.full((*self.sheet.shape, 3), _PAPER, dtype=np.uint8)
        if scene is not None:
            bands = read_header(scene).data_bands
            pixels = show_scenes([ShownScene(path=scene, bands=bands)], self.sheet)[0].pixels
        # Small ones lie above large ones.
        colors = [classes[value].color for value in self._values.tolist()]
        panel = Panel(
            title=_title('Polygons', 'largest', self.count, most=self.most),
            pixels=pixels,
            add=lambda axes: _add_paths(
                axes, self._polygons, colors, width=_BORDER_PX, opacity=_OPACITY
            ),
        )
        legend = _list_areas(list(classes.values()))
        save_picture(
            destination, [panel], self.sheet, names=names, legend=legend, overwrite=overwrite
        )


def place_polygons(polygons: Geometries, sheet: Sheet) -> tuple[Geometries, NDArray[np.int64]]:
    """Bring polygons to a picture, without what is too small to be seen.

    Args:
        polygons: In the CRS of the sheet, maybe of several parts.
        sheet: How its grid is shown.

    Returns:
        Polygons in (column, row) of the picture, and which of those given each is, ascending.
    """
    placed = shapely.transform(polygons, sheet.place)
    coarse = shapely.simplify(placed, _FINEST_PX, preserve_topology=False)
    parts, origin = shapely.get_parts(coarse, return_index=True)
    is_seen = ~shapely.is_empty(parts)
    return parts[is_seen], origin[is_seen]


def _place_objects(polygons: Geometries, sheet: Sheet) -> tuple[Geometries, NDArray[np.bool_]]:
    """Bring objects to a picture, small ones enlarged, and say which of them lie on it."""
    placed = shapely.transform(polygons, sheet.place)
    bounds = shapely.bounds(placed)
    low, high = bounds[:, :2], bounds[:, 2:]
    is_on = (high > 0).all(axis=1) & (low < sheet.shape[::-1]).all(axis=1)
    is_small = (high - low).max(axis=1) < _SMALLEST_PX
    middles, half = (low + high)[is_small] / 2, _SMALLEST_PX / 2
    placed[is_small] = shapely.box(*(middles - half).T, *(middles + half).T)
    return placed, is_on


def _add_outlines(axes: 'Axes', polygons: Geometries, colors: Sequence[Color]) -> None:
    """Draw outlines above a wider dark line, so that they show on bright and on dark ground.

    They are thinner where most objects are small.
    """
    bounds = shapely.bounds(polygons)
    sides = (bounds[:, 2:] - bounds[:, :2]).max(axis=1) * DPI / axes.figure.dpi
    side = np.median(sides) if len(sides) else 0
    width = float(np.interp(side, (0, _LARGE_PX), _OUTLINES_PX))
    _add_paths(axes, polygons, [_RIM_COLOR], width=width + _RIM_PX, opacity=0)
    _add_paths(axes, polygons, colors, width=width, opacity=0)


def _add_paths(
    axes: 'Axes', polygons: Geometries, colors: Sequence[Color], *, width: float, opacity: float
) -> None:
    """Draw polygons in (column, row) of an image; *width* of their borders is in pixels."""
    from matplotlib.collections import PathCollection
    from matplotlib.path import Path as Outline

    if not len(polygons):
        return
    # To matplotlib, what runs the other way round is a hole.
    _, points, (rings, owners) = shapely.to_ragged_array(shapely.orient_polygons(polygons))
    codes = np.full(len(points), Outline.LINETO, dtype=Outline.code_type)
    codes[rings[:-1]] = Outline.MOVETO
    codes[rings[1:] - 1] = Outline.CLOSEPOLY
    ranges = [slice(*pair) for pair in pairwise(rings[owners].tolist())]
    borders = np.array(colors) / 255
    drawn = PathCollection(
        [Outline(points[some], codes[some]) for some in ranges],
        facecolors=np.insert(borders, 3, opacity, axis=1),
        edgecolors=borders,
        linewidths=width * 72 / DPI,
        joinstyle='miter',
    )
    axes.add_collection(drawn, autolim=False)


def _title(word: str, kind: str, count: int, *, most: int) -> str:
    """Say how many shapes there are, and which of them are drawn if they are too many."""
    if count > most:
        return f'{word}: the {kind} {most:,} of {count:,}'
    return f'{word}: {count:,}' if count else f'{word}: none'


def _list_areas(classes: Sequence[PolygonClass]) -> list[Entry]:
    """List classes with their areas, or with how many polygons they have."""
    areas = [one.area_m2 for one in classes if one.area_m2 is not None]
    if len(areas) < len(classes):
        numbers = [f'{one.count:,}' for one in classes]
    else:
        size, unit = next((u for u in _UNITS if max(areas, default=0) >= u[0]), _UNITS[-1])
        numbers = [f'{area / size:,.{0 if size == 1 else 1}f} {unit}' for area in areas]
    return [(number, one.name, one.color) for number, one in zip(numbers, classes, strict=True)]
