"""Class rasters whose values or colours a user assigns to classes."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.utilities import rank_zero_warn
from numpy.typing import NDArray

from ..datasets.raster_tiles import RasterTiles
from ..geoio.read import RasterHeader
from ..windows import Window
from .class_mapping import (
    COLOR,
    IGNORED,
    Classes,
    ClassMapping,
    map_classes,
    read_color,
    read_number,
    show,
    split_color,
    write_color,
)
from .mask_files import MaskFiles, check_bands, read_color_table
from .mask_matching import Masks
from .sources import IGNORE

# stands for the class of values that nobody assigned
UNKNOWN = -2

# more values than these beside all classes are no classes that were forgotten
MANY = 32

# side of the windows in which a whole mask is looked through
SIDE = 2048


class ClassMasks(MaskFiles):
    """Class rasters of which each class has its values, or its colours."""

    def __init__(
        self,
        images: RasterTiles,
        masks: Masks,
        *,
        classes: Classes,
        ignore: Sequence[Any] = (),
        tolerance: int = 0,
    ) -> None:
        """Initialize a new ClassMasks instance.

        Args:
            images: The images.
            masks: As in :class:`MaskFiles`; of one band, or of red, green and blue.
            classes: Name to value or values. Of masks of one band these are whole numbers; or
                colours, '#rrggbb', which are looked up in the colour table of each.
            ignore: Values that label nothing.
            tolerance: A value is of the nearest class if it differs from it by so much at most, in
                each band. What differs by more is then no label.

        Raises:
            FileNotFoundError: If a mask is missing.
            ValueError: As :class:`MaskFiles`; if a value is none or belongs to two classes, or a
                mask has no such colours.

        Warns:
            UserWarning: With *tolerance*, which share of the pixels are no label for it.
        """
        super().__init__(images, masks)
        self.bands = self.same_bands()
        given = [*classes.values(), ignore]
        self.by_color = len(self.bands) == 3 or any(map(_names_color, given))
        self.tolerance = tolerance
        self.mapping: ClassMapping[int] = map_classes(
            classes,
            ignore,
            read=read_color if self.by_color else read_number,
            colors=len(self.bands) == 3,
        )
        self.keys = np.array(sorted(self.mapping.numbers), dtype=np.int64)
        self.numbers = np.array([self.mapping.numbers[key] for key in self.keys.tolist()])
        self.class_names = self.mapping.names
        first = self.mapping.first()
        if self.by_color:
            self.class_colors = tuple(map(split_color, first))
        else:
            table = read_color_table(self.open(0))
            known = all(value in table for value in first)
            self.class_colors = tuple(table[value] for value in first) if known else ()
        if tolerance:
            self._warn_of_far_ones()

    def check_type(self, file: str, header: RasterHeader) -> None:
        """Refuse masks that are neither one band nor red, green and blue; both without alpha."""
        check_bands(file, header)

    def chosen(self, tile: int) -> bool:
        """Whether the nodata value of a mask is given to a class."""
        nodata = self.nodata[tile]
        if self.by_color or nodata is None or not float(nodata).is_integer():
            return False
        return self.mapping.numbers.get(int(nodata), IGNORED) >= 0

    def read(self, tile: int, window: Window) -> NDArray[np.uint8]:
        """Read the classes of a window inside image *tile*, shape (window.height, window.width).

        Raises:
            ValueError: If a value belongs to no class; with its share of the mask.
        """
        values, valid = self.read_values(tile, window, bands=self.bands)
        classes = self._classify(self._keys(tile, values))
        if not self.tolerance and (valid & (classes == UNKNOWN)).any():
            raise ValueError(self._describe_unknown(tile))
        return np.where(valid & (classes >= 0), classes, IGNORE).astype(np.uint8)

    def _keys(self, tile: int, values: NDArray[Any]) -> NDArray[Any]:
        """Make one number of each pixel, shape (rows, columns)."""
        if not self.by_color:
            return np.asarray(values[0], dtype=None if values.dtype.kind == 'f' else np.int64)
        if len(values) == 3:
            red, green, blue = values.astype(np.int64)
            return np.asarray(red << 16 | green << 8 | blue)
        table = read_color_table(self.open(tile))
        if not table:
            raise ValueError(
                f'{self.files[tile]} has one band and no colour table, got colours in classes; '
                'give the numbers that it holds'
            )
        lookup = np.full(2**16, -1, dtype=np.int64)
        for value, (red, green, blue) in table.items():
            if value < len(lookup):
                lookup[value] = red << 16 | green << 8 | blue
        return np.asarray(lookup[values[0]])

    def _classify(self, keys: NDArray[Any]) -> NDArray[np.int16]:
        """Look up the class of each number."""
        place = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        found = np.where(self.keys[place] == keys, self.numbers[place], UNKNOWN).astype(np.int16)
        if self.tolerance and (found == UNKNOWN).any():
            unknown, where = np.unique(keys[found == UNKNOWN], return_inverse=True)
            found[found == UNKNOWN] = self._nearest(unknown)[where]
        return found

    def _nearest(self, unknown: NDArray[Any]) -> NDArray[np.int16]:
        """Find the class that each number nearly is; :data:`UNKNOWN` where none is near."""
        split = _split if self.by_color else (lambda keys: keys[:, None].astype(np.float64))
        apart = np.abs(split(unknown)[:, None] - split(self.keys)[None])
        farthest = apart.max(axis=2)
        # of several within reach, that which is nearest in all bands together
        nearest = np.where(farthest <= self.tolerance, apart.sum(axis=2), np.inf).argmin(axis=1)
        reached = (farthest <= self.tolerance).any(axis=1)
        return np.where(reached, self.numbers[nearest], UNKNOWN).astype(np.int16)

    def _survey(self, tile: int) -> Counter[Any]:
        """Count the numbers of all valid pixels of a mask."""
        found: Counter[Any] = Counter()
        header = self.headers[tile]
        for window in cut_windows(header.height, header.width):
            values, valid = self.read_stored(tile, window, bands=self.bands)
            numbers, counts = np.unique(self._keys(tile, values)[valid], return_counts=True)
            found.update(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))
        return found

    def _describe_unknown(self, tile: int) -> str:
        """Say which values of a mask belong to no class, and how many pixels have them."""
        counted = self._survey(tile)
        file, total = self.files[tile], sum(counted.values())
        classes = self._classify(np.array(list(counted)))
        unknown = Counter(
            {
                key: count
                for (key, count), number in zip(counted.items(), classes, strict=True)
                if number == UNKNOWN
            }
        )
        held = show(
            [
                f'{self._write(key)} ({count / total:.2%}, {count:,} pixels)'
                for key, count in unknown.most_common()
            ]
        )
        advice = 'add them to classes, or to ignore, whose pixels are no label'
        if Path(file).suffix.lower() in ('.jpg', '.jpeg'):
            advice = 'JPEG changes values: make masks anew as PNG, or pass tolerance, such as 40'
        elif len(unknown) > MANY and not self.by_color:
            advice = 'so many are levels of grey: pass threshold in place of classes, or tolerance'
        return f'{file} holds values of no class: {held}; {advice}'

    def _warn_of_far_ones(self) -> None:
        """Say how many pixels are no label for their distance from all classes."""
        counted: Counter[Any] = Counter()
        for tile in {file: tile for tile, file in enumerate(self.files)}.values():
            counted.update(self._survey(tile))
        keys = list(counted)
        classes = self._classify(np.array(keys)).tolist()
        far = {
            key: counted[key]
            for key, number in zip(keys, classes, strict=True)
            if number == UNKNOWN
        }
        total, lost = sum(counted.values()), sum(far.values())
        if lost:
            commonest = max(far, key=far.__getitem__)
            rank_zero_warn(
                f'{lost / total:.2%} of the pixels of the masks differ by more than tolerance='
                f'{self.tolerance} from all classes, most of them {self._write(commonest)}: they '
                'are no label'
            )

    def _write(self, key: Any) -> str:
        """Write a value of a mask."""
        return write_color(int(key)) if self.by_color else f'{key:g}' if key % 1 else str(int(key))


def cut_windows(height: int, width: int) -> Iterator[Window]:
    """Cut a raster into windows."""
    for top, left in product(range(0, height, SIDE), range(0, width, SIDE)):
        yield Window(
            row_off=top, col_off=left, height=min(SIDE, height - top), width=min(SIDE, width - left)
        )


def _names_color(values: Any) -> bool:
    """Whether some of the values given are colours as text."""
    listed = [values] if isinstance(values, str) or not isinstance(values, Sequence) else values
    return any(isinstance(value, str) and COLOR.fullmatch(value) for value in listed)


def _split(keys: NDArray[np.int64]) -> NDArray[np.float64]:
    """Split colours into bands, shape (n, 3)."""
    return np.stack([keys >> 16, keys >> 8 & 255, keys & 255], axis=1).astype(np.float64)
