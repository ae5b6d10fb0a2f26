"""One picture of the objects in a scene."""

from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path

import geopandas
import numpy as np
import shapely

from ...geoio.crs import crs_text, turn_of
from ...geoio.grids import Grid
from ...geoio.read import Observed, RasterHeader, read_header
from ...geoio.vector import bring_near
from ...geoio.write import Color, class_color, new_file
from .picture import Panel, align, check_picture, save_picture, to_bytes
from .scenery import Scenery
from .shapes import Shapes
from .sheet import Sheet

MOST_OBJECTS = 5000
"""More of them are a pattern rather than objects."""

# side to which objects are enlarged that would not be seen
_SMALLEST_PX = 2.0


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
    most: int = MOST_OBJECTS,
    max_side: int = 1200,
    overwrite: bool = False,
) -> Path:
    """Draw a scene with the outlines of objects over it, as a PNG file.

    Args:
        scene: The raster in which they were found, read through overviews.
        objects: As :func:`gersp_geo.inference.detection.detect_objects` writes them: polygons of
            any CRS, with ``class``, ``class_name`` and ``score``. What lies elsewhere is left out.
        destination: PNG file to write.
        bands: As in :func:`.maps.write_preview`.
        name: Of the objects, for the head of the picture.
        grid: Header of the grid to show, if not that of the scene; with a CRS.
        nodata: As in :func:`.maps.write_preview`.
        observed: As in :func:`.maps.write_preview`.
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
    scenery = Scenery.read(scene, sheet, bands=bands, nodata=nodata, observed=observed)
    image = to_bytes(scenery.show(scenery.find_limits()), scenery.valid)
    located, turn = objects.to_crs(crs_text(header.crs)), turn_of(header.crs)
    if turn is not None:
        # of GeoJSON, longitudes end at 180 degrees, and those of the scene may not
        near = bring_near(located.geometry.to_numpy(), turn, Grid.of(header).x_range())
        located = located.set_geometry(near, crs=located.crs)
    objects = _place(located, sheet)
    palette = {
        int(label): (colors or {}).get(int(label), class_color(place))
        for place, label in enumerate(sorted(objects['class'].unique()))
    }
    # the best ones above the others
    drawn = objects.sort_values('score', kind='stable').tail(most)
    panel = Panel(
        title=_title(len(objects), most=most),
        pixels=sheet.turn(image),
        shapes=Shapes(
            polygons=drawn.geometry.to_numpy(),
            colors=np.array([palette[label] for label in drawn['class']]).reshape(-1, 3) / 255,
            is_filled=False,
        ),
    )
    with new_file(final, overwrite=overwrite) as temporary:
        save_picture(
            temporary,
            [panel],
            names=[Path(scene).name, *([name] if name else [])],
            legend=_list_classes(objects, palette),
            metres_per_pixel=sheet.metres_per_pixel,
        )
    return final


def _title(count: int, *, most: int) -> str:
    """Say how many objects there are, and whether all are drawn."""
    if count > most:
        return f'Objects: the best {most:,} of {count:,}'
    return f'Objects: {count:,}' if count else 'Objects: none'


def _place(objects: geopandas.GeoDataFrame, sheet: Sheet) -> geopandas.GeoDataFrame:
    """Bring objects to the image of a sheet: those on it, and enlarged if too small to be seen."""
    polygons = shapely.transform(objects.geometry.to_numpy(), sheet.place)
    bounds = shapely.bounds(polygons)
    middles = (bounds[:, :2] + bounds[:, 2:]) / 2
    is_small = (bounds[:, 2:] - bounds[:, :2]).max(axis=1, initial=0) < _SMALLEST_PX
    dots = shapely.box(*(middles - _SMALLEST_PX / 2).T, *(middles + _SMALLEST_PX / 2).T)
    rows, cols = sheet.shape
    is_on = (bounds[:, 2:] > 0).all(axis=1) & (bounds[:, :2] < (cols, rows)).all(axis=1)
    placed = objects.set_geometry(np.where(is_small, dots, polygons), crs=None)
    located: geopandas.GeoDataFrame = placed[is_on]
    return located


def _list_classes(
    objects: geopandas.GeoDataFrame, palette: Mapping[int, Color]
) -> list[tuple[str, Color]]:
    """Make the entries of a legend: how many objects of which class."""
    counts = objects['class'].value_counts()
    names = objects.groupby('class')['class_name'].first()
    numbers = align([f'{counts[label]:,}' for label in palette])
    return [
        (f'{number}  {f"class {label}" if names.isna()[label] else names[label]}', color)
        for number, (label, color) in zip(numbers, palette.items(), strict=True)
    ]
