import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture
def truth() -> NDArray[np.uint8]:
    """Classes 0 to 2 in blocks of 10 x 10 pixels, shape (60, 80)."""
    blocks = np.random.default_rng(0).integers(0, 3, (6, 8), dtype=np.uint8)
    return np.kron(blocks, np.ones((10, 10), np.uint8)).astype(np.uint8)
