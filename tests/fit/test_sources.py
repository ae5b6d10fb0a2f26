"""How files are named on the command line and in a configuration."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

type Fit = Callable[..., Any]
type Raster = Callable[..., Path]


@pytest.fixture
def scenes(put: Raster) -> tuple[list[Path], list[Path]]:
    """Three images and their masks, in two folders."""
    generator = np.random.default_rng(0)
    names = [f'{letter}.tif' for letter in 'abc']
    images = [
        put(f'images/{name}', generator.integers(1, 255, (3, 64, 64), dtype=np.uint8))
        for name in names
    ]
    mask = np.repeat([0, 1], 32).astype(np.uint8) * np.ones((64, 1), dtype=np.uint8)
    return images, [put(f'masks/{name}', mask) for name in names]


def test_a_list_of_files_is_a_list(
    fit_pretraining: Fit, scenes: tuple[list[Path], list[Path]]
) -> None:
    images = [str(path) for path in scenes[0][:2]]
    run = fit_pretraining({'data.remote_sensing': images, 'data.natural': 'null'})
    assert f'{images[0]} and 1 more"' in run.checkpoint['gersp_geo_training']['data']


def test_a_list_of_images_and_masks_is_a_list(
    fit_segmentation: Fit, scenes: tuple[list[Path], list[Path]]
) -> None:
    images, masks = ([str(path) for path in files[:2]] for files in scenes)
    run = fit_segmentation({'data.images': images, 'data.masks': masks, 'data.labels': 'null'})
    data = run.checkpoint['gersp_geo_training']['data']
    assert f'{images[0]} and 1 more"' in data
    assert f'{masks[0]} and 1 more"' in data
