"""Where a raster and the map of it lie, in words."""

import numpy as np
from pyproj import Transformer
from rasterio.crs import CRS

from ..crs import crs_text, name_crs
from ..read.georeference import MOST_POINTS, Georeference
from ..read.reader import RasterHeader
from .rectifier import POLYNOMIAL_CRS, Rectifier

# latitudes beyond which UTM has no zones, and what is usual there
_POLAR = ((84.0, 'EPSG:3995'), (-80.0, 'EPSG:3031'))

_ARRAYS = 'arrays of longitudes and latitudes'


def describe_place(own: RasterHeader, grid: RasterHeader) -> str | None:
    """Say in one line where a map lies, if by more than the CRS and the transform of its scene.

    Args:
        own: Header of the scene as it is stored.
        grid: Header of it on the grid of the map.

    Returns:
        None for a scene with a CRS and a transform alone.
    """
    found = own.georeference
    if found.is_place:
        return _describe_own(found) if grid.crs is None else _describe_warp(found, grid.crs)
    if own.crs is None:
        if own.transform.is_identity:
            return 'none: the scene names neither a CRS nor a transform, and so does the map'
        return 'in no CRS: the scene names none; the map has its transform'
    said = []
    if found.polynomials:
        is_carried = bool(grid.georeference.polynomials)
        what = (
            'are carried to the map'
            if is_carried
            else 'hold for its own pixels, and not for the map'
        )
        said.append(f'its rational polynomials (RPCs) {what}')
    if found.points:
        said.append(f'its {len(found.points):,} ground control points are not carried to the map')
    by = f'{name_crs(grid.crs)}, by the transform of the scene'
    return f'{by}; {"; ".join(said)}' if said else None


def describe_lack(header: RasterHeader) -> str:
    """Say why a raster is on no grid, to go behind its name: "names no CRS"."""
    found = header.georeference
    return f'has {_name(found)} in place of a transform' if found.is_place else 'names no CRS'


def advise_place(header: RasterHeader, *, has_option: bool = True) -> str:
    """Say what to do about a raster that is on no grid.

    Args:
        header: The raster.
        has_option: Whether it can be warped here, with ``crs``.
    """
    found = header.georeference
    if not found.is_place:
        return 'assign one, for example with gdal_edit.py -a_srs'
    if not (found.points or found.polynomials):
        return 'make a grid of it first: gdalwarp -geoloc -t_srs EPSG:4326 IN OUT.tif'
    crs = suggest_crs(found)
    how = '-tps' if found.points else '-rpc'
    grid = f'make a grid of it first: gdalwarp {how} -t_srs {crs} IN OUT.tif'
    return f'pass crs (--crs {crs}), or {grid}' if has_option else grid


def suggest_crs(georeference: Georeference) -> str:
    """Name a CRS in metres for an image that lies by points or polynomials."""
    if georeference.points:
        crs = georeference.points_crs
        if crs is None or crs.is_projected:
            return 'EPSG:...' if crs is None else name_crs(crs)
        xs, ys = np.array([(p.x, p.y) for p in georeference.points]).T
        to_degrees = Transformer.from_crs(crs_text(crs), crs_text(POLYNOMIAL_CRS), always_xy=True)
        lons, lats = to_degrees.transform(xs, ys)
    else:
        polynomials = dict(georeference.polynomials)
        lons, lats = (np.array([float(polynomials[f'{name}_OFF'])]) for name in ('LONG', 'LAT'))
    # the mean is one of angles, as some may lie on both sides of the 180th meridian
    lon = float(np.degrees(np.angle(np.exp(1j * np.radians(lons)).mean())))
    lat = float(np.mean(lats))
    if not (np.isfinite(lon) and np.isfinite(lat)):
        return 'EPSG:...'
    (north, arctic), (south, antarctic) = _POLAR
    if not south <= lat <= north:
        return arctic if lat > 0 else antarctic
    zone = min(int((lon + 180) // 6) + 1, 60)
    return f'EPSG:{(32600 if lat >= 0 else 32700) + zone}'


def describe_means(georeference: Georeference, crs: CRS) -> str:
    """Say by what an image is warped to a CRS."""
    rectifier = Rectifier(georeference, crs, name='the scene')
    if not rectifier.points:
        return (
            f'rational polynomials (RPCs), with all ground at a height of {rectifier.height:,.0f} '
            'm (their HEIGHT_OFF)'
        )
    how = 'a thin plate spline through' if rectifier.is_spline else 'a polynomial that meets'
    return f'{how} {_name(georeference)}'


def _describe_warp(found: Georeference, crs: CRS) -> str:
    """Say how an image got on a grid."""
    return f'{name_crs(crs)}, warped by {describe_means(found, crs)}'


def _describe_own(found: Georeference) -> str:
    """Say what a map has of an image that is not warped."""
    carried = found.carried()
    if carried:
        return f'{_name(carried)}, carried to the map'
    if not found.points:
        return (
            f'none: the scene lies by {_ARRAYS}, which a map does not carry; make a grid of it '
            'first: gdalwarp -geoloc -t_srs EPSG:4326 IN OUT.tif'
        )
    return (
        f'none: the scene has {len(found.points):,} ground control points, and a GeoTIFF holds '
        f'{MOST_POINTS:,}; pass crs (--crs {suggest_crs(found)})'
    )


def _name(found: Georeference) -> str:
    """Name what an image lies by."""
    names = []
    if found.points:
        names.append(f'{len(found.points):,} ground control points ({name_crs(found.points_crs)})')
    if found.polynomials:
        names.append('rational polynomials (RPCs)')
    return ' and '.join(names) or _ARRAYS
