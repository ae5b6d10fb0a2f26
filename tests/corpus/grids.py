"""Scenes whose values rise evenly, so that any way to resample them has one right result."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.crs import CRS

from tests.corpus.models import record_for
from tests.corpus.oracle import Scene
from tests.corpus.rasters import write

# change of a value from column to column, from row to row, and from band to band
SLOPES, START = (0.5, 0.3, 3.0), 20.0
# GDAL's approximation is right to an eighth of a pixel
OFF = 0.2
# of a cell
HAIR = 0.01
# metres around the equator of the sphere that EPSG:3857 takes
MERCATOR = 2 * np.pi * 6_378_137


@dataclass(frozen=True, kw_only=True)
class Ramp:
    """A scene of three bands on the ground."""

    crs: str
    transform: Affine
    shape: tuple[int, int] = (60, 80)
    dtype: str = 'f4'

    def values(self, cols: NDArray[Any], rows: NDArray[Any]) -> NDArray[np.float64]:
        """Say what lies at pixels, whose centres have whole numbers; shape (3, ...)."""
        along = START + SLOPES[0] * cols + SLOPES[1] * rows
        return np.stack([along + SLOPES[2] * band for band in range(3)])

    def pixels(self) -> NDArray[Any]:
        """Fill a scene, shape (3, rows, cols)."""
        rows, cols = np.indices(self.shape)
        return self.values(cols, rows).astype(self.dtype)

    def write(self, folder: Path, *, stored: NDArray[Any] | None = None, **profile: Any) -> Scene:
        """Write it, or what was made of its pixels."""
        pixels = self.pixels() if stored is None else stored
        path = write(
            folder / 'a.tif', pixels, crs=CRS.from_user_input(self.crs), transform=self.transform,
            **profile,
        )  # fmt: skip
        return Scene(path=str(path), pixels=pixels)


type Find = Callable[[NDArray[Any], NDArray[Any]], tuple[NDArray[Any], NDArray[Any]]]
"""From coordinates to others."""


def check_grid(map_: Path, ramp: Ramp, *, scene: Scene, most_lost: float = 0) -> None:
    """Compare a map on another grid with the ramp, cell by cell.

    Args:
        map_: Values of bands as the model got them.
        ramp: What was resampled.
        scene: Where it is observed.
        most_lost: Share of observations that may lie beyond the map, as of a whole world.
    """
    with rasterio.open(map_) as src:
        found = _as_stored(src.read())
        crs, transform = src.crs, src.transform
    height, width = found.shape[1:]
    assert height * width < 50 * np.prod(ramp.shape), f'{height} x {width}'
    rows, cols = np.indices((height, width))
    x, y = transform @ (cols + 0.5, rows + 0.5)
    at_cols, at_rows = _to_pixels(x, y, crs, ramp)
    valid = np.isfinite(found).all(axis=0)
    assert (valid == np.isfinite(found).any(axis=0)).all()
    reach = _reach(at_cols, at_rows)
    inside = _surely(at_cols, at_rows, scene.observed, reach)
    outside = _surely(at_cols, at_rows, ~scene.observed, reach, beyond=True)
    assert inside.any()
    assert valid[inside].all(), f'{(~valid & inside).sum()} of {inside.sum()} cells are lost'
    assert not valid[outside].any(), f'{(valid & outside).sum()} cells are made up'
    error = np.abs(found - ramp.values(at_cols, at_rows))[:, inside]
    assert error.max() <= (SLOPES[0] + SLOPES[1]) * OFF + _step(ramp), error.max()
    _check_arrival(ramp, scene, crs, transform, valid, reach, most_lost)


def _as_stored(values: NDArray[Any]) -> NDArray[np.float64]:
    """Undo what the record does to values."""
    record = record_for(3)
    mean, std = (np.array(numbers)[:, None, None] for numbers in (record.mean, record.std))
    restored: NDArray[np.float64] = values.astype('float64') * std + mean
    return restored


def _reach(cols: NDArray[Any], rows: NDArray[Any]) -> float:
    """Say how many pixels of the scene a cell is made of to each side, of most cells."""
    steps = [1.0]
    for at in (cols, rows):
        for axis in (0, 1):
            apart = np.abs(np.diff(at, axis=axis))
            apart = apart[np.isfinite(apart)]
            steps += [float(np.median(apart))] if apart.size else []
    return max(steps) + 1


def _step(ramp: Ramp) -> float:
    """Rounding of the type: once when written, once when resampled."""
    return {'f': 2e-3, 'i': 1.01, 'u': 1.01}[np.dtype(ramp.dtype).kind] + (
        0.25 if ramp.dtype == 'f2' else 0
    )


def _to_pixels(
    x: NDArray[Any], y: NDArray[Any], crs: CRS, ramp: Ramp
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Find columns and rows of the scene, centres of pixels being whole, for coordinates."""
    across = Transformer.from_crs(
        crs.to_wkt(), CRS.from_user_input(ramp.crs).to_wkt(), always_xy=True
    )
    with np.errstate(invalid='ignore'):
        east, north = across.transform(x, y)
        if CRS.from_user_input(ramp.crs).is_geographic:
            middle = (ramp.transform @ (ramp.shape[1] / 2, ramp.shape[0] / 2))[0]
            east = middle + (np.asarray(east) - middle + 180) % 360 - 180
        cols, rows = ~ramp.transform @ (np.asarray(east), np.asarray(north))
    return cols - 0.5, rows - 0.5


def _surely(
    cols: NDArray[Any],
    rows: NDArray[Any],
    mask: NDArray[np.bool_],
    reach: float,
    *,
    beyond: bool = False,
) -> NDArray[np.bool_]:
    """Say where all pixels within reach are of a mask; *beyond* it, the answer is yes as well."""
    steps = int(np.ceil(reach)) + 1
    wide = np.pad(mask, steps + 1, constant_values=beyond)
    near = np.lib.stride_tricks.sliding_window_view(wide, (2 * steps + 1,) * 2).all(axis=(2, 3))
    finite = np.isfinite(cols) & np.isfinite(rows)
    limits = near.shape
    col, row = (
        np.where(finite, np.clip(np.round(np.where(finite, at, 0)), -1, limit - 2), -1).astype(int)
        + 1
        for at, limit in ((cols, limits[1]), (rows, limits[0]))
    )
    sure: NDArray[np.bool_] = near[row, col] & (finite | beyond)
    return sure


def _check_arrival(
    ramp: Ramp,
    scene: Scene,
    crs: CRS,
    transform: Affine,
    valid: NDArray[np.bool_],
    reach: float,
    most_lost: float,
) -> None:
    """Every observation of the scene lies in a cell that has a value."""
    rows, cols = np.indices(ramp.shape)
    inner = _surely(cols, rows, scene.observed, reach)
    to_ground: Any = ramp.transform
    east, north = to_ground @ (cols[inner] + 0.5, rows[inner] + 0.5)
    across = Transformer.from_crs(
        CRS.from_user_input(ramp.crs).to_wkt(), crs.to_wkt(), always_xy=True
    )
    x, y = (np.asarray(values) for values in across.transform(east, north))
    around = 360 if crs.is_geographic else MERCATOR if crs.to_epsg() == 3857 else None
    if around is not None:
        middle = (transform @ (valid.shape[1] / 2, valid.shape[0] / 2))[0]
        x = middle + (x - middle + around / 2) % around - around / 2
    placed = np.isfinite(x) & np.isfinite(y)
    to_cells: Any = ~transform
    col, row = to_cells @ (x[placed], y[placed])
    height, width = valid.shape
    # a hair beyond the border is on it
    beyond = (col < -HAIR) | (row < -HAIR) | (col > width + HAIR) | (row > height + HAIR)
    assert beyond.mean() <= most_lost, f'{beyond.sum()} of {beyond.size} pixels lie beyond the map'
    cols_there = np.clip(col.astype(int), 0, width - 1)
    lost = ~valid[np.clip(row.astype(int), 0, height - 1), cols_there] & ~beyond
    assert not lost.any(), f'{lost.sum()} of {lost.size} pixels are lost'
