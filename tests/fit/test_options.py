"""Options of the trainer that do not go together with task and data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

type Fit = Callable[..., Any]
type Raster = Callable[..., Path]


def test_a_schedule_without_what_it_watches_is_refused_in_one_line(
    fit_segmentation: Fit, put: Raster
) -> None:
    image = np.random.default_rng(0).integers(1, 255, (3, 64, 64), dtype=np.uint8)
    mask = np.repeat([0, 1], 32).astype(np.uint8) * np.ones((64, 1), dtype=np.uint8)
    options = {'data.images': put('image.tif', image), 'data.masks': put('mask.tif', mask)}
    line = fit_segmentation(options | {'trainer.limit_val_batches': 0}).refusal
    # torchgeo's schedule watches the validation
    assert 'val_loss' in line


def test_options_of_the_data_that_do_not_go_together_are_refused_by_their_rule_alone(
    fit_segmentation: Fit, put: Raster
) -> None:
    image = put('image.tif', np.ones((3, 64, 64), dtype=np.uint8))
    line = fit_segmentation(
        {'data.images': image, 'data.masks': image, 'data.labels': 'towns.gpkg'}
    ).refusal
    assert line.startswith('pass either masks or labels, got ')
    assert '--data.masks null' in line
