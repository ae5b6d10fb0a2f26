"""Pictures of a map and its scene: the whole of both, and what is around single pixels."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from os import PathLike
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from ..accuracy.disagreements import Disagreement
from ..accuracy.figures import Accuracy, MapClass
from ..bands import shown_bands
from ..geoio.read import (
    RasterHeader,
    Reader,
    describe_reader,
    find_rule,
    open_reader,
    read_header,
    read_valid,
    read_window,
)
from ..geoio.warp import on_one_grid, open_aligned
from ..inference.preview.quicklook import (
    NO_OBSERVATION,
    Sheet,
    ShownScene,
    paint_bands,
    show_scenes,
)
from ..pictures import find_limits, paint_classes
from ..windows import Window
from .page import element

_OTHER = (255, 255, 255)
"""Colour of values that are no class."""

# Longest side of a map in the page, and of what is shown around a pixel, in pixels
_SIDE, _CHIP = 760, 48

type Image = NDArray[np.uint8]
"""Red, green and blue, shape (rows, cols, 3)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MapPictures:
    """How a map looks."""

    header: RasterHeader
    """Of the map."""

    whole: Image
    """The map."""

    scene: Image | None
    """The scene on the grid of the map; None where there is none."""

    scene_bands: str
    """What of the scene is shown."""

    places: tuple[tuple[float, float], ...]
    """Where the chosen pixels are in the picture: shares of its width and height."""

    chips: 'tuple[Chip, ...]'
    """What is around each."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chip:
    """What is around one pixel."""

    map: Image
    """Classes."""

    scene: Image | None
    """The scene; None where there is none."""

    center: tuple[float, float]
    """Where the pixel is: shares of width and height."""


def take_pictures(
    map_path: str | PathLike[str], accuracy: Accuracy, *, scene: str | PathLike[str] | None
) -> MapPictures:
    """Read how a map looks as a whole, and around the pixels where it differs from a reference.

    Args:
        map_path: Raster of classes.
        accuracy: Tells classes and pixels.
        scene: Raster that the map was made of, on any grid.

    Raises:
        OSError: If a file cannot be read.
        ValueError: If *scene* has no place on the grid of the map.
    """
    classes, worst = accuracy.counts.classes, accuracy.disagreements
    with open_reader(map_path) as src:
        header = describe_reader(src)
        sheet = Sheet.of(header, side=_SIDE)
        (values,), valid = sheet.read(src, bands=[1], resampling='nearest')
        whole = paint_values(values, valid, classes)
        windows = [chip_window(one, header) for one in worst]
        maps = [read_classes(src, window, classes) for window in windows]
    shown, text = None, ''
    looks: Sequence[Image | None] = [None] * len(worst)
    if scene is not None:
        bands = read_header(scene).data_bands
        (panel,) = show_scenes([ShownScene(path=scene, bands=bands)], sheet, valid)
        shown, text = panel.pixels, panel.title
        looks = read_scene(scene, header, windows, bands=bands)
    points = np.array([(one.col + 0.5, one.row + 0.5) for one in worst]).reshape(-1, 2)
    placed = sheet.place(np.stack(header.transform @ points.T, axis=1)) / sheet.shape[::-1]
    chips = tuple(
        Chip(
            map=painted,
            scene=look,
            center=(
                (one.col + 0.5 - window.col_off) / window.width,
                (one.row + 0.5 - window.row_off) / window.height,
            ),
        )
        for one, window, painted, look in zip(worst, windows, maps, looks, strict=True)
    )
    places = tuple((float(x), float(y)) for x, y in placed)
    return MapPictures(
        header=header, whole=whole, scene=shown, scene_bands=text, places=places, chips=chips
    )


def paint_values(
    values: NDArray[np.generic], valid: NDArray[np.bool_], classes: Sequence[MapClass]
) -> Image:
    """Turn values into the colours of their classes.

    Args:
        values: Shape (rows, cols).
        valid: Where there is an observation, shape (rows, cols).
        classes: By ascending value.
    """
    known = np.array([one.value for one in classes])
    place = np.minimum(np.searchsorted(known, values), len(known) - 1)
    place = np.where(known[place] == values, place, -1)
    painted = paint_classes(place, [one.color for one in classes], others=_OTHER)
    painted[~valid] = NO_OBSERVATION
    return painted


def chip_window(one: Disagreement, header: RasterHeader) -> Window:
    """Choose the pixels around one, all within the raster."""
    height, width = min(_CHIP, header.height), min(_CHIP, header.width)
    return Window(
        row_off=min(max(one.row - height // 2, 0), header.height - height),
        col_off=min(max(one.col - width // 2, 0), header.width - width),
        height=height,
        width=width,
    )


def read_classes(src: Reader, window: Window, classes: Sequence[MapClass]) -> Image:
    """Read a part of a map."""
    (values,) = read_window(src, window, bands=[1])
    return paint_values(values, read_valid(src, window, bands=[1]), classes)


def read_scene(
    scene: str | PathLike[str],
    grid: RasterHeader,
    windows: Sequence[Window],
    *,
    bands: Sequence[int],
) -> list[Image]:
    """Read parts of a scene in its colours; one value has one brightness in all of them."""
    with ExitStack() as opened:
        src = opened.enter_context(open_reader(scene))
        header = describe_reader(src)
        names = [header.names[band - 1] for band in bands]
        meanings = [header.interpretations[band - 1] for band in bands]
        chosen = [bands[place] for place in shown_bands(names, meanings)]
        if not on_one_grid(header, grid):
            src = opened.enter_context(
                open_aligned(scene, grid, bands=bands, rule=find_rule(src, bands))
            )
        pixels = [read_window(src, window, bands=chosen) for window in windows]
        valid = [read_valid(src, window, bands=chosen) for window in windows]
    if not windows:
        return []
    limits = [
        find_limits(
            np.concatenate([part[i][seen] for part, seen in zip(pixels, valid, strict=True)])
        )
        for i in range(len(chosen))
    ]
    return [paint_bands(part, seen, limits) for part, seen in zip(pixels, valid, strict=True)]


def marked(picture: Element, places: Sequence[tuple[float, float]], *, numbered: bool) -> Element:
    """Put marks over a picture, at shares of its width and height."""
    marks = [
        element(
            'span', *([str(number)] if numbered else []),
            class_='number' if numbered else 'ring', style=f'left:{100 * x:.2f}%;top:{100 * y:.2f}%',
        )
        for number, (x, y) in enumerate(places, start=1)
    ]  # fmt: skip
    return element('div', picture, *marks, class_='over')
