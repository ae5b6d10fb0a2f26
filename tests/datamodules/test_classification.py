"""Patches with one class or several labels, as torchgeo's task takes them."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from lightning.pytorch import Trainer
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import from_origin
from torchgeo.tasks import Classification

from gersp_geo.datamodules import GeoTIFFClassificationDataModule
from gersp_geo.datamodules.classifier_checks import check_classifier


def write_chip(path: Path, value: int, *, side: int = 16, place: int | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    profile: dict[str, Any] = {'driver': 'GTiff', 'height': side, 'width': side, 'count': 2}
    if place is not None:
        profile |= {'crs': 'EPSG:32633', 'transform': from_origin(4e5 + 10 * place, 5e6, 10, 10)}
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        with rasterio.open(path, 'w', dtype='uint16', **profile) as dst:
            dst.write(np.full((2, side, side), value, dtype=np.uint16))


@pytest.fixture
def chips(tmp_path: Path) -> Path:
    """Six of each of three classes, of three sizes; a pixel holds class and number."""
    for label, name in enumerate('abc'):
        for number in range(6):
            side = 12 + 4 * (number % 3)
            write_chip(tmp_path / 'chips' / name / f'{number}.tif', 100 * label + number, side=side)
    return tmp_path / 'chips'


def make(images: Any, labels: Any = None, **options: Any) -> GeoTIFFClassificationDataModule:
    data = GeoTIFFClassificationDataModule(
        images, labels, size=16, batch_size=4, length=60, **options
    )
    data.setup('fit')
    return data


def values_of(loader: Any) -> set[tuple[int, int]]:
    """Value of the middle pixel, which tells the image, and label of each patch."""
    return {
        (int(image[0, 8, 8]), int(label))
        for batch in loader
        for image, label in zip(batch['image'], batch['label'], strict=True)
    }


@pytest.mark.filterwarnings('ignore')
def test_every_image_is_in_one_split_with_its_class(chips: Path) -> None:
    data = make(chips, val_split=0.3, test_split=0.2)
    loaders = data.train_dataloader(), data.val_dataloader(), data.test_dataloader()
    train, val, test = map(values_of, loaders)
    assert all(value // 100 == label for value, label in train | val | test)
    everything = {100 * label + number for label in range(3) for number in range(6)}
    assert {value for value, _ in train | val | test} == everything
    assert [len(part) for part in (train, val, test)] == [9, 6, 3]
    assert not train & val
    assert not test & (train | val)
    batch = next(iter(data.val_dataloader()))
    assert (batch['image'].dtype, batch['label'].dtype) == (torch.float32, torch.int64)
    assert batch['image'].shape == (4, 2, 16, 16)
    assert data.describe().class_names == ('a', 'b', 'c')


@pytest.mark.filterwarnings('ignore')
def test_chips_that_overlap_are_in_one_split(tmp_path: Path) -> None:
    for number in range(12):
        # pairs of 16 pixels that share 4, with 4 between them and the next
        place = 32 * (number // 2) + 12 * (number % 2)
        write_chip(tmp_path / 'ab'[number // 2 % 2] / f'{number}.tif', number, place=place)
    data = make(tmp_path, val_split=0.4)
    assert data.splits is not None
    of = {block: name for name in ('train', 'val') for block in getattr(data.splits.blocks, name)}
    files = [Path(file).stem for file in data.scan().tiles.images.files]
    split = {int(files[block]): name for block, name in of.items()}
    assert len(split) == 12
    assert all(split[number] == split[number + 1] for number in range(0, 12, 2))
    table = data.split_table()
    assert table is not None
    train, val = (table[table['split'] == name].union_all() for name in ('train', 'val'))
    assert train.intersection(val).area == 0


@pytest.mark.filterwarnings('ignore')
def test_labels_of_several_kinds_reach_the_task_by_workers_too(chips: Path) -> None:
    table = chips.parent / 'labels.csv'
    rows = [
        f'{name}/{n}.tif,{name};{"even" if n % 2 == 0 else "odd"}'
        for name in 'abc'
        for n in range(6)
    ]
    table.write_text('\n'.join(['image,labels', *rows]))
    batches = []
    for workers in (0, 2):
        data = make(chips, str(table), multilabel=True, num_workers=workers)
        batches.append([*data.val_dataloader(), *data.train_dataloader()])
    names = data.describe().class_names
    assert names == ('a', 'b', 'c', 'even', 'odd')
    for one, other in zip(*batches, strict=True):
        assert torch.equal(one['image'], other['image'])
        assert torch.equal(one['label'], other['label'])
        for image, label in zip(one['image'], one['label'], strict=True):
            value = int(image[0, 8, 8])
            wanted = {'abc'[value // 100], ('even', 'odd')[value % 2]}
            assert {names[i] for i in label.nonzero()[:, 0]} == wanted
    task = Classification('test_resnet', in_channels=2, task='multilabel', num_labels=5, loss='bce')
    Trainer(fast_dev_run=True, accelerator='cpu', logger=False).fit(task, datamodule=data)
    assert data.splits is not None
    assert data.plot(data.splits.val[0]).axes


@pytest.mark.filterwarnings('ignore')
def test_larger_images_are_judged_by_patches_in_their_middle(tmp_path: Path) -> None:
    for name in 'ab':
        write_chip(tmp_path / name / '1.tif', 1, side=40)
        write_chip(tmp_path / name / '2.tif', 2, side=20)
    data = make(tmp_path, val_split=0.5)
    assert data.splits is not None
    places = [
        sorted((w.row_off, w.col_off) for t, w in data.splits.val.patches if t == tile)
        for tile in dict.fromkeys(tile for tile, _ in data.splits.val.patches)
    ]
    for found in places:
        assert found in ([(2, 2)], [(4, 4), (4, 20), (20, 4), (20, 20)])


@pytest.mark.parametrize(
    ('options', 'several', 'refusal'),
    [
        ({'num_classes': 4}, False, r'3 classes \(a, b, c\), got num_classes=4'),
        ({'task': 'multilabel', 'num_labels': 3}, False, "does not fit patches with one class each; .*'ce'"),
        ({'num_classes': 3}, True, "any number of labels each; pass task='multilabel', num_labels=3"),
        ({'task': 'multilabel', 'num_labels': 3}, True, "with loss='ce' .* pass loss='bce'"),
        ({'task': 'multilabel', 'num_labels': 2, 'loss': 'bce'}, True, 'num_labels=2; pass .*num_labels=3'),
        ({'task': 'binary', 'loss': 'bce'}, False, "task='binary' needs two classes"),
        ({'num_classes': 3, 'class_weights': [1, 2]}, False, 'class_weights .* got 2 for 3'),
        ({'num_classes': 3, 'ignore_index': 1}, False, 'ignore_index=1 is the class b'),
    ],
)  # fmt: skip
def test_a_task_that_does_not_fit_is_refused(
    options: dict[str, Any], several: bool, refusal: str
) -> None:
    task = Classification('test_resnet', **options)
    with pytest.raises(ValueError, match=refusal) as error:
        check_classifier(task, ('a', 'b', 'c'), multilabel=several)
    assert '\n' not in str(error.value)


def test_tasks_that_fit_are_taken() -> None:
    names, several = ('a', 'b'), {'task': 'multilabel', 'num_labels': 2}
    for loss in ('ce', 'focal', 'jaccard', 'dice'):
        options: dict[str, Any] = {'num_classes': 2, 'loss': loss}
        task = Classification('test_resnet', **options)
        check_classifier(task, names, multilabel=False)
    for loss in ('bce', 'focal', 'jaccard', 'dice'):
        options = {**several, 'loss': loss}
        task = Classification('test_resnet', **options)
        check_classifier(task, names, multilabel=True)
    check_classifier(
        Classification('test_resnet', task='binary', loss='bce'), names, multilabel=False
    )


@pytest.mark.filterwarnings('ignore')
def test_one_class_alone_and_small_images_are_noticed(tmp_path: Path) -> None:
    for name in 'ab':
        for number in range(2):
            write_chip(tmp_path / name / f'{number}.tif', 1, side=8)
    with pytest.raises(ValueError, match=r'two classes, got only a .* one folder per class'):
        make([tmp_path / 'a' / '0.tif', tmp_path / 'a' / '1.tif'])
    with pytest.warns(UserWarning, match='4 of 4 images are smaller .* pass size=8'):
        make(tmp_path, val_split=0.5)


def test_real_folders(real_data: Path) -> None:
    folder = real_data / 'classification' / 'eurosat_ms13_80' / 'EuroSAT_MS'
    if not folder.is_dir():
        pytest.skip('EuroSAT is not there')
    data = GeoTIFFClassificationDataModule(folder, size=64, batch_size=8, length=8, val_split=0.25)
    task = Classification('test_resnet', in_channels=13, num_classes=10)
    Trainer(max_epochs=1, accelerator='cpu', logger=False, enable_checkpointing=False).fit(
        task, datamodule=data
    )
    assert data.splits is not None
    assert (len(data.splits.blocks.train), len(data.splits.val)) == (60, 20)
