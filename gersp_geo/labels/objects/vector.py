"""Features of vector files over images that have a place: their outlines in pixels."""

import numpy as np
import pandas
import shapely
from geopandas import GeoDataFrame
from lightning.pytorch.utilities import rank_zero_warn
from numpy.typing import NDArray
from shapely import GeometryType

from ...geoio.grids import place_points
from ...geoio.pixel_area import pixel_size_m
from ...geoio.read import RasterHeader
from ...geoio.vector import attribute_texts, read_vectors, repair
from ...geoio.warp import advise_place, describe_lack
from ..placement import place_features
from .cut import areas_inside, polygons_of
from .matching import warn_of_unknown
from .table import Annotations, Images

_POLYGONS = (GeometryType.POLYGON, GeometryType.MULTIPOLYGON)
_POINTS = (GeometryType.POINT, GeometryType.MULTIPOINT)

# Square pixels that an image may miss of an area that covers it: its border may be rounded.
_SLIVER = 0.5


def check_places(images: Images, *, source: str) -> None:
    """Refuse images that no feature can lie over."""
    for file, tile in zip(images.files, images.tiles, strict=True):
        if tile.crs is None:
            raise ValueError(
                f'{source} holds places on the ground, and {file} {describe_lack(tile)}: '
                f'{advise_place(tile, has_option=False)}, or draw objects in pixels (COCO, VOC, '
                'YOLO, DOTA or CSV)'
            )


def read_features(
    images: Images,
    frame: GeoDataFrame,
    *,
    source: str,
    attribute: str | None,
    point_size: float | None,
) -> Annotations:
    """Find features over each image, and draw them in its pixels.

    A feature is one object, with all its parts. A point is a square.

    Args:
        images: The images, all with a CRS; they may be rotated.
        frame: Polygons or points, in any CRS.
        source: Their file, for messages.
        attribute: Column with the class; None puts all into one.
        point_size: Side of a square around a point, in metres on the ground.

    Raises:
        ValueError: If there are lines, points without a size, no such column, or no feature lies
            over an image; says where both lie.

    Warns:
        UserWarning: If features have no geometry or many parts, or images have no feature.
    """
    check_places(images, source=source)
    columns = [name for name in frame.columns if name != frame.geometry.name]
    if attribute is not None and attribute not in columns:
        raise ValueError(f'{source} has no attribute {attribute!r}, only {columns}')
    check_kinds(frame.geometry.to_numpy(), source=source, point_size=point_size)
    frame = split_points(frame)
    values = [None] * len(frame) if attribute is None else attribute_texts(frame[attribute])
    placed, _ = place_features(frame.geometry, images.tiles, source=source)
    read = Annotations(
        source=source, unit='feature', attribute=attribute or '',
        known=np.ones(len(images.files), dtype=np.bool_),
    )  # fmt: skip
    seen: set[int] = set()
    bare: list[int] = []
    for image, (tile, features) in enumerate(zip(images.tiles, placed, strict=True)):
        near, outlines = draw(tile, features.geometries, features.tree, point_size=point_size)
        for row, outline in zip(near.tolist(), outlines, strict=True):
            read.add(outline, values[row], image=image, file=source, row=row + 1)
        seen.update(near.tolist())
        if not len(near):
            bare.append(image)
    for row in sorted(set(range(len(frame))) - seen):
        read.add(None, values[row], image=-1, file=source, row=row + 1)
    if bare:
        rank_zero_warn(
            f'{len(bare)} of {len(images.files)} images meet no feature of {source}, one is '
            f'{images.files[bare[0]]}: they count as images without object; if nobody looked at '
            'them, leave them out, or pass area'
        )
    return read


def check_kinds(geometries: NDArray[np.object_], *, source: str, point_size: float | None) -> None:
    """Refuse what no object can be drawn from."""
    kinds = shapely.get_type_id(geometries)
    missing = shapely.is_missing(geometries) | shapely.is_empty(geometries)
    is_point = np.isin(kinds, _POINTS)
    others = geometries[~(missing | is_point | np.isin(kinds, _POLYGONS))]
    if len(others):
        names = sorted({other.geom_type for other in others})
        raise ValueError(
            f'objects are polygons or points, got {len(others)} {", ".join(names)} in {source}; '
            'surround lines (in QGIS: Buffer), or leave them out'
        )
    if is_point.any() and point_size is None:
        raise ValueError(
            f'{source} holds {int(is_point.sum())} points: pass point_size, the side of an object '
            'in metres'
        )
    if point_size is not None and not point_size > 0:
        raise ValueError(f'point_size must be > 0 metres, got {point_size}')
    if missing.any():
        rank_zero_warn(f'{int(missing.sum())} features of {source} have no geometry')
    parts = np.where(missing | is_point, 1, shapely.get_num_geometries(geometries))
    if several := int((parts > 1).sum()):
        rank_zero_warn(
            f'{several} of {len(geometries)} features of {source} consist of several parts, up to '
            f'{int(parts.max())}: a feature is one object with all its parts; if each part is one, '
            'split them (in QGIS: Multipart to singleparts)'
        )


def draw(
    tile: RasterHeader,
    geometries: NDArray[np.object_],
    tree: shapely.STRtree,
    *,
    point_size: float | None,
) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
    """Draw the features over an image in its pixels.

    Returns:
        Which features these are, ascending, and their outlines.
    """
    sides = np.zeros(2) if point_size is None else pixels_of(tile, point_size)
    frame = shapely.box(*-sides, *(sides + np.array([tile.width, tile.height])))
    ground = shapely.transform(frame, lambda xy: place_points(tile.transform, xy))
    near = np.sort(tree.query(shapely.box(*ground.bounds)))
    onto = ~tile.transform
    outlines = shapely.transform(geometries[near], lambda xy: place_points(onto, xy))
    is_point = shapely.get_type_id(outlines) == GeometryType.POINT
    centers = shapely.get_coordinates(outlines[is_point])
    outlines[is_point] = shapely.box(*(centers - sides / 2).T, *(centers + sides / 2).T)
    outlines = repair(outlines)
    limits = np.tile([float(tile.width), float(tile.height)], (len(outlines), 1))
    meets = areas_inside(outlines, limits) > 0
    return near[meets], outlines[meets]


def split_points(frame: GeoDataFrame) -> GeoDataFrame:
    """Make a feature of each of several points that are one: a point has no parts."""
    is_several = (frame.geometry.geom_type == 'MultiPoint').to_numpy(dtype=np.bool_)
    if not is_several.any():
        return frame
    return pandas.concat([frame[~is_several], frame[is_several].explode()], ignore_index=True)


def pixels_of(tile: RasterHeader, metres: float) -> NDArray[np.float64]:
    """Say how many columns and rows a length on the ground is, in the middle of an image."""
    size = pixel_size_m(tile)
    if size is None:
        raise ValueError(
            'point_size is in metres, and the CRS of an image does not tell how long they are'
        )
    return metres / np.array(size)


def unseen(images: Images, area: str) -> list[shapely.Geometry | None]:
    """Draw the part of each image that nobody looked at, in its pixels.

    Args:
        images: The images.
        area: Vector file of polygons that somebody looked at.

    Returns:
        An empty polygon where somebody looked at all, None where nobody looked at anything.

    Raises:
        ValueError: If *area* lies elsewhere, or holds no polygon.
    """
    frame = read_vectors(area)
    drawn = frame.geometry[~(frame.geometry.isna() | frame.geometry.is_empty)]
    if not np.isin(shapely.get_type_id(drawn.to_numpy()), _POLYGONS).all():
        raise ValueError(f'area must hold polygons alone, {area} has others')
    placed, _ = place_features(frame.geometry, images.tiles, source=area)
    parts: list[shapely.Geometry | None] = []
    for tile, features in zip(images.tiles, placed, strict=True):
        _, outlines = draw(tile, features.geometries, features.tree, point_size=None)
        rest = shapely.box(0, 0, tile.width, tile.height).difference(shapely.union_all(outlines))
        rest = polygons_of(rest)
        if rest.area >= tile.width * tile.height - _SLIVER:
            parts.append(None)
        else:
            parts.append(rest if rest.area > _SLIVER else shapely.Polygon())
    return parts


def add_unseen(read: Annotations, images: Images, area: str) -> None:
    """Leave images out that nobody looked at, and ignore what nobody saw of others."""
    for image, rest in enumerate(unseen(images, area)):
        if rest is None:
            read.known[image] = False
        elif not rest.is_empty:
            read.add(rest, None, image=image, file=area, row=1, ignored=True)
    warn_of_unknown(np.flatnonzero(~read.known).tolist(), images.files, source=area)
