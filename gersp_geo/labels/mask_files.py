"""Classes of pixels in class rasters: one raster per image."""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..datasets.file_pool import HandlePool
from ..datasets.raster_files import Paths, find_rasters
from ..datasets.raster_tiles import RasterTiles
from ..geoio.crs import name_crs, same_crs
from ..geoio.grids import describe_shift
from ..geoio.read import RasterHeader, open_reader, read_header, read_valid, read_window
from ..geoio.warp import describe_lack
from ..windows import Window
from .sources import IGNORE, Colors


class MaskFiles:
    """One class raster per image, on the same grid."""

    def __init__(
        self, images: RasterTiles, masks: Paths, *, class_names: Sequence[str] = ()
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


class ChosenValues(MaskFiles):
    """Class rasters whose classes are given values, such as 0 and 255, or 10, 50 and 95."""

    def __init__(
        self,
        images: RasterTiles,
        masks: Paths,
        *,
        values: Sequence[int],
        class_names: Sequence[str] = (),
    ) -> None:
        """Initialize a new ChosenValues instance.

        Args:
            images: The images.
            masks: As in :class:`MaskFiles`.
            values: Values of the masks that are the classes 0, 1, ...
            class_names: One per value. Defaults to what the band tag CLASS_NAMES of the first mask
                says, else to 'class_' and the value.

        Raises:
            FileNotFoundError: If a mask is missing.
            ValueError: As :class:`MaskFiles`; if values are repeated, too many, or not as many as
                names.
        """
        if len(set(values)) != len(values) or not 1 < len(values) <= IGNORE:
            raise ValueError(
                f'mask_values must be two to {IGNORE} different values, got {list(values)}'
            )
        super().__init__(images, masks, class_names=class_names)
        if class_names and len(class_names) != len(values):
            raise ValueError(
                f'class_names must have one name per value of mask_values ({len(values)}), '
                f'got {len(class_names)}'
            )
        self.class_names = name_values(values, class_names, tagged=self.class_names)
        self.values = np.array(values, dtype=np.int64)
        colors = read_colors(self._readers.get(self.files[0]), count=max(values) + 1)
        self.class_colors = tuple(colors[v] for v in values) if colors and min(values) >= 0 else ()

    def read(self, tile: int, window: Window) -> NDArray[np.uint8]:
        """Read the classes of a window inside image *tile*, shape (window.height, window.width).

        A chosen value is a class also where the mask names it as nodata. Another value that is
        neither 255 nor nodata is an error.
        """
        src = self._readers.get(self.files[tile])
        values = read_window(src, window, bands=[1])[0].astype(np.int64)
        valid = read_valid(src, window)
        if self.nodata[tile] is not None:
            # of a tagged value, GDAL makes a mask, which the choice overrules
            valid = valid | (values == self.nodata[tile])
        order = np.argsort(self.values)
        place = np.searchsorted(self.values[order], values).clip(max=len(order) - 1)
        classes = order[place]
        known = self.values[classes] == values
        meant = values != IGNORE
        if self.nodata[tile] is not None:
            meant &= values != self.nodata[tile]
        wrong = values[valid & ~known & meant]
        if wrong.size:
            raise ValueError(
                f'{self.files[tile]} holds the value {wrong[0]}, which is none of '
                f'mask_values={self.values.tolist()}; add it, or make it nodata'
            )
        return np.where(valid & known, classes, IGNORE).astype(np.uint8)


def name_values(
    values: Sequence[int], given: Sequence[str], *, tagged: Sequence[str]
) -> tuple[str, ...]:
    """Name the *values* of masks that are classes.

    Args:
        values: The classes, in their order.
        given: Names by the user, one per value, or none.
        tagged: Names that the masks give: of all values from 0 on, or of the classes.
    """
    if given:
        return tuple(given)
    if min(values) >= 0 and max(values) < len(tagged):
        return tuple(tagged[value] for value in values)
    if len(tagged) == len(values):
        return tuple(tagged)
    return tuple(f'class_{value}' for value in values)


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
