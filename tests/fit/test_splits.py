"""What was learned from is neither validated nor tested on, also by those that go on."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

SMALL = {'model.model': 'fcn', 'model.num_filters': 2}


@pytest.fixture
def scene(put: Callable[..., Path], tmp_path: Path) -> dict[str, object]:
    write_scene(put, 'a')
    return {
        'data.images': tmp_path / 'images',
        'data.masks': tmp_path / 'masks',
        'data.test_split': 0.3,
    }


def write_scene(put: Callable[..., Path], name: str, *, folder: str = '.', seed: int = 0) -> None:
    generator = np.random.default_rng(seed)
    put(f'{folder}/images/{name}.tif', generator.integers(0, 255, (3, 96, 96)).astype('uint8'))
    put(f'{folder}/masks/{name}.tif', generator.integers(0, 2, (96, 96)).astype('uint8'))


@pytest.fixture
def trained(scene: dict[str, object], fit_segmentation: Any, tmp_path: Path) -> Path:
    """A checkpoint after one epoch, and nothing else in the folder of the next run."""
    run = fit_segmentation(SMALL | scene)
    assert run.code == 0, run.err
    (made,) = run.folder.rglob('*.ckpt')
    kept = tmp_path / 'trained.ckpt'
    made.rename(kept)
    shutil.rmtree(run.folder)
    return kept


def test_going_on_with_another_split_is_refused_with_both_values(
    scene: dict[str, object], trained: Path, fit_segmentation: Any
) -> None:
    given = SMALL | scene | {'ckpt_path': trained, 'trainer.max_epochs': 2}
    changes: tuple[tuple[str, dict[str, object], str, str], ...] = (
        ('fit', {'data.seed': 1}, 'seed=0', 'seed=1'),
        ('test', {'data.seed': 1}, 'seed=0', 'seed=1'),
        ('validate', {'data.val_split': 0.4}, 'val_split=0.2', 'val_split=0.4'),
        ('fit', {'data.test_split': 0.0}, 'test_split=0.3', 'test_split=0.0'),
        ('fit', {'data.block_size': 48}, 'block_size=32', 'block_size=48'),
        (
            'test',
            {'data.class_names': '[b, a]'},
            "class_names=['class_0', 'class_1']",
            "class_names=['b', 'a']",
        ),
    )
    for command, options, then, now in changes:
        refusal = fit_segmentation(given | options, command=command).refusal
        assert f'the checkpoint was trained with {then}, this run has {now}' in refusal
    assert not list((trained.parent / 'run').rglob('*.ckpt'))


def test_going_on_with_more_images_or_other_labels_is_refused(
    scene: dict[str, object], trained: Path, fit_segmentation: Any, put: Any
) -> None:
    given = SMALL | scene | {'ckpt_path': trained, 'trainer.max_epochs': 2}
    write_scene(put, 'b')
    refusal = fit_segmentation(given).refusal
    assert 'trained with 1 images, this run has 2 images' in refusal
    for path in trained.parent.glob('*/b.tif'):
        path.unlink()
    # an operator drew one more pixel
    put('masks/a.tif', np.eye(96, dtype='uint8'))
    refusal = fit_segmentation(given, command='test').refusal
    assert '9,216 labelled pixels' in refusal


def test_what_leaves_the_split_alone_may_change(
    scene: dict[str, object], trained: Path, fit_segmentation: Any, tmp_path: Path
) -> None:
    # files may move, too
    for kind in ('images', 'masks'):
        (tmp_path / 'elsewhere').mkdir(exist_ok=True)
        (tmp_path / kind).rename(tmp_path / 'elsewhere' / kind)
    moved = {f'data.{kind}': tmp_path / 'elsewhere' / kind for kind in ('images', 'masks')}
    changed = {'data.length': 6, 'data.batch_size': 1, 'trainer.max_epochs': 2}
    run = fit_segmentation(SMALL | scene | moved | changed | {'ckpt_path': trained})
    assert run.checkpoint['epoch'] == 1
    # blocks of 32 pixels hold patches of 16, too
    smaller = {'data.size': 16, 'ckpt_path': trained}
    assert fit_segmentation(SMALL | scene | moved | smaller, command='test').code == 0


def test_images_that_were_not_trained_on_may_be_tested(
    scene: dict[str, object], trained: Path, fit_segmentation: Any, put: Any, tmp_path: Path
) -> None:
    write_scene(put, 'new', folder='other', seed=1)
    other = {f'data.{kind}': tmp_path / 'other' / kind for kind in ('images', 'masks')}
    shares = {'data.val_split': 0.1, 'data.test_split': 0.8}
    given = SMALL | scene | other | shares | {'ckpt_path': trained}
    run = fit_segmentation(given, command='test')
    assert run.code == 0, run.err
    # but training does not go on with them
    assert (
        'this run has val_split=0.1 and test_split=0.8 and new.tif'
        in fit_segmentation(given).refusal
    )


def test_checkpoints_that_say_nothing_about_their_split_resume_with_a_warning(
    scene: dict[str, object], trained: Path, fit_segmentation: Any
) -> None:
    old = torch.load(trained, weights_only=True)
    del old['GeoTIFFSegmentationDataModule']
    torch.save(old, trained)
    given = SMALL | scene | {'ckpt_path': trained, 'trainer.max_epochs': 2}
    with pytest.warns(UserWarning, match='does not say how its data were split'):
        run = fit_segmentation(given)
    assert run.checkpoint['epoch'] == 1
