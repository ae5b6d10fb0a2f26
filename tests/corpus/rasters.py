"""Small odd rasters: types, tags, masks and layouts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import ColorInterp

from tests.corpus.oracle import Scene

type Make = Callable[[Path], Scene]
"""Writes a scene into an empty folder."""

UTM = CRS.from_epsg(32632)
GRID = Affine(10.0, 0, 399_990.3, 0, -10.0, 5_000_010.7)
ROWS, COLS = 43, 57
TYPES = ('u1', 'i1', 'u2', 'i2', 'u4', 'i4', 'u8', 'i8', 'f2', 'f4', 'f8')


def draw(count: int, dtype: str = 'u1', *, rows: int = ROWS, cols: int = COLS) -> NDArray[Any]:
    """Draw values from 2 to 99, with a fraction in floats; shape (count, rows, cols)."""
    generator = np.random.default_rng(rows + cols)
    drawn = generator.integers(8, 400, (count, rows, cols)) / 4
    kind = np.dtype(dtype)
    return drawn.astype(kind) if kind.kind == 'f' else np.floor(drawn).astype(kind)


def holes(*, rows: int = ROWS, cols: int = COLS, seed: int = 1) -> NDArray[np.bool_]:
    """Draw a large hole, which swallows a whole patch, and single pixels, shape (rows, cols)."""
    generator = np.random.default_rng(seed)
    hole = generator.random((rows, cols)) < 0.08
    hole[: rows // 3, cols // 2 :] = True
    return hole


def band_holes(count: int) -> NDArray[np.bool_]:
    """Draw holes that differ from band to band, and one that all share."""
    apart = np.stack([holes(seed=band) for band in range(count)])
    apart[:, -9:, :20] = True
    return apart


def write(
    path: Path,
    pixels: NDArray[Any],
    *,
    transform: Affine | None = GRID,
    crs: CRS | None = UTM,
    names: tuple[str, ...] = (),
    colors: tuple[ColorInterp, ...] = (),
    mask: NDArray[np.bool_] | None = None,
    driver: str = 'GTiff',
    **profile: Any,
) -> Path:
    """Write a raster."""
    count, height, width = pixels.shape
    place = {} if transform is None else {'transform': transform}
    with rasterio.open(
        path, 'w', driver=driver, count=count, height=height, width=width, dtype=pixels.dtype,
        crs=crs, **place, **profile,
    ) as dst:  # fmt: skip
        if colors:
            dst.colorinterp = colors
        dst.write(pixels)
        if names:
            dst.descriptions = names
        if mask is not None:
            dst.write_mask(mask)
    return path


def placed(path: Path | str, pixels: NDArray[Any], **truth: Any) -> Scene:
    """Describe a scene on the usual grid."""
    return Scene(path=str(path), pixels=pixels, **({'crs': UTM, 'transform': GRID} | truth))


def typed(dtype: str, count: int = 3) -> Make:
    """A type, with neither tag nor mask."""

    def make(folder: Path) -> Scene:
        pixels = draw(count, dtype)
        return placed(write(folder / 'a.tif', pixels), pixels)

    return make


def tagged(dtype: str, tag: float, *, count: int = 3, given: bool = False, rule: str = '') -> Make:
    """A value without observation, in the tag or given, in single bands and in all of them."""

    def make(folder: Path) -> Scene:
        pixels = draw(count, dtype)
        missing = band_holes(count)
        pixels[missing] = np.asarray(tag).astype(dtype)
        # of four bands, the last would be transparency
        how: dict[str, Any] = {'photometric': 'MINISBLACK', 'nodata': None if given else tag}
        path = write(folder / 'a.tif', pixels, **how)
        options: tuple[str, ...] = ('--nodata', repr(tag)) if given else ()
        if rule:
            options += ('--observed', rule)
        chosen: Any = rule or ('any' if dtype in ('u1', 'i1') else 'all')
        # a number of 8 bits is data where another band has an observation
        filled = np.dtype(dtype).itemsize > 1
        return placed(path, pixels, missing=missing, rule=chosen, options=options, filled=filled)

    return make


def unreal(value: float, dtype: str = 'f4') -> Make:
    """NaN or infinity in single bands, in a file that names no value."""
    make = tagged(dtype, value)

    def untagged(folder: Path) -> Scene:
        scene = make(folder)
        write(folder / 'a.tif', scene.pixels)
        return replace(scene, rule='all')

    return untagged


def masked(dtype: str, *, beside: bool = False, count: int = 3, **profile: Any) -> Make:
    """A mask of the whole raster, inside the file or beside it."""

    def make(folder: Path) -> Scene:
        pixels, hole = draw(count, dtype), holes()
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=not beside):
            path = write(folder / 'a.tif', pixels, mask=~hole, **profile)
        assert path.with_name('a.tif.msk').exists() == beside
        return placed(path, pixels, hidden=hole)

    return make


def transparent(dtype: str = 'u1', *, count: int = 3, **profile: Any) -> Make:
    """A last band of transparency, which no model reads."""

    def make(folder: Path) -> Scene:
        pixels, hole = draw(count, dtype), holes()
        opaque = np.where(hole, 0, np.iinfo(dtype).max).astype(dtype)
        colors = (*_colors('rgb' if count == 3 else 'g' * count), ColorInterp.alpha)
        stacked = np.concatenate([pixels, opaque[None]])
        path = write(folder / 'a.tif', stacked, colors=colors, alpha='unspecified', **profile)
        return placed(path, pixels, hidden=hole)

    return make


def alpha_as_data(dtype: str = 'u1', *, named: bool = False) -> Make:
    """Red, green, blue and near infrared, which GDAL takes for transparency."""

    def make(folder: Path) -> Scene:
        pixels = draw(4, dtype)
        pixels[3, holes()] = 0
        names = ('red', 'green', 'blue', 'nir') if named else ()
        path = write(folder / 'a.tif', pixels, names=names, photometric='RGB', alpha='YES')
        with rasterio.open(path) as src:
            assert src.colorinterp[3] == ColorInterp.alpha
        return placed(path, pixels, options=() if named else ('--bands', '1,2,3,4'))

    return make


def colored(
    order: str, *, dtype: str = 'u1', count: int = 3, options: tuple[str, ...] = ()
) -> Make:
    """Bands whose meaning only the colour interpretation tells, such as 'bgr'."""

    def make(folder: Path) -> Scene:
        stored = draw(len(order), dtype)
        path = write(folder / 'a.tif', stored, colors=_colors(order), photometric='MINISBLACK')
        wanted = 'rgbn'[:count]
        return placed(path, stored[[order.index(letter) for letter in wanted]], options=options)

    return make


def named(names: tuple[str, ...], order: tuple[int, ...], **profile: Any) -> Make:
    """Bands whose descriptions tell what they are; *order* gives their places, from 0."""

    def make(folder: Path) -> Scene:
        stored = draw(len(names))
        path = write(folder / 'a.tif', stored, names=names, **profile)
        return placed(path, stored[list(order)])

    return make


_LETTERS = {
    'r': ColorInterp.red, 'g': ColorInterp.green, 'b': ColorInterp.blue, 'n': ColorInterp.nir,
    'u': ColorInterp.undefined, 'k': ColorInterp.gray,
}  # fmt: skip


def _colors(order: str) -> tuple[ColorInterp, ...]:
    """Read letters as meanings."""
    return tuple(_LETTERS[letter] for letter in order)
