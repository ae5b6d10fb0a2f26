"""Classes of labels: what is reported, what is refused, and what a task must have."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from shapely import box

from gersp_geo import predict_geotiff
from gersp_geo.datamodules.ground import split_blocks

ROOT = Path(__file__).parents[2]
SMALL = {'model.model': 'fcn', 'model.num_filters': 2}
# as `put` of conftest.py places rasters
LEFT, TOP, RES = 4e5, 5e6, 10.0


@pytest.fixture
def image(put: Callable[..., Path]) -> Path:
    generator = np.random.default_rng(0)
    return put('image.tif', generator.integers(0, 255, (3, 128, 128)).astype('uint8'))


def columns(*values: int) -> NDArray[np.uint8]:
    """A mask of 128 x 128 pixels in upright stripes of equal width."""
    return np.repeat(np.array(values, 'uint8'), 128 // len(values))[None].repeat(128, axis=0)


def rectangle(row: float, col: float, height: float, width: float) -> Any:
    left, top = LEFT + col * RES, TOP - row * RES
    return box(left, top - height * RES, left + width * RES, top)


@pytest.fixture
def draw(tmp_path: Path) -> Callable[..., Path]:
    """Write polygons with their class in 'kind'."""

    def write(*polygons: tuple[str | None, Any]) -> Path:
        path = tmp_path / 'labels.gpkg'
        kinds, shapes = zip(*polygons, strict=True)
        geopandas.GeoDataFrame({'kind': kinds}, geometry=list(shapes), crs=32633).to_file(path)
        return path

    return write


def read_report(caplog: pytest.LogCaptureFixture) -> dict[str, list[int]]:
    """Pixels per class in each split, as they were said before training."""
    reports = [text for text in caplog.messages if text.startswith('labelled pixels per class')]
    _, header, *rows = reports[-1].splitlines()
    splits = header.split()
    counts = {
        name: [int(number.replace(',', '')) for number in numbers]
        for name, *numbers in (row.split() for row in rows)
    }
    assert splits == ['training', 'validation', 'test'][: len(splits)]
    assert all(len(numbers) == len(splits) for numbers in counts.values())
    return counts


def test_pixels_per_class_and_split_are_reported(
    image: Path, put: Any, fit_segmentation: Any, caplog: pytest.LogCaptureFixture
) -> None:
    mask = columns(0, 1, 1, 1)
    mask[:32] = 255
    run = fit_segmentation(
        SMALL | {'data.images': image, 'data.masks': put('mask.tif', mask), 'data.test_split': 0.2}
    )
    assert run.code == 0, run.err
    counts = read_report(caplog)
    # 12 blocks of 32 x 32 pixels hold labels, each of one class
    assert sum(counts['class_0']) == 3 * 1024
    assert sum(counts['class_1']) == 9 * 1024
    both = np.add(counts['class_0'], counts['class_1'])
    assert (both % 1024 == 0).all()
    assert (both > 0).all()


def test_classes_that_training_does_not_see_are_named(
    image: Path, put: Any, fit_segmentation: Any, caplog: pytest.LogCaptureFixture
) -> None:
    mask = columns(0, 1, 1, 1)
    # the first of 16 blocks
    mask[:32, :32] = 2
    path = put('mask.tif', mask)
    with rasterio.open(path, 'r+') as dst:
        dst.update_tags(1, CLASS_NAMES=json.dumps(['field', 'forest', 'pond', 'road']))
    seed = next(
        seed
        for seed in range(99)
        if 0 in split_blocks([1024] * 16, val_split=0.2, test_split=0, seed=seed).val
    )
    options = {'data.images': image, 'data.masks': path, 'data.seed': seed, 'model.num_classes': 4}
    with pytest.warns(UserWarning, match='no training block holds pond; pass another seed'):
        run = fit_segmentation(SMALL | options)
    assert run.code == 0, run.err
    assert read_report(caplog)['pond'] == [0, 1024]
    assert read_report(caplog)['road'] == [0, 0]
    with pytest.warns(UserWarning, match='no pixel is labelled road, which'):
        fit_segmentation(SMALL | options | {'trainer.fast_dev_run': 'true'})


@pytest.mark.quick('cause0', 'cause2')
@pytest.mark.parametrize(
    ('values', 'nodata', 'dtype', 'cause'),
    [
        ((0, 255), None, 'uint8', ('class_0', '255 (50.0%)', 'no label', 'mask_values=[0, 255]')),
        ((0, 1), 0, 'uint8', ('class_1', '0 is their nodata', 'mask_values=[0, 1]')),
        ((0, 1), 1, 'int16', ('class_0', '1 is their nodata', 'mask_values=[0, 1]')),
        ((1, 1), None, 'uint8', ('class_1', 'hold 1 (100.0%)')),
        ((255, 255), None, 'uint8', ('none of any class', '255 means no label')),
    ],
)
def test_masks_with_fewer_than_two_classes_are_refused(
    values: tuple[int, int], nodata: Any, dtype: str, cause: tuple[str, ...],
    image: Path, put: Any, fit_segmentation: Any,
) -> None:  # fmt: skip
    mask = put('mask.tif', columns(*values).astype(dtype), nodata=nodata)
    run = fit_segmentation(SMALL | {'data.images': image, 'data.masks': mask})
    assert 'training needs labelled pixels of two classes' in run.refusal
    for part in (str(mask), *cause):
        assert part in run.refusal
    assert not list(run.folder.rglob('*.ckpt'))


def test_classes_where_the_image_has_no_observation_do_not_count(
    put: Any, fit_segmentation: Any
) -> None:
    pixels = np.full((3, 128, 128), 9, 'uint8')
    pixels[:, :, 64:] = 0
    options = {
        'data.images': put('image.tif', pixels, nodata=0),
        'data.masks': put('mask.tif', columns(0, 1)),
    }
    refusal = fit_segmentation(SMALL | options).refusal
    assert 'only class_0 (8,192)' in refusal
    assert 'no observation' in refusal


@pytest.mark.quick('polygons0', 'polygons2')
@pytest.mark.parametrize(
    ('polygons', 'cause'),
    [
        # between two pixel centres
        (
            [('field', rectangle(0, 0, 128, 128)), ('pond', rectangle(40.6, 40.6, 0.8, 0.8))],
            'polygons of pond hold no centre',
        ),
        # drawn before what covers it
        (
            [('pond', rectangle(40, 40, 9, 9)), ('field', rectangle(0, 0, 128, 128))],
            'polygons of pond hold no centre',
        ),
        ([('field', rectangle(0, 0, 128, 128))], "pass background='background'"),
    ],
)
def test_polygons_that_leave_one_class_are_refused(
    polygons: Any, cause: str, image: Path, draw: Any, fit_segmentation: Any
) -> None:
    options = {'data.images': image, 'data.labels': draw(*polygons), 'data.attribute': 'kind'}
    refusal = fit_segmentation(SMALL | options).refusal
    assert 'only field (16,384)' in refusal
    assert cause in refusal


@pytest.mark.parametrize('nodata', [None, 0])
def test_chosen_values_of_masks_are_classes(
    nodata: int | None, image: Path, put: Any, fit_segmentation: Any, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    options = {
        'data.images': image,
        'data.masks': put('mask.tif', columns(0, 255), nodata=nodata),
        'data.mask_values': '[0, 255]',
        'data.class_names': '[ground, building]',
    }
    run = fit_segmentation(SMALL | options)
    assert run.record['class_names'] == ['ground', 'building']
    counts = read_report(caplog)
    assert {name: sum(numbers) for name, numbers in counts.items()} == {
        'ground': 128 * 64,
        'building': 128 * 64,
    }
    (model,) = run.folder.rglob('*.ckpt')
    made = predict_geotiff(model, image, tmp_path / 'map.tif', size=64, overlap=0, progress=False)
    assert sum(made.class_pixels) == 128 * 128


def test_buildings_alone_train_with_what_is_around_them(
    image: Path, draw: Any, fit_segmentation: Any, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    options = {
        'data.images': image,
        'data.labels': draw(
            *(('building', rectangle(row, 16, 8, 96)) for row in range(4, 128, 16)),
            # drawn, but nobody knows as what
            (None, rectangle(0, 120, 128, 8)),
        ),
        'data.attribute': 'kind',
        'data.background': 'ground',
    }
    run = fit_segmentation(SMALL | options)
    assert run.record['class_names'] == ['ground', 'building']
    total = {name: sum(numbers) for name, numbers in read_report(caplog).items()}
    # 8 buildings of 8 x 96 pixels
    assert total == {'ground': 128 * 120 - 8 * 8 * 96, 'building': 8 * 8 * 96}
    (model,) = run.folder.rglob('*.ckpt')
    made = predict_geotiff(model, image, tmp_path / 'map.tif', size=64, overlap=0, progress=False)
    assert sum(made.class_pixels) == 128 * 128


def test_a_background_called_like_a_class_is_refused(
    image: Path, draw: Any, fit_segmentation: Any
) -> None:
    options = {
        'data.images': image,
        'data.labels': draw(('building', rectangle(0, 0, 40, 40))),
        'data.attribute': 'kind',
        'data.background': 'building',
    }
    assert "background='building' is a class" in fit_segmentation(SMALL | options).refusal


@pytest.mark.quick('parts0', 'parts3', 'parts5')
@pytest.mark.parametrize(
    ('options', 'parts'),
    [
        ({'model.num_classes': 5}, ('must be the 3 classes', 'got 5', 'num_classes=3')),
        ({'model.num_classes': 2}, ('must be the 3 classes', 'got 2', 'num_classes=3')),
        (
            {'model.num_classes': 3, 'data.class_names': '[a, b, c, d]'},
            ('must be the 4 classes', 'a, b, c, d', 'num_classes=4'),
        ),
        (
            {'model.task': 'binary', 'model.loss': 'bce', 'model.num_classes': 'null'},
            ("task='binary' needs two classes", 'have 3', "task='multiclass' with num_classes=3"),
        ),
        (
            {'model.task': 'multilabel', 'model.num_labels': 3, 'model.loss': 'bce'},
            ("task='multilabel'", "task='multiclass' with num_classes=3"),
        ),
        (
            {'model.num_classes': 3, 'model.class_weights': '[1.0, 2.0]'},
            ('class_weights of the task', 'got 2 for 3'),
        ),
        # without a word, torchgeo leaves the metrics of the third class out
        ({'model.num_classes': 3, 'model.labels': '[a, b]'}, ('labels of the task', 'got 2 for 3')),
    ],
)
def test_a_task_for_other_classes_is_refused(
    options: dict[str, object], parts: tuple[str, ...], image: Path, put: Any,
    fit_segmentation: Any,
) -> None:  # fmt: skip
    mask = put('mask.tif', columns(0, 1, 2, 1))
    given = SMALL | {'data.images': image, 'data.masks': mask} | options
    run = fit_segmentation(given)
    for part in parts:
        assert part in run.refusal
    assert not list(run.folder.rglob('*.ckpt'))


def test_a_binary_task_with_two_logits_is_refused(
    image: Path, put: Any, fit_segmentation: Any
) -> None:
    options = {'data.images': image, 'data.masks': put('mask.tif', columns(0, 1))}
    binary = {'model.task': 'binary', 'model.loss': 'dice'}
    refusal = fit_segmentation(SMALL | options | binary).refusal
    assert 'needs one logit, got num_classes=2; leave num_classes out' in refusal
    run = fit_segmentation(SMALL | options | binary | {'model.num_classes': 'null'})
    assert run.record['class_names'] == ['class_0', 'class_1']


def test_gaps_between_values_lead_to_the_option_that_closes_them(
    image: Path, put: Any, fit_segmentation: Any
) -> None:
    # as land cover maps of the world are numbered
    options = SMALL | {
        'data.images': image,
        'data.masks': put('mask.tif', columns(10, 50, 95, 10)),
        'model.num_classes': 3,
    }
    assert 'mask_values=[10, 50, 95]' in fit_segmentation(options).refusal
    run = fit_segmentation(options | {'data.mask_values': '[10, 50, 95]'})
    assert run.record['class_names'] == ['class_10', 'class_50', 'class_95']
    refusal = fit_segmentation(options | {'data.mask_values': '[10, 50]'}).refusal
    assert 'holds the value 95, which is none of mask_values=[10, 50]' in refusal


def test_the_shipped_configuration_says_how_many_classes_other_masks_need(
    image: Path, put: Any, fit: Any
) -> None:
    config = ROOT / 'configs' / 'finetune' / 'segmentation.yaml'
    options = {
        'config': config,
        'data.init_args.images': image,
        'data.init_args.masks': put('mask.tif', columns(0, 1, 2, 1)),
        'data.init_args.size': 32,
        'data.init_args.block_size': 32,
        'model.init_args.backbone': 'resnet18',
    }
    assert 'got 5; pass num_classes=3' in fit(options).refusal
