"""Read the second of two dates, and say how much of the first one it covers."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...geoio.read import (
    CellSource,
    RasterHeader,
    Reader,
    Rule,
    check_whole,
    describe_reader,
    find_rule,
    open_reader,
    stored_blocks,
)
from ...geoio.warp import check_common_ground, describe_means, on_one_grid, open_aligned
from ...preprocessing import Preprocessing
from ..model.load import LoadedModel
from ..options import PredictionOptions
from .bands import check_blending, check_type, nodata_beside, select_bands


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterScene:
    """The scene after, seen on the grid of the one before."""

    path: str
    """The scene."""

    header: RasterHeader
    """Header of the file itself."""

    grid: RasterHeader
    """Header of the scene before, on the grid of the plan."""

    bands: tuple[int, ...]
    """1-based bands, in the model's order."""

    nodata: float | None
    """Value that means "no observation" besides what the scene says itself."""

    rule: Rule
    """Where its pixels are observations."""

    stored: NDArray[np.bool_] | None = field(repr=False)
    """Per block: whether the file holds it; None means all, or that it is not known."""

    resampled: bool
    """Whether its grid is another one."""

    covers: float
    """Share of the scene before that it covers, in (0, 1]."""

    within: float
    """Share of it that lies in the scene before, in (0, 1]."""

    def open(self) -> AbstractContextManager[Reader]:
        """Open it on the grid of the scene before; every thread needs its own."""
        if self.resampled:
            return open_aligned(
                self.path, self.grid, nodata=self.nodata, bands=self.bands, rule=self.rule
            )
        return open_reader(self.path)

    @property
    def cells(self) -> CellSource:
        """How it is read beside the scene before."""
        return CellSource(
            opener=self.open,
            bands=self.bands,
            nodata=self.nodata,
            rule=self.rule,
            block_shape=self.header.block_shape,
            stored=self.stored,
        )

    def describe(self) -> str:
        """Describe it in one line."""
        header = self.header
        how = 'resampled bilinearly' if self.resampled else 'on the same grid'
        if self.resampled and header.georeference.is_place and self.grid.crs is not None:
            how += f' by {describe_means(header.georeference, self.grid.crs)}'
        return f'{self.path}: {header.height:,} x {header.width:,} px, {header.dtype}, {how}'

    def describe_overlap(self, before: str) -> str:
        """Say in one line how it lies on the scene before.

        Args:
            before: That scene.
        """
        names = Path(before).name, Path(self.path).name
        # two dates often differ in their folder only
        one, other = names if names[0] != names[1] else (before, self.path)
        return (
            f'{other} covers {_percent(self.covers)} of {one}; {_percent(self.within)} of {other} '
            'lies in it'
        )


def _percent(share: float) -> str:
    """Write a share so that little is not nothing, and nearly all is not all."""
    if share > 1 - 1e-6:
        return '100 %'
    return '< 0.1 %' if share < 1e-3 else f'{min(100 * share, 99.9):.1f} %'


def check_dates(loaded: LoadedModel, options: PredictionOptions) -> None:
    """Refuse a scene for a model that compares two, and two for a model that takes one.

    Raises:
        ValueError: If they do not fit.
    """
    if loaded.dates.count == 2 and options.after is None:
        raise ValueError(
            f'{loaded.name} compares two dates of a place; pass the scene of the second one with '
            'after (--after)'
        )
    if loaded.dates.count == 1 and options.after is not None:
        raise ValueError(
            f'after (--after) is for models that compare two dates, and {loaded.name} takes one; '
            'leave it out'
        )


def find_after(
    source: str | PathLike[str],
    grid: RasterHeader,
    record: Preprocessing,
    options: PredictionOptions,
    *,
    own: RasterHeader | None = None,
) -> AfterScene | None:
    """Read the header of the scene after, and check that it goes with the one before.

    Args:
        source: The scene before.
        grid: Its header, on the grid of the plan.
        record: How values of both are prepared.
        options: Name the scene after.
        own: Header of the file of the scene before, where that is not *grid*: resampled, half
            floats become floats, and what was tilted gets empty corners.

    Returns:
        The scene after; None if there is none.

    Raises:
        FileNotFoundError: If it does not exist.
        UnreadableFileError: If it is cut off, or GDAL cannot read it.
        ValueError: If its bands or their type do not fit, or it does not lie on the scene before,
            or a CRS is missing that would be needed to say so.
    """
    if options.after is None:
        return None
    before, path = fspath(source), fspath(options.after)
    check_whole(path)
    with open_reader(path) as src:
        header = describe_reader(src)
        check_type(header, record, source=path)
        bands = select_bands(header, record, bands=options.bands, source=path)
        rule = find_rule(src, bands, options.observed)
        blocks = stored_blocks(src, bands, in_all=rule == 'all')
    own = own or grid
    if header.dtype != own.dtype:
        raise ValueError(
            f'two dates must be of one data type, but {before} holds {own.dtype} and {path} '
            f'{header.dtype}; convert one of them'
        )
    check_blending(header, grid, bands, source=path)
    resampled = not on_one_grid(header, grid)
    covers, within = (
        check_common_ground(grid, own, header, before, path) if resampled else (1.0, 1.0)
    )
    return AfterScene(
        path=path,
        header=header,
        grid=grid,
        bands=bands,
        nodata=nodata_beside(header, record, options.nodata),
        rule=rule,
        # of a scene on another grid, blocks lie elsewhere
        stored=None if resampled or blocks is None or blocks.all() else blocks,
        resampled=resampled,
        covers=covers,
        within=within,
    )
