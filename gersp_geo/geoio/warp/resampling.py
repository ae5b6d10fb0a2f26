"""A raster resampled to a pixel grid, the same whatever window of it is read."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from xml.etree.ElementTree import Element, SubElement

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform as to_crs

from ..crs import crs_text, turn_of
from ..gdal import GDALError
from ..grids import Grid, middle_of_turn
from ..read.observation_rules import Rule
from ..read.observations import mark_resampled
from ..read.reader import Reader, alpha_bands
from ..read.vrt import describe_warp, find_one, open_described
from .nodata import hide_unobserved
from .rectified import rectified_scales
from .rectifier import Rectifier


@contextmanager
def open_warped(
    src: Reader,
    grid: Grid,
    *,
    nodata: float | None = None,
    bands: Sequence[int] | None = None,
    rule: Rule | None = None,
) -> Iterator[Reader]:
    """See a raster on a grid, resampled bilinearly.

    Args:
        src: An open raster.
        grid: Where its pixels are wanted.
        nodata: Value that means "no observation", besides what the raster says itself; what is
            missing is not blended with its neighbours.
        bands: 1-based indices of the bands that are read; None means all but alpha bands.
        rule: Where a pixel is an observation; None means what the raster says.

    Yields:
        A reader whose pixels do not depend on the window that is read. What lies outside *src* has
        no observation: where there is no nodata value and no alpha band, an alpha band is added as
        the last one.

    Raises:
        ValueError: If single bands are to be left out, and no value can stand for what is missing;
            or if *src* lies by ground control points or the like, which do not say where in this
            CRS.
    """
    rectifier = Rectifier.of(src, grid.crs)
    scales = (
        _scales(src, grid)
        if rectifier is None
        else rectified_scales(rectifier, grid.transform, height=src.height, width=src.width)
    )
    with hide_unobserved(src, nodata, bands=bands, rule=rule) as seen:
        warped = WarpedVRT(
            seen.reader,
            src_crs=None if rectifier is None else rectifier.source_crs,
            crs=grid.crs,
            transform=grid.transform,
            height=grid.height,
            width=grid.width,
            resampling=Resampling.bilinear,
            src_nodata=seen.value,
            nodata=seen.value,
            UNIFIED_SRC_NODATA='YES' if seen.unified else 'NO',
            # without an alpha band, all outside would be 0 like dark ground
            add_alpha=seen.value is None and not alpha_bands(seen.reader),
            **_exactly(*scales),
        )
        middle = middle_of_turn(Grid.of(src), grid)
        # `with warped` would enter a GDAL environment, as open_reader says
        with closing(warped):
            if rectifier is None and middle is None:
                yield mark_resampled(warped)
                return
            # What rasterio has no argument for is added to its description of the warp:
            # https://gdal.org/en/stable/drivers/raster/vrt.html (Warped VRT).
            root = describe_warp(warped, seen.reader)
            if rectifier is not None:
                _find_by_points(root, rectifier)
            elif middle is not None:
                _look_around(root, middle, crs=src.crs)
            with open_described(root) as view:
                yield mark_resampled(view)


def _find_by_points(root: Element, rectifier: Rectifier) -> None:
    """Let a warp find its pixels by points or polynomials.

    rasterio's WarpedVRT heeds these only on a grid of GDAL's choice, and has no splines.

    Args:
        root: Description of a warp onto a grid in the CRS of *rectifier*; changed.
        rectifier: It says where pixels of the source lie.
    """
    steps = find_one(root, './/GenImgProjTransformer')
    for name in ('SrcGeoTransform', 'SrcInvGeoTransform'):
        steps.remove(find_one(steps, name))
    steps.insert(0, rectifier.to_xml())
    # Each position is computed by itself: what GDAL interpolates depends on the window that is
    # read, and misses what a spline does between two of its samples.
    transformer = find_one(root, './/Transformer')
    transformer.clear()
    transformer.append(steps)


def _look_around(root: Element, middle: float, *, crs: CRS) -> None:
    """Let a warp look longitudes up around a meridian, and not between -180 and 180 degrees.

    Args:
        root: Description of the warp; changed.
        middle: Longitude of the meridian in degrees.
        crs: Coordinate reference system of the source.
    """
    pixels = find_one(root, './/GenImgProjTransformer')
    step = pixels.find('.//ReprojectionTransformer')
    if step is None:
        # source and target have one CRS: GDAL would leave longitudes as they are
        step = SubElement(SubElement(pixels, 'ReprojectTransformer'), 'ReprojectionTransformer')
        SubElement(step, 'SourceSRS').text = crs_text(crs)
        SubElement(step, 'TargetSRS').text = find_one(root, 'SRS').text
    options = step.find('Options')
    options = SubElement(step, 'Options') if options is None else options
    SubElement(options, 'Option', key='CENTER_LONG').text = repr(middle)


def _exactly(x_scale: float, y_scale: float) -> dict[str, object]:
    """Choose options of a WarpedVRT that make its pixels independent of the window that is read.

    GDAL would else derive the size of its kernel from each chunk, and interpolate positions within
    it: https://gdal.org/en/stable/api/gdalwarp_cpp.html (XSCALE, YSCALE). The scales are pixels
    wanted per pixel of the file, along its rows and along its columns.
    """
    return {
        'XSCALE': repr(x_scale),
        'YSCALE': repr(y_scale),
        # in pixels of the file; rasterio does not take 0
        'tolerance': 1e-9,
    }


def _scales(src: Reader, grid: Grid) -> tuple[float, float]:
    """Measure how many pixels of a grid a pixel makes along rows and columns of a raster.

    The measure is taken in the middle of the grid, or in that of *src* where the former lies beyond
    the reach of its CRS; it is 1 where both do, as they do not meet then.
    """
    steps_in_file = _steps(grid, src)
    steps_in_grid = _steps(src, grid) if steps_in_file is None else np.linalg.inv(steps_in_file)
    if steps_in_grid is None:
        return 1.0, 1.0
    x_scale, y_scale = np.linalg.norm(steps_in_grid, axis=0).tolist()
    return x_scale, y_scale


def _steps(one: Reader | Grid, other: Reader | Grid) -> NDArray[np.float64] | None:
    """Measure the steps to the next column and row in the middle of a grid, in another's pixels.

    The shape is (2, 2), with one step per column; None where they are not known.
    """
    col, row = one.width / 2, one.height / 2
    places = [one.transform @ place for place in ((col, row), (col + 1, row), (col, row + 1))]
    # a file without a CRS is taken to be in that of the grid
    if None not in (one.crs, other.crs) and one.crs != other.crs:
        xs, ys = zip(*places, strict=True)
        try:
            places = list(zip(*to_crs(one.crs, other.crs, xs, ys), strict=True))
        except GDALError:
            return None
    xs, ys = np.array(places, dtype=np.float64).T
    turn = turn_of(other.crs)
    if turn is not None:
        # two neighbours may lie on both sides of the end of a turn
        steps = xs - xs[0]
        xs = np.where(np.abs(steps) > turn.length / 2, xs[0] + turn.shortest(steps), xs)
    middle, right, below = (
        np.array(~other.transform @ place) for place in zip(xs, ys, strict=True)
    )
    steps = np.stack([right - middle, below - middle], axis=1)
    return steps if np.isfinite(steps).all() and np.linalg.det(steps) else None
