"""Small scenes, and what can be told of a picture."""

from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from PIL import Image

from gersp_geo.geoio.write.geotiff import write_raster

NORTH_UP = Affine(10, 0, 4e5, 0, -10, 5e6)
# of a panel: rows and columns to which 20 x 30 pixels are enlarged
ENLARGED = (400, 600)
# where a panel begins
LEFT, TOP = 20, 72


def write_scene(path: Path, **options: Any) -> Path:
    """Write three bands that grow to the right."""
    ramp = np.broadcast_to(np.arange(10, 40, dtype='uint8'), (3, 20, 30))
    given: dict[str, Any] = {'crs': 'EPSG:32633', 'transform': NORTH_UP}
    return write_raster(path, options.pop('pixels', ramp), **(given | options))


def read_png(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert('RGB'))


def read_panel(path: Path, place: int = 0, shape: tuple[int, int] = ENLARGED) -> NDArray[np.uint8]:
    """Cut a panel of a row of them out of a picture."""
    left = LEFT + place * (shape[1] + LEFT)
    return read_png(path)[TOP : TOP + shape[0], left : left + shape[1]]


def is_color(picture: NDArray[np.uint8], color: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Say which pixels have a colour, but for rounding."""
    return np.asarray((np.abs(picture.astype(int) - color) <= 1).all(axis=-1))
