"""Pictures of the surroundings of the points of a sample, for who interprets them."""

import math
from os import PathLike, fspath
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pyproj import CRS, Transformer

from ...bands import shown_bands
from ...geoio.crs import crs_text, turn_of
from ...geoio.grids import place_points
from ...geoio.pixel_area import pixel_size_m
from ...geoio.read import RasterHeader, Reader, open_reader, read_header, read_valid, read_window
from ...geoio.warp import advise_place, describe_lack
from ...geoio.write import new_folder
from ...messages import name_some
from ...pictures import find_limits, stretch_values
from ...windows import Window
from .samples import SampleDesign, SamplePoints

# Sides of what is shown: pixels of the scene, metres and pixels of the map at least.
_SIDE_PX, _SIDE_M, _SIDE_MAP_PX = 64, 100.0, 3

# Pixels of the scene at most: more are a slip, as of a map of kilometres over a picture of a drone.
_LARGEST_PX = 2048

# Pixels of a picture: smaller ones are enlarged.
_PICTURE_PX = 384

_OUTLINE, _RIM = (255, 0, 0), (255, 255, 0)
_RIM_PX = 2
_NOTHING = np.array([246, 246, 243], dtype=np.uint8)


def check_chips(chips: str | PathLike[str] | None, scene: str | PathLike[str] | None) -> None:
    """Refuse pictures that could not be made, before anything is done.

    Raises:
        FileExistsError: If there is something in the folder.
        FileNotFoundError: If there is no such scene.
        ValueError: If one is given without the other, or the scene has no CRS.
    """
    if (chips is None) != (scene is None):
        raise ValueError(
            'pictures need a folder and a scene (--chips DIR --scene SCENE), got only '
            f'{"the scene" if chips is None else "the folder"}'
        )
    if chips is None or scene is None:
        return
    folder = Path(chips)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f'{folder} exists and is not an empty folder; pass a new folder')
    if (header := read_header(scene)).crs is None:
        raise ValueError(
            f'{fspath(scene)} {describe_lack(header)}, so that nobody knows what lies around a '
            f'point; {advise_place(header, has_option=False)}'
        )


def write_chips(
    folder: str | PathLike[str],
    scene: str | PathLike[str],
    points: SamplePoints,
    design: SampleDesign,
) -> int:
    """Write a PNG file per point, ``ID.png``, with the pixel of the map outlined.

    It shows at least 64 pixels of the scene, 100 m and 3 pixels of the map; colours are stretched
    over the values in it. Where the scene has no observation there is paper.

    Args:
        folder: To make.
        scene: Raster that is shown, with a CRS.
        points: The sample.
        design: How it was drawn.

    Returns:
        How many there are: none of points beyond the scene.

    Raises:
        FileExistsError: If there is something in *folder*.
        ValueError: If no point lies on the scene, or pixels of the map are too large for it.
        OSError: If the scene is damaged, or a picture cannot be written.
    """
    with open_reader(scene) as src, new_folder(folder) as made:
        header = read_header(scene)
        corners = _place_corners(points, design, header)
        middles = corners.mean(axis=1)
        size = (header.width, header.height)
        is_inside = ((middles >= 0) & (middles < size)).all(axis=1)
        if not is_inside.any():
            raise ValueError(
                f'no point lies on the scene {fspath(scene)}: they lie at rows and columns such as '
                f'{name_some([tuple(np.round(each[::-1]).tolist()) for each in middles], most=2)}; '
                'pass the scene of the map'
            )
        side = _choose_side(header, corners[is_inside], scene)
        for index in np.flatnonzero(is_inside).tolist():
            picture = _draw(src, header, corners[index], side)
            picture.save(made / f'{points.ids[index]}.png')
    return int(is_inside.sum())


def _place_corners(
    points: SamplePoints, design: SampleDesign, header: RasterHeader
) -> NDArray[np.float64]:
    """Find the corners of the pixels of the map in (column, row) of a scene, shape (n, 4, 2)."""
    steps = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)])
    cols, rows = points.cols[:, None] + steps[:, 0], points.rows[:, None] + steps[:, 1]
    placed = design.place(rows.ravel(), cols.ravel())
    assert header.crs is not None
    source, target = CRS.from_wkt(design.crs), CRS.from_wkt(crs_text(header.crs))
    if source != target:
        convert = Transformer.from_crs(source, target, always_xy=True)
        placed = np.stack(convert.transform(*placed.T), axis=1)
    if (turn := turn_of(header.crs)) is not None:
        left, right = header.x_range()
        placed[:, 0] = turn.into(placed[:, 0], (left + right) / 2)
    # what has no place there is infinite, and lies on no scene
    return place_points(~header.transform, placed).reshape(-1, 4, 2)


def _choose_side(
    header: RasterHeader, corners: NDArray[np.float64], scene: str | PathLike[str]
) -> int:
    """Choose how many pixels of the scene are shown."""
    pixel = float(np.median(np.ptp(corners, axis=1).max(axis=1)))
    sides = pixel_size_m(header)
    in_metres = 0.0 if sides is None else _SIDE_M / min(sides)
    side = math.ceil(max(_SIDE_PX, in_metres, _SIDE_MAP_PX * pixel))
    if side > _LARGEST_PX:
        raise ValueError(
            f'a picture of a point would be {side} pixels of {fspath(scene)} wide, and ends at '
            f'{_LARGEST_PX}; pass a coarser scene'
        )
    return side


def _draw(
    src: Reader, header: RasterHeader, corners: NDArray[np.float64], side: int
) -> Image.Image:
    """Draw the surroundings of a pixel."""
    col, row = (int(each) for each in np.floor(corners.mean(axis=0)) - side // 2)
    window = Window(row_off=row, col_off=col, height=side, width=side)
    bands = header.data_bands or [1]
    chosen = [bands[place] for place in shown_bands([header.names[band - 1] for band in bands])]
    pixels = read_window(src, window, bands=chosen)
    valid = read_valid(src, window, bands=chosen)
    rows, cols = np.arange(row, row + side), np.arange(col, col + side)
    valid &= ((rows >= 0) & (rows < header.height))[:, None] & (cols >= 0) & (cols < header.width)
    shown = stretch_values(pixels, find_limits(pixels[:, valid]))
    colors = np.broadcast_to(shown.transpose(1, 2, 0) * 255, (side, side, 3)).astype(np.uint8)
    picture = Image.fromarray(np.where(valid[..., None], colors, _NOTHING))
    factor = max(1, round(_PICTURE_PX / side))
    picture = picture.resize((side * factor, side * factor), Image.Resampling.NEAREST)
    outline = (corners - (col, row)) * factor
    away = outline - outline.mean(axis=0)
    draw = ImageDraw.Draw(picture)
    # red is lost on red ground without a rim
    for gap, color in ((_RIM_PX, _RIM), (0, _OUTLINE)):
        moved = outline + gap * np.sign(away)
        draw.polygon([tuple(corner) for corner in moved.tolist()], outline=color)
    return picture
