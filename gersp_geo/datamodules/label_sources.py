"""Sources of the classes of pixels: class rasters, or polygons with an attribute."""

import json
import warnings
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from affine import Affine
from lightning.pytorch.utilities import rank_zero_warn
from numpy.typing import NDArray
from shapely import box

from ..datasets.file_pool import HandlePool
from ..datasets.geotiff_patches import GeoTIFFPatches
from ..datasets.raster_files import Paths, find_rasters
from ..geoio.crs import name_crs, same_crs
from ..geoio.grids import describe_shift
from ..geoio.read import RasterHeader, open_reader, read_header, read_valid, read_window
from ..geoio.vector import attribute_texts, burn, read_vectors
from ..geoio.warp import describe_lack
from ..windows import Window
from .placed_features import place_features
from .polygon_classes import choose_classes

IGNORE = 255
"""Mask value of pixels without a class."""

type Colors = tuple[tuple[int, int, int], ...]


class LabelSource(Protocol):
    """Classes of the pixels of some images."""

    class_names: tuple[str, ...]
    """Names of the values 0, 1, ...; empty where nothing tells."""

    class_colors: Colors
    """Red, green and blue of each class; empty where nothing tells."""

    def read(self, tile: int, window: Window) -> NDArray[np.uint8]:
        """Read the classes of a window inside image *tile*, :data:`IGNORE` where there is none."""


class MaskFiles:
    """One class raster per image, on the same grid."""

    def __init__(
        self, images: GeoTIFFPatches, masks: Paths, *, class_names: Sequence[str] = ()
    ) -> None:
        """Initialize a new MaskFiles instance.

        Args:
            images: The images.
            masks: Rasters, or folders of them, with the file names of the images without suffix.
                One image and one mask belong together whatever their names.
            class_names: Defaults to the band tag CLASS_NAMES of the first mask.

        Raises:
            FileNotFoundError: If a mask is missing.
            ValueError: If a mask lies on another grid than its image, or is no class raster.
        """
        self.files = match_masks(images.files, find_rasters(masks))
        headers = [read_header(file) for file in self.files]
        for file, header, image, expected in zip(
            self.files, headers, images.files, images.tiles, strict=True
        ):
            check_mask(file, header, image=image, expected=expected)
        self.nodata = [header.nodata for header in headers]
        self._readers: HandlePool[str, Any] = HandlePool(open_reader)
        src = self._readers.get(self.files[0])
        tag = src.tags(1).get('CLASS_NAMES')
        self.class_names = tuple(class_names) or tuple(json.loads(tag) if tag else ())
        self.class_colors = read_colors(src, count=len(self.class_names))

    def read(self, tile: int, window: Window) -> NDArray[np.uint8]:
        """Read the classes of a window inside image *tile*, shape (window.height, window.width).

        Raises:
            ValueError: If a value is no class.
        """
        src = self._readers.get(self.files[tile])
        # wide enough for IGNORE, which int8 is not
        values = read_window(src, window, bands=[1])[0].astype(np.int64)
        values = np.where(read_valid(src, window), values, IGNORE)
        count = len(self.class_names) or IGNORE
        wrong = values[((values >= count) & (values != IGNORE)) | (values < 0)]
        if wrong.size:
            raise ValueError(
                f'{self.files[tile]} holds the value {wrong[0]}; classes are 0 to {count - 1}, '
                f'and {IGNORE} or the nodata value means none; for others, pass mask_values=[...]'
            )
        return values.astype(np.uint8)


class VectorLabels:
    """Polygons over the images, with their class in one attribute.

    Points and lines label too: the pixel of a point, and those that a line runs through.
    """

    def __init__(
        self,
        images: GeoTIFFPatches,
        labels: str | PathLike[str],
        *,
        attribute: str,
        layer: str | None = None,
        class_names: Sequence[str] = (),
    ) -> None:
        """Initialize a new VectorLabels instance.

        Args:
            images: The images.
            labels: Vector file in any CRS.
            attribute: Column with the class; features without a value label nothing.
            layer: Layer of *labels*; None takes the only one that holds features with a place.
            class_names: Defaults to the values of *attribute*, sorted. Else these values in an
                order of one's own, or, if all are whole numbers, one name per number in ascending
                order.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it cannot be read, lacks the layer, the attribute or a CRS, meets no
                image, or has other values than *class_names*, or too many.

        Warns:
            UserWarning: If features have no value, values look alike, or images have no feature.
        """
        self.tiles = images.tiles
        frame = read_vectors(labels, layer=layer)
        known = [name for name in frame.columns if name != frame.geometry.name]
        if attribute not in known:
            raise ValueError(f'{labels} has no attribute {attribute!r}, only {known}')
        places, (met, used) = place_features(frame.geometry, self.tiles, source=str(labels))
        if empty := np.flatnonzero(~met).tolist():
            rank_zero_warn(
                f'{len(empty)} of {len(places)} images meet no feature of {labels}, one is '
                f'{images.files[empty[0]]}'
            )
        self.class_names, codes = choose_classes(
            attribute_texts(frame[attribute]),
            used,
            tuple(map(str, class_names)),
            attribute=attribute,
            source=str(labels),
        )
        self.class_colors: Colors = ()
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
        grid, placed = self.tiles[tile].transform, self._placed[tile]
        left, top = grid.c + grid.a * window.col_off, grid.f + grid.e * window.row_off
        right, bottom = left + grid.a * window.width, top + grid.e * window.height
        nearby = np.sort(placed.tree.query(box(left, bottom, right, top)))
        return burn(
            placed.geometries[nearby],
            values[nearby],
            transform=Affine(grid.a, 0, left, 0, grid.e, top),
            height=window.height,
            width=window.width,
            fill=fill,
        )


def match_masks(images: Sequence[str], masks: Sequence[str]) -> list[str]:
    """Find the mask of each image by its file name without suffix.

    Raises:
        FileNotFoundError: If an image has no mask.
        ValueError: If two images or two masks share a name.

    Warns:
        UserWarning: If a mask has no image.
    """
    if len(images) == len(masks) == 1:
        return list(masks)
    for files in (images, masks):
        stems = [Path(file).stem for file in files]
        for file, stem in zip(files, stems, strict=True):
            if stems.count(stem) > 1:
                raise ValueError(f'two files are named {stem}, one is {file}; rename them')
    by_stem = {Path(mask).stem: mask for mask in masks}
    for image in images:
        if Path(image).stem not in by_stem:
            raise FileNotFoundError(f'no mask named {Path(image).stem} for {image}; add one')
    matched = [by_stem[Path(image).stem] for image in images]
    if unused := sorted(set(masks) - set(matched)):
        warnings.warn(f'{len(unused)} masks have no image, one is {unused[0]}', stacklevel=3)
    return matched


def check_mask(file: str, header: RasterHeader, *, image: str, expected: RasterHeader) -> None:
    """Refuse masks that are not one band of integers on the grid of their image.

    A corner may lie up to 0.01 pixels off.
    """
    if header.count != 1 or np.dtype(header.dtype).kind not in 'iu':
        raise ValueError(
            f'{file} must be one band of integers, got {header.count} of {header.dtype}'
        )
    fix = f'a mask lies on the grid of its image: rio warp {file} OUT.tif --like {image}'
    for side in ('height', 'width'):
        here, there = getattr(header, side), getattr(expected, side)
        if here != there:
            raise ValueError(f'{file} and {image} differ in {side}: {here} and {there}; {fix}')
    if header.crs is None:
        if header.georeference.is_place:
            raise ValueError(f'{file} {describe_lack(header)}; {fix}')
        raise ValueError(
            f'{file} names no CRS and {image} {name_crs(expected.crs)}; if their pixels lie at the '
            f'same places: rio edit-info {file} --like {image} --crs like --transform like'
        )
    if not same_crs(header.crs, expected.crs):
        names = [name_crs(grid.crs) for grid in (header, expected)]
        raise ValueError(f'{file} is in {names[0]} and {image} in {names[1]}; {fix}')
    if shift := describe_shift(expected, header, name=image):
        raise ValueError(f'{file} {shift}; {fix}')


def read_colors(src: Any, *, count: int) -> Colors:
    """Read the colour table of an open class raster; empty unless all classes are in it."""
    try:
        table = src.colormap(1)
    except ValueError:
        return ()
    if not all(value in table for value in range(count)):
        return ()
    return tuple((red, green, blue) for red, green, blue, _ in map(table.get, range(count)))
