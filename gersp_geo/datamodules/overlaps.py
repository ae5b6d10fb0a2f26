"""Images that show the same ground, and parcels of ground that several of them show."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..datasets.raster_files import ground_resolution
from ..geoio.crs import crs_text, find_turn
from ..geoio.grids import Grid, place_points
from ..windows import Window

# Points per side of an image when its outline is transformed, as GDAL takes for bounds
OUTLINE_POINTS = 21

# Share of a pixel by which the sides of images may reach into each other, as rounding makes them,
# and by which a pixel may reach into the next parcel
SLACK = 0.01

# steps in which the largest upright rectangle inside a parcel is found: to a millionth of it
HALVINGS = 20

WGS84 = CRS.from_epsg(4326)


# thousands of images share a few, and each takes milliseconds to read
read_crs = lru_cache(maxsize=256)(CRS.from_wkt)


@lru_cache(maxsize=256)
def transformer(source: CRS, target: CRS) -> Transformer:
    """Prepare a transform of x and y."""
    return Transformer.from_crs(source, target, always_xy=True)


class ParcelView(NamedTuple):
    """What one image shows of one parcel."""

    tile: int
    """Number of the image."""

    number: int
    """Of the parcel."""

    window: Window
    """Pixels of the image that lie in the parcel as a whole."""


class Place:
    """Where an image lies: from its pixels to coordinates of any CRS, and back."""

    def __init__(self, grid: Grid) -> None:
        """Initialize a new Place instance; *grid* has a CRS."""
        self.grid, self.crs = grid, read_crs(crs_text(grid.crs))
        sides = np.linspace(0, 1, OUTLINE_POINTS)[:-1]
        across, along = grid.width * sides, grid.height * sides
        right, bottom = np.full_like(along, grid.width), np.full_like(across, grid.height)
        self.outline = np.concatenate(
            [
                np.stack([across, np.zeros_like(across)], axis=1),
                np.stack([right, along], axis=1),
                np.stack([grid.width - across, bottom], axis=1),
                np.stack([np.zeros_like(along), grid.height - along], axis=1),
            ]
        )
        """Points around it in pixels, shape (n, 2)."""

    @property
    def pixel_m(self) -> float:
        """Side of a pixel in metres, at the middle of the image."""
        return ground_resolution(self.grid)

    def locate(self, pixels: NDArray[np.float64], crs: CRS) -> NDArray[np.float64]:
        """Find coordinates of pixels, shape (n, 2); those of a line stay beside each other."""
        points = place_points(self.grid.transform, pixels)
        if crs is not self.crs:
            moved = transformer(self.crs, crs).transform(points[:, 0], points[:, 1])
            points = np.stack(moved, axis=1)
        turn = find_turn(crs)
        if turn is not None and np.isfinite(points).all():
            points[:, 0] = turn.unroll(points[:, 0])
        return points

    def pixels(self, points: NDArray[np.float64], crs: CRS) -> NDArray[np.float64]:
        """Find the pixels of coordinates, shape (n, 2), in the turn that the image lies in."""
        if crs is not self.crs:
            moved = transformer(crs, self.crs).transform(points[:, 0], points[:, 1])
            points = np.stack(moved, axis=1)
        turn = find_turn(self.crs)
        if turn is not None and np.isfinite(points).all():
            points = points.copy()
            middle = place_points(self.grid.transform, self.outline)[:, 0].mean()
            x = turn.unroll(points[:, 0])
            points[:, 0] = x + turn.into(np.array([x.mean()]), middle)[0] - x.mean()
        return place_points(~self.grid.transform, points)


def group_overlapping(grids: Sequence[Grid]) -> list[list[int]]:
    """Group images that overlap, directly or by way of others.

    Args:
        grids: Where the pixels of each image lie; those without a CRS overlap nothing.

    Returns:
        Numbers of images, ascending in each group; groups in the order of their first image.
    """
    placed = [i for i, grid in enumerate(grids) if grid.crs is not None]
    pairs = np.zeros((2, 0), dtype=np.int64)
    if len(placed) > 1:
        places = [Place(grids[i]) for i in placed]
        common = places[0].crs if len({id(p.crs) for p in places}) == 1 else WGS84
        pairs = np.array(placed)[find_overlaps(places, common)]
    size = len(grids)
    graph = coo_array((np.ones(pairs.shape[1]), tuple(pairs)), shape=(size, size))
    count, groups = connected_components(graph, directed=False)
    members: list[list[int]] = [[] for _ in range(count)]
    for tile, group in enumerate(groups.tolist()):
        members[group].append(tile)
    return sorted(members)


def find_overlaps(places: Sequence[Place], crs: CRS) -> NDArray[np.int64]:
    """List pairs of images that share ground, shape (2, n); sides that only touch share none."""
    rings = [place.locate(place.outline, crs) for place in places]
    turn = find_turn(crs)
    if turn is not None:
        for ring in rings:
            # all in one turn; those across its end meet their neighbours after another
            ring[:, 0] += turn.into(ring[:, :1].mean(0), turn.middle)[0] - ring[:, 0].mean()
    known = np.array([bool(np.isfinite(ring).all()) for ring in rings])
    outlines = np.array(
        [shapely.Polygon(ring) if ok else None for ring, ok in zip(rings, known, strict=True)],
        dtype=np.object_,
    )
    areas = shapely.area(outlines)
    pixels = np.sqrt(areas / [place.grid.height * place.grid.width for place in places])
    tree, found = shapely.STRtree(outlines), []
    for move in (0.0,) if turn is None else (0.0, turn.length, -turn.length):
        moved = shapely.transform(outlines, lambda xy, by=move: xy + np.array([by, 0.0]))
        one, other = tree.query(moved)
        limit = SLACK * np.minimum(pixels[one], pixels[other])
        limit *= np.sqrt(np.minimum(areas[one], areas[other]))
        # most neighbours only touch, which their bounds tell
        first, second = shapely.bounds(moved)[one], shapely.bounds(outlines)[other]
        sides = np.minimum(first, second)[:, 2:] - np.maximum(first, second)[:, :2]
        near = (np.maximum(sides, 0).prod(axis=1) > limit) & (one != other)
        one, other, limit = one[near], other[near], limit[near]
        shared = shapely.area(shapely.intersection(moved[one], outlines[other]))
        found.append(np.stack([one, other])[:, shared > limit])
    return np.concatenate(found, axis=1)


def cut_ground(
    grids: Sequence[Grid], group: Sequence[int], *, cut: Callable[[int], list[tuple[int, int]]]
) -> list[ParcelView]:
    """Cut the ground of images that overlap into parcels, and find what each image shows of them.

    Args:
        grids: Of all images.
        group: Numbers of those that overlap.
        cut: Cuts a side of so many pixels into parts, from first to one past the last.

    Returns:
        Parcels in the order of images, rows, columns; parts of no pixel are left out. Pixels across
        the border of two parcels are in neither.
    """
    places = {tile: Place(grids[tile]) for tile in group}
    # no parcel holds fewer pixels of any image than of this one
    base = max(places.values(), key=lambda place: place.pixel_m)
    spans = {
        tile: base.pixels(place.locate(place.outline, base.crs), base.crs)
        for tile, place in places.items()
    }
    everything = np.concatenate(list(spans.values()))
    left, top = np.floor(everything.min(axis=0) + SLACK).astype(int).tolist()
    right, bottom = np.ceil(everything.max(axis=0) - SLACK).astype(int).tolist()
    rows, cols = cut(bottom - top), cut(right - left)
    found = []
    for tile, place in places.items():
        (west, north), (east, south) = spans[tile].min(axis=0), spans[tile].max(axis=0)
        # of thousands of images, each meets a few
        near_cols = numbers_between(cols, west - left, east - left)
        for row in numbers_between(rows, north - top, south - top):
            for col in near_cols:
                parcel = (
                    left + cols[col][0], top + rows[row][0], left + cols[col][1], top + rows[row][1]
                )  # fmt: skip
                if (window := window_inside(parcel, base, place)) is not None:
                    found.append(ParcelView(tile, row * len(cols) + col, window))
    return found


def numbers_between(parts: Sequence[tuple[int, int]], low: float, high: float) -> range:
    """Number the parts, which ascend, that reach between two places."""
    first = bisect_right(parts, low, key=lambda part: part[1])
    return range(first, bisect_left(parts, high, key=lambda part: part[0]))


def window_inside(parcel: tuple[int, int, int, int], base: Place, place: Place) -> Window | None:
    """Find the largest window of an image inside a parcel: all of it, if their grids are parallel.

    Args:
        parcel: Left, top, right and bottom in pixels of *base*.
        base: Image whose pixels make the parcels.
        place: The image that is looked at.

    Returns:
        None if no pixel of the image lies in the parcel.
    """
    outline = shapely.segmentize(
        shapely.box(*parcel), max(parcel[2] - parcel[0], parcel[3] - parcel[1]) / OUTLINE_POINTS
    )
    seen = place.pixels(base.locate(shapely.get_coordinates(outline), base.crs), base.crs)
    if not np.isfinite(seen).all():
        return None
    lowest, highest = upright_inside(seen)
    sides = np.array([place.grid.width, place.grid.height])
    first = np.maximum(np.ceil(lowest - SLACK), 0).astype(int)
    stop = np.minimum(np.floor(highest + SLACK), sides).astype(int)
    if (stop <= first).any():
        return None
    (col, row), (width, height) = first.tolist(), (stop - first).tolist()
    return Window(row_off=row, col_off=col, height=height, width=width)


def upright_inside(ring: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find an upright rectangle inside a ring, of the shape of the one around it.

    Returns:
        Lowest and highest x and y.
    """
    lowest, highest = ring.min(axis=0), ring.max(axis=0)
    polygon, middle = shapely.Polygon(ring), ring.mean(axis=0)
    if polygon.area >= np.prod(highest - lowest - 2 * SLACK):
        return lowest, highest
    middle = np.array(polygon.centroid.coords[0])
    half = np.minimum(middle - lowest, highest - middle)
    inside, outside = 0.0, 1.0
    shapely.prepare(polygon)
    for _ in range(HALVINGS):
        share = (inside + outside) / 2
        box = shapely.box(*(middle - share * half), *(middle + share * half))
        inside, outside = (share, outside) if polygon.covers(box) else (inside, share)
    return middle - inside * half, middle + inside * half
