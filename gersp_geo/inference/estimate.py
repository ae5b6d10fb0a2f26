"""What a prediction costs, counted from headers, and what it may not cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..geoio.read import RasterHeader, plan_cells
from ..geoio.write import MapLayout
from ..tiling import TilePlan
from ..windows import Panel
from .costs import Costs, readable
from .options import PredictionOptions

# Bytes that GDAL may keep decoded blocks in: each is decoded once, so that few are enough.
GDAL_CACHE = 64 * 2**20

# Bytes beside everything that is counted: stacks of threads, GDAL's and torch's own buffers.
OVERHEAD = 128 * 2**20

# Batches at one time: one is forwarded, two wait, one is being cut out.
BATCHES = 4

# Parts of a result at most: a file each, which the journal lists.
MOST_PARTS = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What grows with the width of a panel, and with the size of a batch."""

    tiles: TilePlan
    """How the scene is cut."""

    block_shape: tuple[int, int]
    """Of the scene."""

    cell_height: int
    """Rows of pixels that are read at once."""

    pixel_bytes: int
    """Bytes of a pixel of the scene, all bands that are read."""

    map_bytes: int
    """Bytes of a pixel of all maps."""

    bands: int
    """Bands that are read."""

    channels: int
    """Scores per pixel."""

    blended: bool
    """Whether scores are kept until neighbours have added theirs."""

    on_host: bool
    """Whether the model runs on the CPU."""

    @classmethod
    def of(
        cls,
        header: RasterHeader,
        tiles: TilePlan,
        *,
        maps: Sequence[MapLayout],
        bands: int,
        channels: int,
        blended: bool,
        on_host: bool,
        per_band: bool = False,
    ) -> Self:
        """Measure a prediction; *per_band* says that validity is kept of each band."""
        made = sum(len(m.descriptions) * np.dtype(m.dtype).itemsize for m in maps)
        return cls(
            tiles=tiles,
            block_shape=header.block_shape,
            cell_height=plan_cells(header).cell_height,
            pixel_bytes=bands * (np.dtype(header.dtype).itemsize + per_band),
            map_bytes=made,
            bands=bands,
            channels=channels,
            blended=blended,
            on_host=on_host,
        )

    @property
    def stride(self) -> int:
        """Rows between rows of patches."""
        return self.tiles.size - self.tiles.overlap

    @property
    def host_per_column(self) -> int:
        """Bytes on the host per column of pixels of a panel."""
        # a row of patches and the next, in whole cells, with one byte for validity
        read = min(self.tiles.size + self.stride + 2 * self.cell_height, self.tiles.height)
        # settled rows: as returned, as masked, as joined to a part and as written
        finished = 4 * self.stride * (self.map_bytes + 1)
        return read * (self.pixel_bytes + 1) + finished + self.device_per_column * self.on_host

    @property
    def device_per_column(self) -> int:
        """Bytes where the model runs per column of pixels of a panel."""
        if not self.blended:
            return self.stride * self.map_bytes
        # open rows, what moves up, and what is encoded: the best score, on accelerators its index
        # as torch finds it in 8 bytes, and both as they are returned
        rows, index = self.tiles.size + self.tiles.overlap, 1 if self.on_host else 8
        return rows * self.channels * 4 + self.stride * (self.map_bytes + 4 + index)

    def batch_bytes(self, batch_size: int) -> int:
        """Bytes of batches on the host, and of one where the model runs if that is the host."""
        pixels = batch_size * self.tiles.size**2
        return pixels * BATCHES * (self.pixel_bytes + 1) + self.on_host * self.scored_bytes(
            batch_size
        )

    def scored_bytes(self, batch_size: int) -> int:
        """Bytes of a batch where the model runs: images, scores, probabilities, weighted scores."""
        return batch_size * self.tiles.size**2 * 4 * (self.bands + 3 * self.channels)

    def widest_panel(self, limit: int) -> int:
        """Say how many columns of pixels fit into some bytes.

        Raises:
            ValueError: If not even one patch does.
        """
        per_column = max(self.host_per_column, self.device_per_column)
        # a panel reads up to a patch more than it writes
        width = limit // per_column - self.tiles.size
        narrowest = min(self.tiles.size, self.tiles.width)
        if width < narrowest and width < self.tiles.width:
            needed = per_column * (self.tiles.size + narrowest)
            raise ValueError(
                f'memory_limit must be at least {readable(needed, up=True)} for patches of '
                f'{self.tiles.size} px, got {readable(limit)}'
            )
        return int(width)


def count_costs(
    rows: Rows,
    panels: Sequence[Panel],
    *,
    batch_size: int,
    blocks: NDArray[np.bool_] | None,
    patches: int,
) -> Costs:
    """Count what is known from headers.

    Args:
        rows: Sizes of what is held.
        panels: Columns that are finished together.
        batch_size: Patches per forward pass.
        blocks: Whether blocks of the scene are stored; None if that is not known.
        patches: Patches that are given to the model if none is empty.

    Returns:
        The costs; nothing is measured yet.
    """
    tiles = rows.tiles
    widest = max(panel.width for panel in panels) + tiles.size
    device_rows = 0 if rows.on_host else widest * rows.device_per_column
    row_blocks, col_blocks = (
        -(-length // side)
        for length, side in zip((tiles.height, tiles.width), rows.block_shape, strict=True)
    )
    total = row_blocks * col_blocks
    read = total if blocks is None else int(blocks.sum())
    pixels = tiles.height * tiles.width
    return Costs(
        pixels_kept=pixels,
        pixels_forwarded=patches * tiles.size**2,
        patches=patches,
        blocks=total,
        blocks_read=read,
        bytes_read=round(pixels * rows.pixel_bytes * read / total),
        bytes_written=pixels * rows.map_bytes,
        host_bytes=OVERHEAD
        + GDAL_CACHE
        + widest * rows.host_per_column
        + rows.batch_bytes(batch_size),
        device_bytes=0 if rows.on_host else device_rows + rows.scored_bytes(batch_size),
        device_rows_bytes=device_rows,
    )


def reading_threads(header: RasterHeader, options: PredictionOptions, *, source: str) -> int:
    """Say how many threads may read at a time: each holds a whole block, however large that is.

    Raises:
        ValueError: If not even one may.
    """
    height, width = header.block_shape
    block = height * width * header.count * np.dtype(header.dtype).itemsize
    limit = max(options.memory_bytes, GDAL_CACHE)
    if block > limit:
        raise ValueError(
            f'{source} is stored in blocks of {height:,} x {width:,} px, of which each takes '
            f'{readable(block)} to read, and memory_limit is {readable(limit)}; raise it '
            '(--memory-limit), or copy the file with small blocks, for example with gdal_translate '
            '-co TILED=YES'
        )
    return min(options.thread_count, limit // block)


def check_parts(count: int, *, source: str) -> None:
    """Refuse more parts than a folder can hold.

    Raises:
        ValueError: If there are more.
    """
    if count > MOST_PARTS:
        raise ValueError(
            f'the result of {source} would be made of {count:,} parts, and at most {MOST_PARTS:,} '
            'can be; raise memory_limit (--memory-limit), or predict a part of the scene, for '
            'example of gdal_translate -srcwin'
        )
