"""Labels of whole patches of a scene: chips in a folder per class, and places with several labels."""

from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer

from ..geoio.write import write_raster
from .terrain import BUILDING, CLASS_NAMES, FIELD, FOREST, WATER

CHIP = 64
"""Side of chips, and of the squares around places, in pixels."""

CHIP_CLASSES = {'field': (FIELD, 0.75), 'forest': (FOREST, 0.6), 'settlement': (BUILDING, 0.05),
                'water': (WATER, 0.4)}  # fmt: skip
"""Class of a chip: the land cover that makes it, and its least share of the pixels."""

LEAST_SHARE = 0.05
"""Share of the pixels of a square from which on a land cover is one of its labels."""

# chips of each class that are cut from one scene
_MOST = 5


def write_chips(
    root: Path, name: str, pixels: NDArray[np.uint8], classes: NDArray[np.uint8], *,
    crs: str, transform: Affine, bands: tuple[str, ...],
) -> None:  # fmt: skip
    """Cut chips of clear classes from a scene: ``chips/<class>/<name>_<number>.tif``.

    Args:
        root: Folder of the sample data.
        name: Of the scene.
        pixels: The scene, shape (bands, rows, cols).
        classes: Its land cover, shape (rows, cols).
        crs: Its reference system.
        transform: From its (column, row) to coordinates.
        bands: Names of its bands.
    """
    corners, shares = measure_squares(classes)
    for kind, (cover, least) in CHIP_CLASSES.items():
        others = [(c, s) for k, (c, s) in CHIP_CLASSES.items() if k != kind]
        chosen = shares[:, cover] >= least
        for other, share in others:
            # what could be two classes is none
            chosen &= shares[:, other] < share
        found = corners[chosen]
        # from all over the scene
        spread = np.unique(np.linspace(0, len(found) - 1, min(_MOST, len(found))).astype(int))
        for number, (row, col) in enumerate(found[spread].tolist()):
            write_raster(
                root / 'chips' / kind / f'{name}_{number}.tif',
                pixels[:, row : row + CHIP, col : col + CHIP],
                crs=crs,
                transform=transform @ Affine.translation(col, row),
                bands=bands,
            )


def add_places(path: Path, classes: NDArray[np.uint8], *, crs: str, transform: Affine) -> None:
    """Add the squares of a scene to a CSV: longitude and latitude of their centres, and labels.

    Args:
        path: The CSV; it is begun if it does not exist.
        classes: Land cover of the scene, shape (rows, cols).
        crs: Its reference system.
        transform: From its (column, row) to coordinates.
    """
    corners, shares = measure_squares(classes)
    rows, cols = (corners + CHIP / 2).T
    x, y = transform @ (cols, rows)
    places = zip(
        *Transformer.from_crs(crs, 'EPSG:4326', always_xy=True).transform(x, y), strict=True
    )
    path.parent.mkdir(exist_ok=True)
    with path.open('a', encoding='utf-8') as table:
        if not table.tell():
            table.write('longitude,latitude,labels\n')
        for (longitude, latitude), held in zip(places, shares, strict=True):
            labels = ';'.join(CLASS_NAMES[i] for i in np.flatnonzero(held >= LEAST_SHARE))
            table.write(f'{longitude:.8f},{latitude:.8f},{labels}\n')


def measure_squares(classes: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Measure the land cover of the squares that lie side by side in a scene.

    Returns:
        First row and column of each, shape (n, 2), and its shares, shape (n, classes).
    """
    rows, cols = (side // CHIP for side in classes.shape)
    corners = np.argwhere(np.ones((rows, cols), dtype=np.bool_)) * CHIP
    squares = classes[: rows * CHIP, : cols * CHIP].reshape(rows, CHIP, cols, CHIP)
    held = squares.swapaxes(1, 2).reshape(len(corners), CHIP**2)
    return corners, np.stack([(held == i).mean(axis=1) for i in range(len(CLASS_NAMES))], axis=1)
