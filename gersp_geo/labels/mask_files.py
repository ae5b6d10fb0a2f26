"""Classes of pixels in class rasters: one raster per image, or one for several."""

import json
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..datasets.file_pool import HandlePool
from ..datasets.raster_tiles import RasterTiles
from ..geoio.grids import Grid
from ..geoio.read import RasterHeader, open_reader, read_header, read_valid, read_window
from ..geoio.warp import find_nearest
from ..windows import Window
from .mask_matching import NEAREST, Masks, Pair, match_masks, place_mask, report_other_pixels
from .sources import IGNORE, Colors

# Pixels of a mask that are read at once where it is resampled. One that is much finer than its
# image has many of them under a patch.
MOST_PIXELS = 2**24


class MaskFiles:
    """Class rasters of images; the values are the classes.

    A mask that lies on other pixels than its image gives each pixel of the image the class of its
    own pixel that holds the centre.
    """

    word: ClassVar[str] = 'mask'
    """What such a raster is called."""

    option: ClassVar[str] = 'masks'
    """What a user passes them with."""

    how: str = NEAREST
    """How those on other pixels are resampled."""

    def __init__(
        self, images: RasterTiles, masks: Masks, *, class_names: Sequence[str] = ()
    ) -> None:
        """Initialize a new MaskFiles instance.

        Args:
            images: The images.
            masks: Rasters, or folders of them, with the file names of the images without suffix.
                One image and one mask belong together whatever their names, and so do one mask of
                another name and all images. Or a mapping, which makes the path of each mask out of
                that of its image by replacing parts of it.
            class_names: Defaults to the band tag CLASS_NAMES of the first mask.

        Raises:
            FileNotFoundError: If a mask is missing.
            ValueError: If a mask has as many pixels as its image and lies elsewhere, another number
                of them and no place, or is no class raster.

        Warns:
            UserWarning: If images lie beyond the mask.
        """
        self.files = match_masks(images.files, masks, word=self.word, option=self.option)
        headers = {file: read_header(file) for file in dict.fromkeys(self.files)}
        self.headers = [headers[file] for file in self.files]
        self.nodata = [header.nodata for header in self.headers]
        self._grids = self._place(images)
        self._readers: HandlePool[str, Any] = HandlePool(open_reader)
        src = self.open(0)
        tag = src.tags(1).get('CLASS_NAMES')
        self.class_names = tuple(class_names) or tuple(json.loads(tag) if tag else ())
        table, values = read_color_table(src), range(len(self.class_names))
        known = table.keys() >= set(values)
        self.class_colors: Colors = tuple(table[v] for v in values) if known else ()

    def _place(self, images: RasterTiles) -> list[Pair | None]:
        """Find the grids of each mask and its image; None where they are the same."""
        is_mosaic = len(self.files) > 1 == len(set(self.files))
        grids: list[Pair | None] = []
        pairs = zip(self.files, self.headers, images.files, images.tiles, strict=True)
        for file, header, image, expected in pairs:
            self.check_type(file, header)
            if is_mosaic and None in (header.crs, expected.crs):
                raise FileNotFoundError(
                    f'no {self.word} named as {image}, and one for all images needs a place, which '
                    f'{file if header.crs is None else image} lacks; add one per image'
                )
            is_other = place_mask(
                file, header, image=image, expected=expected, is_mosaic=is_mosaic, word=self.word
            )
            grids.append((Grid.of(header), Grid.of(expected)) if is_other else None)
        report_other_pixels(self.files, images.files, grids, word=self.word, how=self.how)
        return grids

    def check_type(self, file: str, header: RasterHeader) -> None:
        """Refuse masks that are not one band of integers.

        Raises:
            ValueError: Names the file.
        """
        if header.count != 1 or np.dtype(header.dtype).kind not in 'iu':
            raise ValueError(
                f'{file} must be one band of integers, got {header.count} of {header.dtype}; '
                "pass classes={'road': '#808080', ...} for colours, threshold=128 for grey levels"
            )

    def open(self, tile: int) -> Any:
        """Open the mask of an image, once."""
        return self._readers.get(self.files[tile])

    def chosen(self, tile: int) -> bool:
        """Whether the nodata value of a mask is a class all the same."""
        return False

    def read_values(
        self, tile: int, window: Window, *, bands: Sequence[int] = (1,)
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Read the values of a mask under a window inside image *tile*.

        Returns:
            Values, shape (bands, window.height, window.width); and where there is one, shape
            (window.height, window.width).
        """
        grids = self._grids[tile]
        if grids is None:
            return self.read_stored(tile, window, bands=bands)
        found = find_nearest(*grids, window)
        if found is None:
            shape = window.height, window.width
            values = np.zeros((len(bands), *shape), dtype=self.headers[tile].dtype)
            return values, np.zeros(shape, dtype=np.bool_)
        if found.window.height * found.window.width > MOST_PIXELS and window.height > 1:
            half = window.height // 2
            tops = ((window.row_off, half), (window.row_off + half, window.height - half))
            parts = [
                Window(row_off=top, col_off=window.col_off, height=height, width=window.width)
                for top, height in tops
            ]
            read = [self.read_values(tile, part, bands=bands) for part in parts]
            values, valid = (np.concatenate(halves, axis=-2) for halves in zip(*read, strict=True))
            return values, valid
        values, valid = self.read_stored(tile, found.window, bands=bands)
        taken = found.rows, found.cols
        return values[:, *taken], valid[taken] & found.inside

    def read_stored(
        self, tile: int, window: Window, *, bands: Sequence[int] = (1,)
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Read values of the mask of image *tile* in its own pixels, as :meth:`read_values`."""
        src = self.open(tile)
        values = read_window(src, window, bands=bands)
        valid = read_valid(src, window)
        if self.chosen(tile):
            # of a tagged value, GDAL makes a mask, which the choice overrules
            valid = valid | (values[0] == self.nodata[tile])
        return values, valid

    def same_bands(self) -> tuple[int, ...]:
        """List the bands of the masks without alpha, the same ones in all.

        Raises:
            ValueError: If they differ in number.
        """
        counts = [header.count - len(header.alpha) for header in self.headers]
        for file, count in zip(self.files, counts, strict=True):
            if count != counts[0]:
                raise ValueError(
                    f'masks must have one number of bands, got {counts[0]} in {self.files[0]} and '
                    f'{count} in {file}'
                )
        return tuple(range(1, counts[0] + 1))

    def read(self, tile: int, window: Window) -> NDArray[np.uint8]:
        """Read the classes of a window inside image *tile*, shape (window.height, window.width).

        Raises:
            ValueError: If a value is no class.
        """
        values, valid = self.read_values(tile, window)
        # wide enough for IGNORE, which int8 is not
        classes = np.where(valid, values[0].astype(np.int64), IGNORE)
        count = len(self.class_names) or IGNORE
        wrong = classes[((classes >= count) & (classes != IGNORE)) | (classes < 0)]
        if wrong.size:
            raise ValueError(
                f'{self.files[tile]} holds the value {wrong[0]}; classes are 0 to {count - 1}, '
                f'and {IGNORE} or the nodata value means none; for others, pass mask_values=[...]'
            )
        return classes.astype(np.uint8)


class ChosenValues(MaskFiles):
    """Class rasters whose classes are given values, such as 0 and 255, or 10, 50 and 95."""

    def __init__(
        self,
        images: RasterTiles,
        masks: Masks,
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
        table = read_color_table(self.open(0))
        self.class_colors = tuple(table[v] for v in values) if table.keys() >= set(values) else ()

    def chosen(self, tile: int) -> bool:
        """Whether the nodata value of a mask is a class all the same."""
        return self.nodata[tile] in self.values.tolist()

    def read(self, tile: int, window: Window) -> NDArray[np.uint8]:
        """Read the classes of a window inside image *tile*, shape (window.height, window.width).

        A chosen value is a class also where the mask names it as nodata. Another value that is
        neither 255 nor nodata is an error.
        """
        stored, valid = self.read_values(tile, window)
        values = stored[0].astype(np.int64)
        order = np.argsort(self.values)
        place = np.searchsorted(self.values[order], values).clip(max=len(order) - 1)
        classes = order[place]
        known = self.values[classes] == values
        wrong = values[valid & ~known & (values != IGNORE)]
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


def read_color_table(src: Any) -> dict[int, tuple[int, int, int]]:
    """Read the colour table of an open class raster; empty where it has none."""
    try:
        table = src.colormap(1)
    except ValueError:
        return {}
    return {value: (red, green, blue) for value, (red, green, blue, _) in table.items()}


def check_bands(file: str, header: RasterHeader) -> None:
    """Refuse masks that are neither one band of numbers nor red, green and blue of 8 bits.

    An alpha band does not count.

    Raises:
        ValueError: Names the file.
    """
    count = header.count - len(header.alpha)
    is_rgb = count == 3 and header.dtype == 'uint8'
    if not is_rgb and (count != 1 or np.dtype(header.dtype).kind not in 'iuf'):
        raise ValueError(
            f'{file} must be one band of numbers, or red, green and blue of uint8, got {count} of '
            f'{header.dtype}'
        )
