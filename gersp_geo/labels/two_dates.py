"""What is known about the change of a place between two dates."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_info
from numpy.typing import NDArray
from torch import Tensor

from ..datasets.file_pool import HandlePool
from ..datasets.raster_tiles import RasterTiles
from ..datasets.scene_names import Paths
from ..geoio.read import find_rule, open_reader, read_valid, read_window
from ..geoio.warp import check_common_ground, on_one_grid, open_aligned
from ..windows import Window
from .mask_matching import match_masks
from .pixels import PixelLabels
from .sources import LabelSource, Sample


class LaterDate:
    """The second date of some images, seen on the grids of the first one.

    Where a file lies on another grid, it is resampled bilinearly, as for prediction.
    """

    def __init__(
        self,
        before: RasterTiles,
        after: Paths,
        *,
        bands: Sequence[int | str] | None = None,
        nodata: float | None = None,
        tile_pattern: str | None = None,
    ) -> None:
        """Initialize a new LaterDate instance.

        Args:
            before: Images of the first date.
            after: Files, or folders of them, with the file names of the images; one image and one
                file belong together whatever their names. Or a mapping, which makes the path of
                each file out of that of its image by replacing parts of it.
            bands: As for *before*.
            nodata: Value that means "no observation".
            tile_pattern: As for *before*.

        Raises:
            FileNotFoundError: If an image has no second date.
            UnreadableFileError: If a file cannot be read.
            ValueError: If bands or data types of both dates differ, or they have no ground in
                common.
        """
        files = match_masks(before.files, after, word='scene after', option='after')
        later = RasterTiles(
            dict.fromkeys(files), bands=bands, nodata=nodata, tile_pattern=tile_pattern
        )
        numbers = {file: number for number, file in enumerate(later.files)}
        places = [numbers[file] for file in files]
        self.files, self.nodata, self.bands = files, nodata, later.chosen
        self.headers = [later.tiles[place] for place in places]
        self.grids = before.tiles
        self.resampled = [
            not on_one_grid(*pair) for pair in zip(self.headers, self.grids, strict=True)
        ]
        shared = {file for file, count in Counter(files).items() if count > 1}
        for number, image in enumerate(before.files):
            self._compare(number, image, is_shared=files[number] in shared)
        check_same_bands(before, later)
        report_resampled(before.files, files, self.resampled)
        self._readers: HandlePool[int, Any] = HandlePool(self.open)

    def _compare(self, number: int, image: str, *, is_shared: bool) -> None:
        """Refuse a pair that cannot be put on each other."""
        file, header, grid = self.files[number], self.headers[number], self.grids[number]
        if is_shared and None in (header.crs, grid.crs):
            raise FileNotFoundError(
                f'no scene after named as {image}, and one for all needs a place, which '
                f'{file if header.crs is None else image} lacks; add one per image'
            )
        if header.dtype != grid.dtype:
            raise ValueError(
                f'two dates must be of one data type, but {image} holds {grid.dtype} and {file} '
                f'{header.dtype}; convert one of them'
            )
        if not self.resampled[number]:
            return
        check_common_ground(grid, grid, header, image, file)
        if 'palette' in [header.interpretations[band - 1] for band in self.bands]:
            raise ValueError(
                f'{file} holds indices into a table of colours (a palette), between which no other '
                f'lies, and would be resampled to the grid of {image}; expand it '
                '(gdal_translate -expand rgb)'
            )

    @contextmanager
    def open(self, number: int) -> Iterator[Any]:
        """Open the second date of an image, on its grid."""
        file = self.files[number]
        with open_reader(file) as src:
            if not self.resampled[number]:
                yield src
                return
            rule = find_rule(src, self.bands)
        with open_aligned(
            file, self.grids[number], nodata=self.nodata, bands=self.bands, rule=rule
        ) as warped:
            yield warped

    def read(self, number: int, window: Window) -> Tensor:
        """Read a window of image *number* at the second date, as ``RasterTiles.read_patch``."""
        return torch.from_numpy(read_window(self._readers.get(number), window, bands=self.bands))

    def read_valid(self, number: int, window: Window) -> NDArray[np.bool_]:
        """Say which pixels of it are observations, as ``RasterTiles.read_valid``."""
        src = self._readers.get(number)
        return read_valid(src, window, nodata=self.nodata, bands=self.bands)


class ChangeLabels(PixelLabels):
    """Classes of change between two dates; only what both show is learned from."""

    def __init__(
        self,
        images: RasterTiles,
        source: LabelSource,
        later: LaterDate,
        *,
        nodata: float | None = None,
    ) -> None:
        """Initialize a new ChangeLabels instance.

        Args:
            images: Images of the first date.
            source: Classes of change on their grids.
            later: The second date.
            nodata: Value that means "no observation", beside what the files themselves say.
        """
        super().__init__(images, source, nodata=nodata)
        self.later = later

    def read_mask(
        self, tile: int, window: Window, *, valid: NDArray[np.bool_] | None = None
    ) -> NDArray[np.uint8]:
        """Read the classes of a window as a mask of one date; none where a date is missing."""
        if valid is None:
            valid = self.images.read_valid(tile, window, nodata=self.nodata)
            valid = valid & self.later.read_valid(tile, window)
        return super().read_mask(tile, window, valid=valid)

    def read(
        self, sample: Sample, tile: int, window: Window, *, valid: NDArray[np.bool_]
    ) -> Sample:
        """Put both dates into 'image', shape (2, C, H, W); add 'mask': int64, shape (1, H, W).

        What one date lacks is left out of both, as it would look like a change.
        """
        both = valid & self.later.read_valid(tile, window)
        image = torch.stack([sample['image'], self.later.read(tile, window).float()])
        image[..., torch.from_numpy(~both)] = torch.nan
        mask = torch.from_numpy(self.read_mask(tile, window, valid=both)).long()
        return {**sample, 'image': image, 'mask': mask[None]}


def check_same_bands(before: RasterTiles, after: RasterTiles) -> None:
    """Refuse two dates of other bands, or in another order.

    Raises:
        ValueError: Names both.
    """
    # a file that names none has them in order
    named = all(
        any(tiles.tiles[0].names[band - 1] for band in tiles.chosen) for tiles in (before, after)
    )
    if len(before.bands) != len(after.bands) or (named and before.bands != after.bands):
        names = [', '.join(map(str, tiles.bands)) for tiles in (before, after)]
        raise ValueError(
            f'two dates must have the same bands in one order, but {before.files[0]} has '
            f'{names[0]} and {after.files[0]} {names[1]}; choose them with bands'
        )


def report_resampled(
    before: Sequence[str], after: Sequence[str], resampled: Sequence[bool]
) -> None:
    """Say once how many second dates lie on another grid, and what is done."""
    others = [number for number, is_other in enumerate(resampled) if is_other]
    if others:
        rank_zero_info(
            f'{len(others)} of {len(before)} scenes after lie on another grid than those before, '
            f'and are resampled to it bilinearly, one is {after[others[0]]}'
        )
