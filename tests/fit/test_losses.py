"""Pixels without a label reach no loss, whatever makes them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gersp_geo import predict_geotiff

SMALL = {'model.model': 'fcn', 'model.num_filters': 2}
BINARY = {'model.task': 'binary', 'model.num_classes': 'null'}


@pytest.fixture
def scene(put: Callable[..., Path]) -> Callable[..., dict[str, object]]:
    """Write an image and its mask of two classes, with or without something that hides pixels."""

    def write(hidden_by: str, *, height: int = 64) -> dict[str, object]:
        generator = np.random.default_rng(0)
        pixels = generator.integers(1, 255, (3, height, 64)).astype('uint8')
        mask = np.zeros((height, 64), 'uint8')
        mask[:, 32:] = 1
        tags: dict[str, Any] = {}
        if hidden_by == 'mask':
            mask[::8] = 255
        if hidden_by == 'nodata of the mask':
            mask[::8], tags = 9, {'nodata': 9}
        if hidden_by == 'nodata of the image':
            pixels[:, ::8] = 0
        image = put('image.tif', pixels, nodata=0)
        return {'data.images': image, 'data.masks': put('mask.tif', mask, **tags)}

    return write


@pytest.mark.parametrize(
    ('hidden_by', 'height'),
    [
        ('mask', 64),
        ('nodata of the mask', 64),
        ('nodata of the image', 64),
        # patches of 32 pixels hang over
        ('edge of the image', 20),
    ],
)
def test_a_binary_task_does_not_learn_from_pixels_without_a_label(
    hidden_by: str, height: int, scene: Any, fit_segmentation: Any
) -> None:
    given = scene(hidden_by, height=height)
    run = fit_segmentation(SMALL | given | BINARY | {'model.loss': 'bce'})
    share = '37.50%' if height == 20 else '12.50%'
    assert f'would learn from the pixels without a label, {share} of these' in run.refusal
    assert "loss='bce'" in run.refusal
    assert "pass loss='dice' and ignore_index=255" in run.refusal
    assert not list(run.folder.rglob('*.ckpt'))


def test_the_loss_that_is_named_trains_and_predicts(
    scene: Any, fit_segmentation: Any, tmp_path: Path
) -> None:
    given = scene('mask')
    run = fit_segmentation(SMALL | given | BINARY | {'model.loss': 'dice'})
    assert run.record['class_names'] == ['class_0', 'class_1']
    (model,) = run.folder.rglob('*.ckpt')
    made = predict_geotiff(
        model, given['data.images'], tmp_path / 'map.tif', size=32, overlap=0, progress=False
    )
    assert sum(made.class_pixels) == 64 * 64


@pytest.mark.parametrize('loss', ['ce', 'focal'])
def test_a_task_that_ignores_nothing_is_refused_where_something_must_be(
    loss: str, scene: Any, fit_segmentation: Any
) -> None:
    options = {'model.loss': loss, 'model.ignore_index': 'null'}
    refusal = fit_segmentation(SMALL | scene('nodata of the image') | options).refusal
    assert 'ignore_index of the task must be 255, which 12.50% of the pixels hold' in refusal
    assert 'got None; pass ignore_index=255' in refusal


def test_jaccard_is_refused_for_masks_with_holes_alone(scene: Any, fit_segmentation: Any) -> None:
    options = SMALL | {'model.loss': 'jaccard'}
    refusal = fit_segmentation(options | scene('mask')).refusal
    assert "loss='jaccard', ignore_index=255 cannot be trained" in refusal
    assert "loss='ce' and ignore_index=255" in refusal
    assert fit_segmentation(options | scene('nothing')).code == 0


def test_bce_trains_where_every_pixel_has_a_label(scene: Any, fit_segmentation: Any) -> None:
    run = fit_segmentation(SMALL | scene('nothing') | BINARY | {'model.loss': 'bce'})
    assert run.code == 0, run.err


def test_a_class_that_would_be_ignored_is_named(scene: Any, fit_segmentation: Any) -> None:
    refusal = fit_segmentation(SMALL | scene('nothing') | {'model.ignore_index': 0}).refusal
    assert (
        'ignore_index=0 is the class class_0 of the labels, which would not be learned' in refusal
    )


def test_a_regression_names_no_classes(
    scene: Any, fit: Any, fit_segmentation: Any, tmp_path: Path
) -> None:
    given = scene('nothing')
    options = {
        'model': 'torchgeo.tasks.PixelwiseRegression',
        'model.model': 'fcn',
        'model.num_filters': 2,
        'data': 'gersp_geo.datamodules.GeoTIFFSegmentationDataModule',
        'data.size': 32,
        'data.block_size': 32,
        'data.length': 4,
        'trainer.max_epochs': 1,
    }
    run = fit(options | given)
    assert run.record['class_names'] == []
    (model,) = run.folder.rglob('*.ckpt')
    predict_geotiff(
        model, given['data.images'], tmp_path / 'map.tif', size=32, overlap=0, output='values',
        progress=False,
    )  # fmt: skip
    assert 'would learn the value 255' in fit(options | scene('mask')).refusal
