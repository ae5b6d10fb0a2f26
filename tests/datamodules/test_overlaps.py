"""Blocks on the ground of images that overlap."""

from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine
from geopandas import GeoSeries
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS

from gersp_geo.datamodules.ground import Block, lay_blocks
from gersp_geo.datamodules.overlaps import group_overlapping
from gersp_geo.geoio.grids import Grid, place_points

UTM = CRS.from_epsg(32633)


def grid(
    x: float = 0.0,
    y: float = 0.0,
    *,
    res: float = 1.0,
    sides: tuple[int, int] = (100, 120),
    crs: CRS | None = UTM,
    turn: float = 0.0,
) -> Grid:
    place = Affine.translation(500_000 + x, 5_800_000 + y) @ Affine.rotation(turn)
    return Grid(height=sides[0], width=sides[1], crs=crs, transform=place @ Affine.scale(res, -res))


def on_ground(block: Block, grids: list[Grid]) -> Any:
    w, own = block.window, grids[block.tile]
    corners = shapely.get_coordinates(shapely.box(w.col_off, w.row_off, w.col_stop, w.row_stop))
    return shapely.Polygon(place_points(own.transform, corners))


def in_one_crs(blocks: list[Block], grids: list[Grid]) -> Any:
    outlines = [
        GeoSeries([shapely.segmentize(on_ground(b, grids), 5)], crs=grids[b.tile].crs)
        .to_crs(UTM)
        .iloc[0]
        for b in blocks
    ]
    return np.array(outlines)


@given(
    offsets=st.lists(
        st.tuples(
            st.floats(-150, 150), st.floats(-150, 150), st.sampled_from([0.5, 1.0, 2.0, 3.3])
        ),
        min_size=2,
        max_size=4,
    ),
    turn=st.sampled_from([0.0, 0.0, 12.0, 90.0, 180.0]),
)
def test_blocks_of_two_parcels_share_no_ground(
    offsets: list[tuple[float, float, float]], turn: float
) -> None:
    grids = [grid(x, y, res=res) for x, y, res in offsets]
    grids[-1] = grid(*offsets[-1][:2], turn=turn)
    blocks = lay_blocks(grids, block_size=40, size=20)
    outlines = np.array([on_ground(block, grids) for block in blocks])
    parcels = np.array([block.parcel for block in blocks])
    one, other = shapely.STRtree(outlines).query(outlines, predicate='intersects')
    apart = parcels[one] != parcels[other]
    shared = shapely.area(shapely.intersection(outlines[one], outlines[other]))[apart]
    # a hundredth of the largest pixel along the longest side of a block
    assert shared.max(initial=0) <= 2 * 0.01 * 3.3 * 250


def test_two_dates_of_one_place_have_the_same_blocks() -> None:
    grids = [grid(), grid(1000), grid()]
    blocks = lay_blocks(grids, block_size=50, size=25)
    first, second = ([b for b in blocks if b.tile == tile] for tile in (0, 2))
    assert [(b.window, b.parcel) for b in first] == [(b.window, b.parcel) for b in second]
    alone = lay_blocks(grids[:1], block_size=50, size=25)
    assert [b.window for b in alone] == [b.window for b in first]


def test_images_that_touch_are_apart() -> None:
    assert group_overlapping([grid(), grid(120), grid(0, 100), grid(0.0000001, -100)]) == [
        [0], [1], [2], [3],
    ]  # fmt: skip
    assert group_overlapping([grid(), grid(119), grid(500), grid(crs=None)]) == [[0, 1], [2], [3]]


def test_images_of_two_zones_share_their_ground() -> None:
    other = CRS.from_epsg(32632)
    corner = GeoSeries.from_xy([500_000], [5_800_000], crs=UTM).to_crs(other)
    x, y = float(corner.x[0]), float(corner.y[0])
    grids = [grid(sides=(400, 400)), Grid(
        height=400, width=400, crs=other, transform=Affine(1, 0, x - 60, 0, -1, y - 40),
    )]  # fmt: skip
    assert group_overlapping(grids) == [[0, 1]]
    blocks = lay_blocks(grids, block_size=100, size=50)
    outlines = in_one_crs(blocks, grids)
    parcels = np.array([b.parcel for b in blocks])
    one, other_ = shapely.STRtree(outlines).query(outlines, predicate='intersects')
    shared = shapely.area(shapely.intersection(outlines[one], outlines[other_]))
    assert shared[parcels[one] != parcels[other_]].max() < 3
    tiles = np.array([b.tile for b in blocks])
    assert shared[(parcels[one] == parcels[other_]) & (tiles[one] != tiles[other_])].max() > 2000


@pytest.mark.parametrize(('here', 'there'), [(190.0, -170.0), (-170.0, 190.0), (179.9, -180.1)])
def test_longitudes_of_another_turn_are_the_same_ground(here: float, there: float) -> None:
    wgs84 = CRS.from_epsg(4326)
    grids = [
        Grid(height=100, width=100, crs=wgs84, transform=Affine(0.01, 0, x, 0, -0.01, 10))
        for x in (here, there)
    ]
    assert group_overlapping(grids) == [[0, 1]]
    blocks = lay_blocks(grids, block_size=50, size=25)
    assert len({b.parcel for b in blocks}) == 4
    assert len(blocks) == 8
