"""Where pixels of a raster lie in another CRS, and whether they are found again from there."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS as PyprojCRS
from pyproj import Transformer
from pyproj.exceptions import ProjError
from rasterio.crs import CRS

from ...messages import one_line
from ..crs import Turn, crs_text, turn_of
from ..grids import Grid, middle_of_turn, place_points

BEYOND = (
    'its x goes on beyond 180 degrees, which only longitudes in degrees may: cut it there in two, '
    'and move the part beyond by a turn around the Earth (gdal_translate -projwin, then -a_ullr)'
)
"""Why pixels of a raster are not found, and the way out."""

# Where a CRS enlarges the ground more often than this, compared to the middle of all, it is out of
# its reach: for world maps, that of Mercator's projection ends at 86 degrees.
_STRETCH = 10.0

# Points per side of a raster that are sent to another CRS and back.
_PROBES = 33


@dataclass(frozen=True, kw_only=True)
class Reprojection:
    """The way from the pixels of a raster to coordinates in another CRS, and back."""

    source: Grid
    """The raster, which has a CRS."""

    crs: CRS
    """Coordinate reference system in which it is seen."""

    forward: Transformer
    """Leads from the CRS of the raster to the other one."""

    @classmethod
    def of(cls, source: Grid, crs: CRS) -> Self:
        """Prepare the way.

        Raises:
            ValueError: If there is none between the two CRSs.
        """
        assert source.crs is not None  # checked by the caller
        try:
            forward = Transformer.from_crs(crs_text(source.crs), crs_text(crs), always_xy=True)
        except ProjError as error:
            reason = one_line(error)
            raise ValueError(f'there is no way from {source.crs} to {crs}: {reason}') from error
        return cls(source=source, crs=crs, forward=forward)

    @cached_property
    def turn(self) -> Turn | None:
        """How x repeats itself in the other CRS."""
        return turn_of(self.crs)

    def go(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Find coordinates of points in the raster.

        Args:
            points: Columns and rows, shape (n, 2).

        Returns:
            x and y, shape (n, 2), not finite where the CRS does not reach.
        """
        places = place_points(self.source.transform, points)
        return np.stack(self.forward.transform(*places.T), axis=1)

    def come_back(self, places: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
        """Find points in the raster as GDAL does that warps it onto a grid.

        Args:
            places: As :meth:`go` returns.
            grid: It decides where longitudes are cut.

        Returns:
            Columns and rows, shape (n, 2); what is not finite has no place in the raster.
        """
        x, y = self.forward.transform(places[:, 0], places[:, 1], direction='INVERSE')
        middle, turn = middle_of_turn(self.source, grid), turn_of(self.source.crs)
        if middle is not None and turn is not None:
            x = turn.into(np.asarray(x), middle)
        return place_points(~self.source.transform, np.stack([x, y], axis=1))

    def find_ground(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Find longitudes and latitudes of points in the raster.

        Args:
            points: Columns and rows, shape (n, 2).

        Returns:
            In radians, shape (n, 2); not finite where there is no ground, as in the corners of an
            image of the full disk.
        """
        assert self.source.crs is not None  # checked by the caller
        crs = PyprojCRS.from_wkt(crs_text(self.source.crs))
        places = place_points(self.source.transform, points)
        geodetic = crs.geodetic_crs
        if geodetic is None:
            return np.zeros_like(places)
        to_ground = Transformer.from_crs(crs, geodetic, always_xy=True)
        ground = np.stack(to_ground.transform(*places.T), axis=1)
        ground *= geodetic.axis_info[0].unit_conversion_factor
        # a rounded border of the world is on it
        ground[np.abs(ground[:, 1]) > np.pi / 2 * (1 + 1e-9)] = np.nan
        return ground

    def share_found_again(self, grid: Grid) -> float:
        """Measure which share of the raster a grid shows, where the grid is to show all of it.

        Args:
            grid: In the other CRS.

        Returns:
            Share of the pixels on the ground that lie on the grid, and are found again from there
            to within half a pixel, by a sample; 0 where none is on the ground.
        """
        points = probe(self.source.height, self.source.width)
        points = points[np.isfinite(self.find_ground(points)).all(axis=1)]
        if not len(points):
            return 0.0
        places = self.go(points)
        is_found = self._is_on(grid, places) & self._is_found(grid, places, points)
        return float(is_found.mean())

    def share_lost(self, grid: Grid) -> float:
        """Measure which share of what a raster and a grid have in common is not found.

        It is looked for a turn away, as :meth:`come_back` does.

        Args:
            grid: In the other CRS; it may show a part of the raster only.

        Returns:
            In [0, 1]; 0 where they have nothing in common.
        """
        turn = turn_of(self.source.crs)
        if turn is None:
            return 0.0
        places = place_points(grid.transform, probe(grid.height, grid.width))
        found = self.come_back(places, grid)
        coordinates = place_points(self.source.transform, found)
        coordinates[:, 0] = turn.into(coordinates[:, 0], sum(self.source.x_range()) / 2)
        is_there = _is_inside(self.source, place_points(~self.source.transform, coordinates))
        if not is_there.any():
            return 0.0
        return float((~_is_inside(self.source, found))[is_there].mean())

    def _is_on(self, grid: Grid, places: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Say which coordinates lie on a grid or within a pixel of it, whole turns aside."""
        if self.turn is not None:
            middle = float((grid.transform @ (grid.width / 2, grid.height / 2))[0])
            places = np.stack([self.turn.into(places[:, 0], middle), places[:, 1]], axis=1)
        with np.errstate(invalid='ignore'):
            points = place_points(~grid.transform, places)
        return _is_inside(grid, points, slack=1.0)

    def _is_found(
        self, grid: Grid, places: NDArray[np.float64], points: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Say from which coordinates the way back leads to the points that they belong to."""
        with np.errstate(invalid='ignore'):
            missed = np.abs(self.come_back(places, grid) - points)
        return np.asarray((missed < 0.5).all(axis=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """Pixels of a raster that a CRS can show."""

    middles: NDArray[np.float64]
    """x and y of their centres, shape (n, 2)."""

    steps: NDArray[np.float64]
    """By how much x and y change to the next column, and to the next row, shape (n, 2, 2)."""

    def corners(self) -> NDArray[np.float64]:
        """List x and y of the corners of the pixels, shape (4 n, 2)."""
        halves = np.array([(0.5, 0.5), (0.5, -0.5), (-0.5, 0.5), (-0.5, -0.5)])
        return np.concatenate([self.middles + self.steps @ half for half in halves])


def reach(reprojection: Reprojection, points: NDArray[np.float64]) -> Reached | None:
    """Find out which pixels a CRS can show without stretching them much more than others.

    Args:
        reprojection: From the raster to the CRS.
        points: Columns and rows of the centres of some pixels, shape (n, 2).

    Returns:
        Those that it can; None where there are none.
    """
    middles, ground = reprojection.go(points), reprojection.find_ground(points)
    steps = _steps(reprojection.go, points, turn=reprojection.turn)
    ground_steps = _steps(reprojection.find_ground, points, turn=Turn(length=2 * np.pi, middle=0.0))
    with np.errstate(invalid='ignore'):
        areas = np.abs(np.linalg.det(steps))
        ground_areas = np.abs(np.linalg.det(ground_steps)) * np.cos(ground[:, 1])
        stretch = np.sqrt(areas / np.where(ground_areas > 0, ground_areas, 1))
    is_there = np.isfinite(middles).all(axis=1) & np.isfinite(stretch) & (areas > 0)
    if not is_there.any():
        return None
    is_there &= stretch <= _STRETCH * np.median(stretch[is_there])
    return Reached(middles=middles[is_there], steps=steps[is_there])


def _steps(
    find: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    points: NDArray[np.float64],
    *,
    turn: Turn | None,
) -> NDArray[np.float64]:
    """Measure by how much coordinates change to the next column and row, shape (n, 2, 2)."""
    # a step is half a pixel, so that both ends lie in the pixel
    ahead, behind = (
        np.stack([find(points + sign * step) for step in np.eye(2) / 4], axis=-1)
        for sign in (1, -1)
    )
    with np.errstate(invalid='ignore'):
        steps = 2 * (ahead - behind)
        if turn is not None:
            steps[:, 0] = 2 * turn.shortest(steps[:, 0] / 2)
    # a step is not known where one of its ends is not
    steps[~np.isfinite(steps).all(axis=(1, 2))] = np.nan
    return np.asarray(steps)


def _is_inside(grid: Grid, points: NDArray[np.float64], slack: float = 0.0) -> NDArray[np.bool_]:
    """Say which points, as columns and rows, lie on a grid; what is not finite does not."""
    is_inside = (points >= -slack) & (points <= np.array([grid.width, grid.height]) + slack)
    return np.asarray(is_inside.all(axis=1))


def probe(height: int, width: int, *, count: int = _PROBES) -> NDArray[np.float64]:
    """Choose pixels all over a raster, those of its border included.

    Returns:
        Columns and rows of their centres, shape (n, 2).
    """
    cols = np.unique(np.linspace(0, width - 1, count).round()) + 0.5
    rows = np.unique(np.linspace(0, height - 1, count).round()) + 0.5
    return np.stack(np.meshgrid(cols, rows), axis=-1).reshape(-1, 2)
