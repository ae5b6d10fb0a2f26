"""Pictures of objects on their scene: all of them, and those that are wrong from near."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element

import numpy as np
import shapely
from numpy.typing import NDArray

from ..accuracy.objects.layers import FALSE_NEGATIVE, FALSE_POSITIVE, TRUE_POSITIVE
from ..geoio.read import RasterHeader, describe_reader, open_reader
from ..inference.preview.quicklook import Sheet, ShownScene, show_scenes
from ..windows import Window
from .map_pictures import read_scene
from .page import Child, captioned, element, paragraph, picture, section

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

_WORDS = {TRUE_POSITIVE: 'found', FALSE_POSITIVE: 'made up', FALSE_NEGATIVE: 'missed'}
_KINDS = {TRUE_POSITIVE: 'tp', FALSE_POSITIVE: 'fp', FALSE_NEGATIVE: 'fn'}

# Longest side of the scene in the page, and least side of what is around an object, in pixels
_SIDE, _CHIP = 1000, 48
# An object fills this part of what is around it at most
_FILLED = 0.4
# so many wrong objects of each kind are shown, and so many outlines are drawn on the scene
_SHOWN, _MOST_OUTLINES = 6, 3000

type Layers = Mapping[str, 'GeoDataFrame']
"""Objects by the name of their layer, in columns and rows of the scene."""


def show_objects(layers: str | PathLike[str], scene: str | PathLike[str]) -> list[Element]:
    """Show right, wrong and missed objects on their scene.

    Args:
        layers: GeoPackage of ``assess_objects``.
        scene: Raster in which they were found.

    Returns:
        Sections of a page.

    Raises:
        OSError: If a file cannot be read.
        ValueError: If the objects cannot be brought to the scene.
    """
    with open_reader(scene) as src:
        header = describe_reader(src)
    found = read_layers(layers, header)
    sheet = Sheet.of(header, side=_SIDE)
    bands = header.data_bands
    (panel,) = show_scenes([ShownScene(path=scene, bands=bands)], sheet)
    rows, cols = sheet.shape
    counted, drawn = sum(map(len, found.values())), []
    for layer, frame in found.items():
        some = frame.geometry.array[: _MOST_OUTLINES // len(found)]
        corners = shapely.transform(
            np.asarray(some),
            lambda points: sheet.place(np.stack(header.transform @ points.T, axis=1)),
        )
        drawn.append(outlines(corners, kind=_KINDS[layer]))
    whole = overlaid(picture(panel.pixels, text='The scene.', photo=True), drawn, rows, cols)
    left = 'The picture shows some of them. ' if counted > _MOST_OUTLINES else ''
    legend = element('ul', *(name_layer(layer) for layer in found), class_='legend')
    return [
        section(
            'Objects on the scene', captioned(whole, f'{left}{panel.title}.', kind='whole'), legend
        ),
        *show_wrong(found, scene, header, bands=bands),
    ]


def read_layers(path: str | PathLike[str], header: RasterHeader) -> dict[str, 'GeoDataFrame']:
    """Read all layers, and bring them to columns and rows of a raster."""
    import geopandas

    found = {}
    for layer in _WORDS:
        frame = geopandas.read_file(path, layer=layer)
        if frame.crs is not None and header.crs is not None:
            frame = frame.to_crs(header.crs.to_wkt())
        to_pixels = ~header.transform
        placed = shapely.transform(
            np.asarray(frame.geometry.array),
            lambda points, to_pixels=to_pixels: np.stack(to_pixels @ points.T, axis=1),
        )
        inside = shapely.intersects(placed, shapely.box(0, 0, header.width, header.height))
        found[layer] = frame.set_geometry(list(placed), crs=None)[inside]
    return found


def show_wrong(
    found: Layers, scene: str | PathLike[str], header: RasterHeader, *, bands: Sequence[int]
) -> list[Element]:
    """Show wrong objects from near: those with the highest scores, and missed ones by size."""
    made_up, missed = by_size(found[FALSE_POSITIVE]), by_size(found[FALSE_NEGATIVE])
    # a file without scores gives all the same
    scores = [found[layer]['score'] for layer in (TRUE_POSITIVE, FALSE_POSITIVE)]
    is_scored = len(set().union(*scores)) > 1
    if is_scored:
        made_up = made_up.sort_values('score', ascending=False, kind='stable')
    else:
        made_up = made_up.drop(columns='score')
    chosen = [
        (layer, row)
        for layer, frame in ((FALSE_POSITIVE, made_up), (FALSE_NEGATIVE, missed))
        for row in frame.head(_SHOWN).to_dict('records')
    ]
    if not chosen:
        return []
    windows = [window_around(row['geometry'], header) for _, row in chosen]
    looks = read_scene(scene, header, windows, bands=bands)
    shown = []
    for (layer, row), window, look in zip(chosen, windows, looks, strict=True):
        drawn = [
            outlines(near(frame, window), kind=_KINDS[other]) for other, frame in found.items()
        ]
        image = overlaid(
            picture(look, text='The scene.', photo=True), drawn, window.height, window.width
        )
        shown.append(captioned(image, *describe(row, layer), kind='whole'))
    words = {
        f'{"those with the highest scores" if is_scored else "the largest"} that were made up': made_up,
        'the largest that were missed': missed,
    }
    text = ', and '.join(said for said, frame in words.items() if len(frame))
    said = paragraph(f'{text[0].upper()}{text[1:]}.')
    return [section('Wrong objects', said, element('div', *shown, class_='chips'))]


def by_size(frame: 'GeoDataFrame') -> 'GeoDataFrame':
    """Order objects from the largest to the smallest."""
    return frame.iloc[np.argsort(-frame.geometry.area.to_numpy(), kind='stable')]


def describe(fields: Mapping[str, Any], layer: str) -> list[Child]:
    """Say what is wrong with an object, and where it is."""
    score = f', score {fields["score"]:.2f}' if 'score' in fields else ''
    center = fields['geometry'].centroid
    return [
        element('strong', str(fields['class'])),
        f' {_WORDS[layer]}{score}, best IoU {fields["iou"]:.2f}',
        element('span', f'; row {center.y:.0f}, column {center.x:.0f}.', class_='soft'),
    ]


def window_around(outline: shapely.Geometry, header: RasterHeader) -> Window:
    """Choose the square of pixels around an object, as far as it lies in the raster."""
    left, top, right, bottom = outline.bounds
    side = round(max(_CHIP, (right - left) / _FILLED, (bottom - top) / _FILLED))
    height, width = min(side, header.height), min(side, header.width)
    row, col = round((top + bottom - height) / 2), round((left + right - width) / 2)
    return Window(
        row_off=min(max(row, 0), header.height - height),
        col_off=min(max(col, 0), header.width - width),
        height=height,
        width=width,
    )


def near(frame: 'GeoDataFrame', window: Window) -> NDArray[np.object_]:
    """Take the objects that a window shows, in its own columns and rows."""
    corner = np.array([window.col_off, window.row_off])
    box = shapely.box(*corner, window.col_stop, window.row_stop)
    some = np.asarray(frame.geometry.array)[frame.sindex.query(box, predicate='intersects')]
    moved: NDArray[np.object_] = shapely.transform(some, lambda points: points - corner)
    return moved


def outlines(shapes: NDArray[np.object_], *, kind: str) -> Element:
    """Draw the outer borders of shapes, in pixels."""
    rings = shapely.get_exterior_ring(shapely.get_parts(shapes))
    lines = [
        'M' + 'L'.join(f'{x:.1f} {y:.1f}' for x, y in shapely.get_coordinates(ring)) + 'Z'
        for ring in rings
    ]
    return element('path', class_=kind, d=''.join(lines))


def overlaid(image: Element, drawn: Sequence[Element], rows: int, cols: int) -> Element:
    """Draw over a picture of so many rows and columns."""
    svg = element(
        'svg', *drawn, viewBox=f'0 0 {cols} {rows}', preserveAspectRatio='none', aria_hidden='true'
    )
    return element('div', image, svg, class_='over')


def name_layer(layer: str) -> Element:
    """Name a layer beside its colour."""
    square = element('span', class_=f'swatch {_KINDS[layer]}')
    return element('li', square, _WORDS[layer])
