"""Read class maps: what their values mean, and strips of them."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...windows import Window
from ..pixel_area import pixel_areas_m2
from ..read.categories import read_categories
from ..read.observations import read_observed
from ..read.reader import RasterHeader, Reader, common_type, describe_reader
from ..warp.location_text import advise_place, describe_lack
from ..write.styles import Color, check_legend, class_color

LARGEST_CLASS = 65535
"""Larger values are measurements rather than classes."""

# Pixels that are traced at once: enough to make the cost per strip small, and few enough for a map
# that is nothing but noise.
_PIXELS_TRACED = 2**22

# Pixels that are read at once where a block has more; such a block is decoded several times.
_PIXELS_READ = 2**27


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassMap:
    """What a class map says about itself."""

    header: RasterHeader
    """Its size and georeference."""

    names: tuple[str, ...]
    """Names of the values 0, 1, ..., empty where there is none."""

    colors: tuple[Color, ...]
    """Red, green and blue of the values 0, 1, ... that have one."""

    def name(self, value: int) -> str:
        """Name a class."""
        known = self.names[value] if value < len(self.names) else ''
        return known or f'class {value}'

    def tell_apart(self, values: Sequence[int]) -> list[str]:
        """Name classes, and add the values to names that several have, as other programs allow."""
        names = [self.name(value) for value in values]
        # a name that was made so may be that of a further class
        while len(set(names)) < len(set(values)):
            counts = Counter(names)
            names = [
                name if counts[name] == 1 else f'{name} ({value})'
                for name, value in zip(names, values, strict=True)
            ]
        return names

    @property
    def named(self) -> list[int]:
        """List the classes that have a name."""
        return [value for value, name in enumerate(self.names) if name]

    def color(self, value: int) -> Color:
        """Choose the colour of a class: that of the map if it has one."""
        return self.colors[value] if value < len(self.colors) else class_color(value)

    def find(self, classes: Sequence[str | int]) -> tuple[int, ...]:
        """Find the values of classes.

        Args:
            classes: Names, or numbers.

        Returns:
            Their values, ascending.

        Raises:
            ValueError: If one is neither a name nor a number of a class.
        """
        found: set[int] = set()
        for wanted in classes:
            if wanted and wanted in self.names:
                # several classes may be called alike in maps of other programs
                found.update(value for value in self.named if self.names[value] == wanted)
            elif str(wanted).isdecimal() and int(wanted) <= LARGEST_CLASS:
                found.add(int(wanted))
            else:
                known = (
                    ', '.join(self.names[value] for value in self.named)
                    or f'numbers up to {LARGEST_CLASS}, as it names none'
                )
                raise ValueError(f'the map has no class {wanted!r}; its classes are {known}')
        return tuple(sorted(found))


def describe_map(src: Reader, *, needs_place: bool = True) -> ClassMap:
    """Read what a class map says about itself, and refuse what is none.

    Args:
        src: An open raster.
        needs_place: Whether it has to have a CRS.

    Returns:
        Its header and legend.

    Raises:
        ValueError: If it has several bands, holds no whole numbers, or has no CRS
            and needs one.
    """
    header = describe_reader(src)
    bands = header.count - len(header.alpha)
    if bands != 1 or 1 in header.alpha:
        raise ValueError(f'a class map has one band, {src.name} has {bands}')
    if common_type(src.dtypes[:1]).kind not in 'iu':
        raise ValueError(
            f'classes are whole numbers, {src.name} holds {src.dtypes[0]}; pass a map of classes '
            '(predict --output classes)'
        )
    if needs_place and header.crs is None:
        raise ValueError(
            f'{src.name} {describe_lack(header)}, so that nobody knows where its polygons lie; '
            f'{advise_place(header, has_option=False)}'
        )
    names, colors = read_legend(src)
    # refused here, before hours of work end in no style
    check_legend(names, [(0, 0, 0)] * len(names))
    return ClassMap(header=header, names=names, colors=colors)


def read_legend(src: Reader) -> tuple[tuple[str, ...], tuple[Color, ...]]:
    """Read the names of the classes 0, 1, ... and their colours, as far as a map has any.

    Names are those that this package writes, or else those that GDAL knows; '' where there is none.
    """
    names = _read_tag(src) or read_categories(src, largest=LARGEST_CLASS)
    try:
        table = src.colormap(1)
    except ValueError:
        return names, ()
    return names, tuple((red, green, blue) for red, green, blue, _ in table.values())


def read_strips(
    src: Reader, header: RasterHeader, *, classes: Sequence[int] | None = None
) -> Iterator[NDArray[np.integer]]:
    """Read a class map from top to bottom, whole blocks at a time.

    Args:
        src: An open class map.
        header: Its header.
        classes: Values that are wanted; None means all.

    Yields:
        Strips of shape (rows, cols): 0 where there is no observation or no class that is wanted,
        elsewhere the class plus 1.

    Raises:
        ValueError: If a value is no class.
        UnreadableFileError: If the file is damaged.
    """
    wanted = None
    if classes is not None:
        wanted = np.zeros(LARGEST_CLASS + 1, dtype=np.bool_)
        wanted[list(classes)] = True
    rows_traced = max(1, _PIXELS_TRACED // header.width)
    rows_read = _rows_read(header)
    for start in range(0, header.height, rows_read):
        window = Window(
            row_off=start,
            col_off=0,
            height=min(rows_read, header.height - start),
            width=header.width,
        )
        (pixels,), valid = read_observed(src, window, bands=[1])
        for row in range(0, window.height, rows_traced):
            some = slice(row, row + rows_traced)
            yield encode_classes(
                pixels[some], None if valid is None else valid[some], wanted, name=src.name
            )


def areas_above(header: RasterHeader) -> NDArray[np.float64] | None:
    """Compute the area of all pixels of one column above each line between rows, in m2.

    Returns:
        Shape (height + 1,); None where a CRS does not tell.
    """
    areas = pixel_areas_m2(header, 0, header.height)
    if areas is None:
        return None
    if np.ptp(areas) == 0:
        # a product is rounded once, a sum at each step
        above: NDArray[np.float64] = np.arange(header.height + 1) * areas[0]
        return above
    return np.concatenate([[0.0], np.cumsum(areas)])


def _rows_read(header: RasterHeader) -> int:
    """Choose how many rows are read at once."""
    height = header.block_shape[0]
    if height * header.width > _PIXELS_READ:
        return max(1, _PIXELS_READ // header.width)
    return height * max(1, _PIXELS_TRACED // (height * header.width))


def encode_classes(
    pixels: NDArray[np.generic],
    valid: NDArray[np.bool_] | None,
    wanted: NDArray[np.bool_] | None = None,
    *,
    name: str,
) -> NDArray[np.integer]:
    """Turn values into classes plus 1, and the rest into 0.

    Args:
        pixels: Of a class map.
        valid: Where there is an observation, of the same shape; None means everywhere.
        wanted: Per class, whether it is wanted; None means all.
        name: The file, for messages.

    Raises:
        ValueError: If a value is no class.
    """
    values = pixels if valid is None else np.where(valid, pixels, pixels.dtype.type(0))
    if values.dtype.itemsize > 2 or values.dtype.kind == 'i':
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > LARGEST_CLASS:
            wrong = low if low < 0 else high
            raise ValueError(
                f'classes are whole numbers in [0, {LARGEST_CLASS}], {name} holds {wrong}; pass a map '
                f'of classes, or tag the value of no observation (gdal_edit -a_nodata {wrong})'
            )
    codes: NDArray[np.integer] = (
        values.astype(np.uint16) if values.dtype.itemsize == 1 else values.astype(np.int32)
    )
    codes += 1
    if valid is not None:
        codes[~valid] = 0
    if wanted is not None:
        codes[~wanted[values]] = 0
    return codes


def _read_tag(src: Reader) -> tuple[str, ...]:
    """Read the names that this package writes."""
    try:
        names = json.loads(src.tags(1).get('CLASS_NAMES', '[]'))
    except ValueError:
        # another program wrote the tag
        return ()
    is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return tuple(names) if is_list else ()
