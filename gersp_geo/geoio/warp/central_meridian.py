"""A warped raster whose source has longitudes around another meridian than Greenwich's."""

from collections.abc import Iterator
from contextlib import contextmanager
from xml.etree.ElementTree import SubElement

from rasterio.crs import CRS
from rasterio.vrt import WarpedVRT

from ..crs import crs_text, turn_of
from ..grids import Grid
from ..read.reader import Reader
from ..read.vrt import describe_warp, find_one, open_described

# Degrees of a full turn.
_CIRCLE = 360.0


def middle_of_turn(source: Grid, grid: Grid) -> float | None:
    """Say around which longitude those of a raster must be looked up to be found.

    Args:
        source: The raster.
        grid: On which it is seen.

    Returns:
        In degrees. None where GDAL finds them by itself, and where x is no longitude.
    """
    turn = turn_of(source.crs)
    # GDAL counts in degrees
    if source.crs is None or not source.crs.is_geographic or turn is None or turn.length != _CIRCLE:
        return None
    left, right = source.x_range()
    # borders are rounded
    half = turn.length / 2 * (1 + 1e-9)
    is_beyond = not -half <= left <= right <= half
    is_moved = is_beyond and grid.crs is not None and source.crs != grid.crs
    if not is_moved and grid.crs is not None and grid.crs.is_geographic:
        begin, end = grid.x_range()
        # a world that is widened to whole pixels reaches into itself by less than one of them
        is_moved = any(
            min(right + move * turn.length, end) - max(left + move * turn.length, begin)
            > (end - begin) / grid.width
            for move in turn.repeats(left, right, within=(begin, end))
            if move
        )
    return (left + right) / 2 if is_moved else None


@contextmanager
def recentred(
    warped: WarpedVRT, seen: Reader, middle: float, *, source_crs: CRS
) -> Iterator[Reader]:
    """Look longitudes of the source up around a meridian, and not between -180 and 180 degrees.

    GDAL can, but rasterio gives it no chance where the grid is given; so its description of the
    warp is completed: https://gdal.org/en/stable/drivers/raster/vrt.html (Warped VRT).

    Args:
        warped: A view on a grid that was given.
        seen: What it shows.
        middle: Longitude of the meridian in degrees.
        source_crs: What the longitudes are of.

    Yields:
        The same raster.
    """
    root = describe_warp(warped, seen)
    pixels = find_one(root, './/GenImgProjTransformer')
    step = pixels.find('.//ReprojectionTransformer')
    if step is None:
        # of one CRS: GDAL would leave longitudes as they are
        step = SubElement(SubElement(pixels, 'ReprojectTransformer'), 'ReprojectionTransformer')
        SubElement(step, 'SourceSRS').text = crs_text(source_crs)
        SubElement(step, 'TargetSRS').text = crs_text(warped.crs)
    options = step.find('Options')
    options = SubElement(step, 'Options') if options is None else options
    SubElement(options, 'Option', key='CENTER_LONG').text = repr(middle)
    with open_described(root) as view:
        yield view
