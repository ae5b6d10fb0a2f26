"""References of a map: points, polygons and rasters, brought onto its grid."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import GeometryType

from ...geoio.crs import crs_text
from ...geoio.formats import IMAGE_SUFFIXES, SCENE_SUFFIXES
from ...geoio.grids import Grid, place_points
from ...geoio.polygons import ClassMap, describe_map, read_legend
from ...geoio.read import (
    RasterHeader,
    Reader,
    UnreadableFileError,
    describe_reader,
    open_decoder,
    open_reader,
    read_header,
)
from ...geoio.vector import attribute_texts, place_around, read_vectors
from ...geoio.warp import advise_place, describe_lack
from ...messages import name_some
from .rasters import RasterUnderMap
from .surfaces import PointReference, PolygonReference, RasterReference, Surface

if TYPE_CHECKING:
    from geopandas import GeoDataFrame


@contextmanager
def open_reference(
    path: str | PathLike[str],
    described: ClassMap,
    *,
    name: str,
    attribute: str | None = None,
    layer: str | None = None,
    key: Callable[[str], int | str] = str,
) -> Iterator[PointReference | Surface]:
    """Open a reference of a class map.

    Args:
        path: Points or polygons of any format and CRS, or a raster of classes on any grid.
        described: The map.
        name: Its file, for messages.
        attribute: Column of a vector file that holds the classes; None takes 'reference', or the
            only one.
        layer: Layer of a vector file; None takes the only one with features.
        key: Gives the same for values that mean the same.

    Yields:
        The reference on the grid of the map.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read or put on the map, or has no such column.
    """
    if not is_raster(path):
        yield read_features(
            path, described.header, name=name, attribute=attribute, layer=layer, key=key
        )
        return
    if attribute is not None or layer is not None:
        raise ValueError(
            f'attribute and layer are of vector files, got {attribute or layer!r} with {path}'
        )
    with open_reader(path) as src:
        own = _describe(src)
        with open_decoder(src.name, own.header) as decoder:
            below = RasterUnderMap(src, described.header, name=name, decoder=decoder)
            yield RasterReference(below, own, described)


def _describe(src: Reader) -> ClassMap:
    """Describe a raster of classes, which many programs write as floats."""
    header = describe_reader(src)
    if header.count == 1 and header.dtype.startswith('float'):
        names, colors = read_legend(src)
        return ClassMap(header=header, names=names, colors=colors)
    return describe_map(src, needs_place=False)


def is_raster(path: str | PathLike[str]) -> bool:
    """Say whether a file is a raster rather than a vector file.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    suffix = Path(path).suffix.lower()
    if suffix in (*SCENE_SUFFIXES, *IMAGE_SUFFIXES):
        return True
    # GDAL takes some tables of points for grids
    if suffix == '.csv' or '!' in fspath(path):
        return False
    try:
        read_header(path)
    except UnreadableFileError:
        return False
    except FileNotFoundError:
        raise
    except ValueError:
        # a file of GDAL without a band of its own
        return False
    return True


def read_features(
    path: str | PathLike[str],
    header: RasterHeader,
    *,
    name: str,
    attribute: str | None,
    layer: str | None,
    key: Callable[[str], int | str] = str,
) -> PointReference | PolygonReference:
    """Read points or polygons.

    Args:
        path: The vector file.
        header: Header of the map.
        name: Its file, for messages.
        attribute: As in :func:`open_reference`.
        layer: As in :func:`open_reference`.
        key: As in :func:`open_reference`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: As :func:`open_reference` says.
    """
    check_place(header, name=name, needed_by=fspath(path))
    frame = read_vectors(path, layer=layer)
    column = choose_attribute(frame, attribute, source=fspath(path))
    texts = attribute_texts(frame[column])
    if not any(text is not None for text in texts):
        raise ValueError(
            f'{path} has no value in {column!r} in any of its {len(frame):,} features; fill it, or '
            'pass another attribute (--attribute)'
        )
    kind = kind_of(frame, source=fspath(path))
    placed, owner = place_features(frame, header, name=name, source=fspath(path))
    texts = [texts[i] for i in owner.tolist()]
    if kind == 'polygons':
        return PolygonReference(placed, texts, Grid.of(header), source=fspath(path), key=key)
    rows, cols = pixels_of(placed, header)
    return PointReference(
        source=fspath(path), ids=owner + 1, rows=rows, cols=cols, texts=texts,
        is_drawn={'stratum', 'inclusion_probability'} <= set(frame.columns),
    )  # fmt: skip


def check_place(header: RasterHeader, *, name: str, needed_by: str) -> None:
    """Refuse a map on which nobody knows where features lie.

    Raises:
        ValueError: If it has no CRS.
    """
    if header.crs is None:
        raise ValueError(
            f'{name} {describe_lack(header)}, so that {needed_by} cannot be put on it; '
            f'{advise_place(header, has_option=False)}'
        )


def choose_attribute(frame: 'GeoDataFrame', attribute: str | None, *, source: str) -> str:
    """Choose the column that says what features are.

    Raises:
        ValueError: If there is no such column, or several could be meant.
    """
    known = [str(column) for column in frame.columns if column != frame.geometry.name]
    # of samples, and of polygons that this package makes
    chosen = attribute or next(
        (name for name in ('reference', 'class_name') if name in known), None
    )
    if chosen is None and len(known) == 1:
        chosen = known[0]
    if chosen is None or chosen not in known:
        asked = f'no column {attribute!r}, only' if attribute else 'several columns:'
        advice = '' if attribute else '; attribute (--attribute) names the one of the classes'
        raise ValueError(f'{source} has {asked} {name_some(known) or "none"}{advice}')
    return chosen


def kind_of(frame: 'GeoDataFrame', *, source: str) -> str:
    """Say whether features are 'points' or 'polygons'.

    Raises:
        ValueError: If they are neither, or both.
    """
    kinds = {
        GeometryType.POINT: 'points', GeometryType.MULTIPOINT: 'points',
        GeometryType.POLYGON: 'polygons', GeometryType.MULTIPOLYGON: 'polygons',
    }  # fmt: skip
    drawn = frame.geometry[~(frame.geometry.isna() | frame.geometry.is_empty)].to_numpy()
    counted = Counter(
        kinds.get(GeometryType(kind), 'features of other kinds')
        for kind in shapely.get_type_id(drawn).tolist()
    )
    if len(counted) != 1 or not counted.keys() <= set(kinds.values()):
        held = ', '.join(f'{count:,} {kind}' for kind, count in counted.items()) or 'no geometry'
        raise ValueError(
            f'a reference has points or polygons, {source} has {held}; pass a layer of one kind'
        )
    return next(iter(counted))


def place_features(
    frame: 'GeoDataFrame', header: RasterHeader, *, name: str, source: str
) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Bring features to the CRS of a map, several points of one feature as one each.

    Returns:
        Geometries, None for those elsewhere; and the place in the file of the feature of each.

    Raises:
        ValueError: If none lies on the map.
    """
    # heavy, and only references in vector files need it
    from pyproj import CRS

    assert header.crs is not None  # checked by the caller
    crs = CRS.from_wkt(crs_text(header.crs))
    placed = place_around(frame.geometry, [Grid.of(header)], crs=crs)
    box = shapely.box(*Grid.of(header).bounds())
    if not shapely.intersects(placed, box).any():
        bounds = frame.geometry.to_crs(crs).total_bounds
        raise ValueError(
            f'no feature of {source} lies on {name}: in the CRS of the map, bounds of the features '
            f'are {_rounded(bounds)}, those of the map {_rounded(Grid.of(header).bounds())}; check '
            'its coordinates and its CRS'
        )
    owner = np.arange(len(placed))
    if (shapely.get_type_id(placed) == GeometryType.MULTIPOINT).any():
        # a part of each, and one that is missing of what has none
        placed[shapely.is_empty(placed)] = None
        parts, index = shapely.get_parts(placed, return_index=True)
        gone = np.setdiff1d(owner, index)
        placed = np.concatenate([parts, np.full(len(gone), None, dtype=np.object_)])
        owner = np.concatenate([index, gone])
    return placed, owner


def pixels_of(
    points: NDArray[np.object_], header: RasterHeader
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the pixels that hold points; -1 outside of the raster."""
    places = np.stack([shapely.get_x(points), shapely.get_y(points)], axis=1)
    return pixels_at(places, header)


def pixels_at(
    places: NDArray[np.float64], header: RasterHeader
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the pixels that hold places, shape (n, 2); -1 outside of the raster."""
    found = place_points(~header.transform, places)
    with np.errstate(invalid='ignore'):
        inside = ((found >= 0) & (found < (header.width, header.height))).all(axis=1)
    pixels = np.where(inside[:, None], np.floor(np.nan_to_num(found)), -1).astype(np.int64)
    return pixels[:, 1], pixels[:, 0]


def _rounded(bounds: object) -> tuple[float, ...]:
    """Round bounds to what a message needs."""
    return tuple(float(f'{bound:.6g}') for bound in np.asarray(bounds).tolist())
