"""Where patches lie."""

from itertools import pairwise

import numpy as np
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS

from gersp_geo.geoio.read.reader import RasterHeader
from gersp_geo.inference.outputs.patch_grid import coarse_header, draw_patches, plan_grid

GRIDS = (
    Affine(0.5, 0, 399_999.5, 0, -0.5, 5_000_000.5),
    Affine(0.3, 0.4, 500_000, 0.4, -0.3, 5_000_000),
    Affine(0.5, 0, 500_000, 0, 0.5, 5_000_000),
)


@st.composite
def cuts(draw: st.DrawFn) -> tuple[int, int, int, int]:
    size = draw(st.integers(3, 40))
    return (
        draw(st.integers(1, 130)),
        draw(st.integers(1, 130)),
        size,
        draw(st.integers(0, size - 1)),
    )


def header(height: int, width: int, transform: Affine) -> RasterHeader:
    return RasterHeader(
        height=height, width=width, count=1, dtype='uint8', crs=CRS.from_epsg(32632), nodata=None,
        transform=transform, descriptions=(None,), alpha=(), block_shape=(16, 16),
    )  # fmt: skip


@given(cuts())
def test_patches_are_evenly_spaced_and_each_shows_a_pixel_that_no_other_does(
    cut: tuple[int, int, int, int],
) -> None:
    height, width, size, overlap = cut
    tiles = plan_grid(height, width, size=size, overlap=overlap)
    for offsets, length in ((tiles.row_offs, height), (tiles.col_offs, width)):
        assert offsets[0] == 0
        assert {b - a for a, b in pairwise(offsets)} <= {size - overlap}
        covered = np.zeros(length + size, dtype=int)
        for offset in offsets:
            covered[offset : offset + size] += 1
        assert (covered[:length] > 0).all()
        # without the last one, some pixel would be missing
        if len(offsets) > 1:
            assert offsets[-2] + size < length


@given(cuts(), st.sampled_from(GRIDS))
def test_a_pixel_of_the_map_lies_in_the_middle_of_its_patch(
    cut: tuple[int, int, int, int], transform: Affine
) -> None:
    height, width, size, overlap = cut
    tiles = plan_grid(height, width, size=size, overlap=overlap)
    scene = header(height, width, transform)
    coarse = coarse_header(scene, tiles)
    assert (coarse.height, coarse.width) == (len(tiles.row_offs), len(tiles.col_offs))
    row, col = len(tiles.row_offs) - 1, len(tiles.col_offs) - 1
    middle = (tiles.col_offs[col] + size / 2, tiles.row_offs[row] + size / 2)
    np.testing.assert_allclose(coarse.transform @ (col + 0.5, row + 0.5), transform @ middle)
    side = (size - overlap) * np.hypot(transform.a, transform.d)
    np.testing.assert_allclose(np.hypot(coarse.transform.a, coarse.transform.d), side)


@given(cuts(), st.sampled_from(GRIDS))
def test_polygons_are_the_patches_cut_off_at_the_borders_of_the_scene(
    cut: tuple[int, int, int, int], transform: Affine
) -> None:
    height, width, size, overlap = cut
    tiles = plan_grid(height, width, size=size, overlap=overlap)
    scene = header(height, width, transform)
    drawn = np.concatenate(
        [
            draw_patches(scene, tiles, row=row, cols=np.arange(len(tiles.col_offs)))
            for row in range(len(tiles.row_offs))
        ]
    )
    assert shapely.is_valid(drawn).all()
    assert shapely.is_ccw(shapely.get_exterior_ring(drawn)).all()
    corners = [transform @ corner for corner in ((0, 0), (width, 0), (width, height), (0, height))]
    whole = shapely.Polygon(corners)
    # together they cover the scene, and nothing else
    assert abs(shapely.union_all(drawn, grid_size=1e-6).area - whole.area) < 1e-3 * whole.area
    assert shapely.area(drawn).max() <= size**2 * abs(transform.determinant) * (1 + 1e-9)
    if overlap == 0:
        np.testing.assert_allclose(shapely.area(drawn).sum(), whole.area)
