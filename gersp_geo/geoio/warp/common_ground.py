"""What two dates of a place have in common, before one is put on the grid of the other."""

from ..grids import Grid
from ..read.reader import RasterHeader
from .location_text import advise_place, describe_lack
from .overlap import measure_overlap
from .reprojection import BEYOND, Reprojection


def check_common_ground(
    grid: RasterHeader, own: RasterHeader, header: RasterHeader, before: str, after: str
) -> tuple[float, float]:
    """Say which share of each of two scenes the other covers, where their grids differ.

    Args:
        grid: That of the plan.
        own: Header of the file of the scene before.
        header: That of the scene after.
        before: Name of the former.
        after: Name of the latter.

    Returns:
        Share of the scene before, and share of the scene after.

    Raises:
        ValueError: If a CRS is missing, or they have no ground in common.
    """
    found = header.georeference
    # the later scene can be warped to where the earlier one lies, but not the other way round
    is_warped = bool(found.is_place and (found.points or found.polynomials))
    for name, other, raster, is_known in (
        (before, after, grid, grid.crs is not None),
        (after, before, header, header.crs is not None or is_warped),
    ):
        if not is_known:
            lies = 'may lie' if raster.georeference.has_arrays else 'lies'
            raise ValueError(
                f'{name} {describe_lack(raster)} and {lies} on another grid than {other}, so that '
                f'they cannot be put on each other; {advise_place(raster)}'
            )
    overlap = measure_overlap(own, header, crs=grid.crs)
    if not overlap.of_first:
        bounds = [_rounded(b) for b in (overlap.first_bounds, overlap.second_bounds)]
        raise ValueError(
            f'{before} and {after} have no ground in common: in {overlap.crs}, the bounds of the '
            f'first are {bounds[0]}, and those of the second {bounds[1]}; pass two rasters of one '
            'place'
        )
    if header.crs is not None and grid.crs is not None:
        lost = Reprojection.of(Grid.of(header), grid.crs).share_lost(Grid.of(grid))
        if lost:
            raise ValueError(
                f'{after} cannot be put on the grid of {before}: {100 * lost:.0f} % of what they '
                f'have in common would be lost; {BEYOND}'
            )
    return overlap.of_first, overlap.of_second


def _rounded(bounds: tuple[float, ...]) -> tuple[float, ...]:
    """Round bounds to what a message needs."""
    return tuple(round(bound, 3) for bound in bounds)
