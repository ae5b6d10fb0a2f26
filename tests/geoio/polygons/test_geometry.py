import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from gersp_geo.geoio.polygons.geometry import simplify_polygons, to_polygons
from gersp_geo.geoio.polygons.outlines import Outlines, join_outlines, trace_outlines

TRANSFORMS = {
    'north up': Affine(0.3, 0, 500_000.1, 0, -0.3, 5_000_000.7),
    'south up': Affine(0.3, 0, 500_000.1, 0, 0.3, 5_000_000.7),
    'rotated': Affine.translation(500_000, 5_000_000) @ Affine.rotation(33) @ Affine.scale(2, -3),
    'mirrored': Affine(-2, 0, 10, 0, -2, 10),
}
PLAIN = Affine(1, 0, 0, 0, -1, 0)

CODES = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 3))
)


def trace(codes: NDArray[np.integer]) -> Outlines:
    return join_outlines(list(trace_outlines([codes])))


def landscape(side: int) -> NDArray[np.uint8]:
    """Classes with smooth borders, and a lake of nothing."""
    rows, cols = np.mgrid[:side, :side] / 7.0
    codes = 1 + (np.sin(rows) + np.cos(cols * 1.3 + rows) > 0) + (np.sin(cols - rows / 2) > 0.8)
    codes[(rows - 3) ** 2 + (cols - 3) ** 2 < 2] = 0
    return np.asarray(codes, dtype=np.uint8)


@pytest.mark.parametrize('name', TRANSFORMS)
@given(codes=CODES)
def test_coordinates_follow_the_transform_and_rings_turn_left(
    name: str, codes: NDArray[np.uint8]
) -> None:
    transform, outlines = TRANSFORMS[name], trace(codes)
    polygons = to_polygons(outlines, transform)
    assert shapely.is_valid(polygons).all()
    assert all(polygon.exterior.is_ccw for polygon in polygons)
    assert not any(hole.is_ccw for polygon in polygons for hole in polygon.interiors)

    def to_pixels(points: NDArray[np.float64]) -> NDArray[np.float64]:
        cols, rows = ~transform @ points.T
        return np.stack([cols, -rows], axis=1)

    # pixels of 30 cm, 5000 km from the origin, keep their corners to a micrometre
    back = shapely.transform(polygons, to_pixels)
    assert shapely.equals_exact(
        shapely.normalize(shapely.transform(back, np.round)),
        shapely.normalize(to_polygons(outlines, PLAIN)),
        0,
    ).all()
    np.testing.assert_allclose(
        shapely.get_coordinates(back), np.round(shapely.get_coordinates(back)), atol=1e-5
    )


@given(codes=CODES, tolerance=st.floats(0.3, 5), size=st.integers(1, 4))
def test_simplified_neighbours_keep_their_border_in_common(
    codes: NDArray[np.uint8], tolerance: float, size: int
) -> None:
    outlines = trace(np.kron(codes, np.ones((size, size), np.uint8)))
    polygons = simplify_polygons(outlines, PLAIN, tolerance=tolerance)
    assert len(polygons) == len(outlines)
    assert shapely.is_valid(polygons).all()
    assert all(polygon.exterior.is_ccw for polygon in polygons)
    # neither overlap nor a border that differs
    assert shapely.coverage_is_valid(polygons)
    whole = shapely.union_all(polygons)
    assert shapely.area(polygons).sum() == pytest.approx(whole.area)


def test_simplification_opens_no_gap_and_saves_vertices() -> None:
    outlines = trace(landscape(80))
    exact = to_polygons(outlines, PLAIN)
    polygons = simplify_polygons(outlines, PLAIN, tolerance=1.5)
    holes = [
        shapely.get_num_interior_rings(shapely.get_parts(shapely.union_all(some))).sum()
        for some in (exact, polygons)
    ]
    assert holes[0] == holes[1] == 1
    assert (
        shapely.get_num_coordinates(polygons).sum() < 0.4 * shapely.get_num_coordinates(exact).sum()
    )
    # stays within about a pixel of the border
    assert shapely.hausdorff_distance(exact[0].exterior, polygons[0].exterior) < 3


def test_a_corner_of_a_neighbour_on_a_straight_side_is_no_gap_to_simplification() -> None:
    # the right side of the first meets the border between the other two
    codes = np.array([[1, 2], [1, 3]], np.uint8)
    assert not shapely.coverage_is_valid(to_polygons(trace(codes), PLAIN))
    nearly = simplify_polygons(trace(codes), PLAIN, tolerance=1e-9)
    assert shapely.coverage_is_valid(nearly)
    assert sorted(shapely.area(nearly)) == [1, 1, 2]


@pytest.mark.parametrize('tolerance', [0.0, -1.0, float('nan'), float('inf')])
def test_a_tolerance_is_positive(tolerance: float) -> None:
    with pytest.raises(ValueError, match='> 0'):
        simplify_polygons(trace(np.ones((2, 2), np.uint8)), PLAIN, tolerance=tolerance)


def test_nothing_makes_no_polygons() -> None:
    outlines = trace(np.zeros((3, 3), np.uint8))
    assert len(to_polygons(outlines, PLAIN)) == 0
    assert len(simplify_polygons(outlines, PLAIN, tolerance=1)) == 0
