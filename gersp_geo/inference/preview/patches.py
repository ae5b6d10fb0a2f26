"""One picture of a scene beside what its patches are."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...geoio.read import Observed, RasterHeader
from ...geoio.vector import read_rows
from ...geoio.write import Color, new_file
from ...tiling import TilePlan
from .picture import NO_OBSERVATION, Panel, align, check_picture, save_picture, to_bytes
from .scenery import Scenery, spread, value_limits
from .sheet import Sheet

# vectors that decide which components are shown; all of a large table would not fit
_SAMPLED = 4096


def write_patches_preview(
    scene: str | PathLike[str],
    table: str | PathLike[str],
    destination: str | PathLike[str],
    *,
    header: RasterHeader,
    tiles: TilePlan,
    bands: Sequence[int],
    nodata: float | None = None,
    observed: Observed = 'auto',
    names: Sequence[str] = (),
    colors: Sequence[Color] = (),
    max_side: int = 1000,
    overwrite: bool = False,
) -> Path:
    """Draw a scene beside the classes of its patches, or beside their vectors as colours.

    The three directions in which vectors differ most (principal components) become red, green and
    blue: patches of one colour are alike. The colours mean nothing else.

    Args:
        scene: The raster, read through overviews.
        table: GeoParquet of its patches.
        destination: PNG file to write.
        header: Of the scene on the grid that was cut.
        tiles: How it was cut.
        bands: As in :func:`.maps.write_preview`.
        nodata: As in :func:`.maps.write_preview`.
        observed: As in :func:`.maps.write_preview`.
        names: Of classes; without, vectors are drawn.
        colors: Of classes.
        max_side: Longest side of the scene in the picture, in pixels.
        overwrite: Replace an existing file.

    Returns:
        *destination* as a path.

    Raises:
        FileExistsError: If *destination* exists and *overwrite* is False.
        ValueError: If *destination* is no .png.
    """
    final = Path(destination)
    check_picture(final, overwrite=overwrite)
    sheet = Sheet.of(header, side=max_side)
    scenery = Scenery.read(scene, sheet, bands=bands, nodata=nodata, observed=observed)
    shown = to_bytes(scenery.show(scenery.find_limits()), scenery.valid)
    legend: list[tuple[str, Color]] = []
    if names:
        title = 'Patches: classes'
        painted, is_known, counts = _paint_classes(table, tiles, colors)
        legend = _list_classes(names, colors, counts)
    else:
        title = 'Patches: vectors, alike where colours are'
        painted, is_known = _paint_vectors(table, tiles)
    if not is_known.all():
        legend.append(('no observation', NO_OBSERVATION))
    rows, cols = _nearest_patches(sheet, tiles)
    image = to_bytes(painted[rows[:, None], cols], is_known[rows[:, None], cols])
    with new_file(final, overwrite=overwrite) as temporary:
        save_picture(
            temporary,
            [
                Panel(title=f'Scene: {", ".join(scenery.names)}', pixels=sheet.turn(shown)),
                Panel(title=title, pixels=sheet.turn(image)),
            ],
            names=[Path(scene).name, Path(table).name],
            legend=legend,
            metres_per_pixel=sheet.metres_per_pixel,
        )
    return final


def _nearest_patches(sheet: Sheet, tiles: TilePlan) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the patch in whose middle each row and each column of a picture lies."""
    found = []
    for shown, length, offsets in (
        (sheet.shape[0], tiles.height, tiles.row_offs),
        (sheet.shape[1], tiles.width, tiles.col_offs),
    ):
        pixels = (np.arange(shown) + 0.5) * length / shown
        patch = (pixels - tiles.overlap / 2) // (tiles.size - tiles.overlap)
        found.append(np.clip(patch, 0, len(offsets) - 1).astype(np.int64))
    return found[0], found[1]


def _paint_classes(
    table: str | PathLike[str], tiles: TilePlan, colors: Sequence[Color]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]:
    """Colour patches by their class; also say where there are any, and how many of each class."""
    palette = np.array(colors) / 255
    painted, is_known = _blank(tiles)
    counts = np.zeros(len(colors), dtype=np.int64)
    for columns in read_rows(table, ('row', 'col', 'class')):
        place = columns['row'], columns['col']
        painted[place], is_known[place] = palette[columns['class']], True
        counts += np.bincount(columns['class'], minlength=len(colors))
    return painted, is_known, counts


def _paint_vectors(
    table: str | PathLike[str], tiles: TilePlan
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Colour patches by the principal components of their vectors."""
    scores, is_known = _blank(tiles)
    sampled = _sample_vectors(table, patches=len(tiles))
    if not len(sampled):
        return scores, is_known
    mean = sampled.mean(axis=0)
    # rows of *axes* are directions, the one of the largest spread first
    *_, axes = np.linalg.svd(sampled - mean, full_matrices=False)
    axes = axes[:3]
    for columns in read_rows(table, ('row', 'col', 'embedding')):
        place = columns['row'], columns['col']
        projected = (columns['embedding'] - mean) @ axes.T
        scores[*place, : len(axes)], is_known[place] = projected, True
    for channel in range(3):
        limits = value_limits(scores[is_known, channel])
        scores[..., channel] = spread(scores[..., channel], limits)
    return scores, is_known


def _sample_vectors(table: str | PathLike[str], *, patches: int) -> NDArray[np.float64]:
    """Take evenly spaced rows of a table, shape (n, D)."""
    step = max(1, patches // _SAMPLED)
    taken, seen = [], 0
    for columns in read_rows(table, ('embedding',)):
        vectors = columns['embedding']
        taken.append(vectors[-seen % step :: step].astype(np.float64))
        seen += len(vectors)
    return np.concatenate(taken) if taken else np.zeros((0, 0))


def _blank(tiles: TilePlan) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Make a map of patches of which nothing is known."""
    shape = len(tiles.row_offs), len(tiles.col_offs)
    return np.zeros((*shape, 3)), np.zeros(shape, dtype=np.bool_)


def _list_classes(
    names: Sequence[str], colors: Sequence[Color], counts: NDArray[np.int64]
) -> list[tuple[str, Color]]:
    """Make the entries of a legend: how many patches of which class, those that were found."""
    found = np.flatnonzero(counts).tolist()
    numbers = align([f'{counts[index]:,}' for index in found])
    return [
        (f'{number}  {names[index]}', colors[index])
        for number, index in zip(numbers, found, strict=True)
    ]
