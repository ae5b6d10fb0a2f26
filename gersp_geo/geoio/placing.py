"""From pixels to coordinates."""

import numpy as np
from affine import Affine
from numpy.typing import NDArray


def place_points(transform: Affine, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Apply a transform to many points.

    Args:
        transform: From (column, row) to coordinates, or any other.
        points: Shape (n, 2).

    Returns:
        Shape (n, 2).
    """
    x, y = points[:, 0], points[:, 1]
    return np.stack(
        [
            transform.a * x + transform.b * y + transform.c,
            transform.d * x + transform.e * y + transform.f,
        ],
        axis=1,
    )
