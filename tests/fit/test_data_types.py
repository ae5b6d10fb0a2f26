"""Images of several data types are not trained with the scale of the first."""

from typing import Any

import numpy as np
import pytest


@pytest.mark.parametrize('types', [('uint8', 'uint16'), ('uint16', 'uint8'), ('uint8', 'float32')])
def test_images_of_two_types_are_refused_by_name(
    types: tuple[str, str], put: Any, fit_segmentation: Any
) -> None:
    generator = np.random.default_rng(0)
    for name, dtype in zip('ab', types, strict=True):
        image = put(f'images/{name}.tif', generator.integers(0, 255, (3, 64, 64)).astype(dtype))
        mask = put(f'masks/{name}.tif', generator.integers(0, 2, (64, 64)).astype('uint8'))
    options = {'data.images': image.parent, 'data.masks': mask.parent, 'model.model': 'fcn'}
    refusal = fit_segmentation(options).refusal
    first, second = (str(image.parent / f'{name}.tif') for name in 'ab')
    assert f'got {types[0]} in {first} and {types[1]} in {second}' in refusal
