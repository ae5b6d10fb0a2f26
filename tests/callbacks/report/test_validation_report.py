"""What a trainer logs and writes for each of torchgeo's tasks."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchgeo import tasks
from torchgeo.datamodules.utils import collate_fn_detection

from gersp_geo.callbacks import ValidationReport
from gersp_geo.callbacks.report.patches import Reading, choose_places
from gersp_geo.callbacks.report.summary import metric_names
from gersp_geo.callbacks.report.tasks import choose_colors, name_labels, name_outputs
from gersp_geo.preprocessing import Preprocessing

type Samples = list[dict[str, Any]]


class Given(nn.Module):
    """A network of one number, which gives what it is told, batch by batch."""

    def __init__(self, outputs: list[Any]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.outputs, self.next = outputs, 0

    def forward(self, images: Any, *more: Any) -> Any:
        output = self.outputs[self.next % len(self.outputs)]
        self.next += 1
        return output + 0 * self.weight if isinstance(output, Tensor) else output


class Samples3(LightningDataModule):
    """Batches of two, the same for all purposes; images have three bands."""

    def __init__(self, samples: Samples, *, names: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.samples, self.names = samples, names

    def describe(self) -> Preprocessing:
        zero, one = (0.0,) * 3, (1.0,) * 3
        return Preprocessing(
            bands=('red', 'green', 'blue'), scale=one, mean=zero, std=one, class_names=self.names
        )

    def load(self) -> DataLoader[Any]:
        boxes = 'bbox_xyxy' in self.samples[0]
        collate = collate_fn_detection if boxes else None
        return DataLoader(self.samples, batch_size=2, collate_fn=collate)  # type: ignore[arg-type]

    def val_dataloader(self) -> DataLoader[Any]:
        return self.load()

    def test_dataloader(self) -> DataLoader[Any]:
        return self.load()


def make_trainer(folder: Path, *callbacks: Any, **options: Any) -> Trainer:
    return Trainer(
        accelerator='cpu',
        logger=CSVLogger(folder, name='', version=''),
        callbacks=list(callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


def evaluate(
    task: Any, outputs: list[Any], data: Samples3, folder: Path, *, stage: str = 'test'
) -> tuple[dict[str, float], Path]:
    """Run a stage; returns what was logged, and the folder of the report."""
    task.model = Given(outputs)
    report = ValidationReport()
    trainer = make_trainer(folder, report)
    run = trainer.test if stage == 'test' else trainer.validate
    (logged,) = run(task, data, verbose=False)
    assert not task._forward_hooks  # noqa: SLF001
    assert report.written == folder / 'report' / ('test' if stage == 'test' else 'val')
    return dict(logged), report.written


def images(*shape: int, count: int = 4) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return list(torch.rand(count, *shape, generator=generator))


def sides(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


@pytest.mark.quick('test')
@pytest.mark.parametrize('stage', ['val', 'test'])
def test_pixels_of_a_class_are_reported_by_its_name(tmp_path: Path, stage: str) -> None:
    task = tasks.SemanticSegmentation('fcn', num_classes=3, num_filters=1, ignore_index=255)
    masks = torch.zeros(4, 8, 8, dtype=torch.int64)
    masks[:, :4] = 1
    masks[:, 0] = 255
    predicted = masks.where(masks != 255, 0)
    predicted[:, 7] = 1
    logits = nn.functional.one_hot(predicted, 3).movedim(-1, 1).float()
    samples = [{'image': i, 'mask': m} for i, m in zip(images(3, 8, 8), masks, strict=True)]
    data = Samples3(samples, names=('bare ground', 'water', 'snow/ice'))
    logged, place = evaluate(task, [logits[:2], logits[2:]], data, tmp_path, stage=stage)
    # 24 rows of water are right, 8 are bare ground
    assert logged[f'{stage}_IoU_water'] == pytest.approx(24 / 32)
    assert logged[f'{stage}_Recall_bare_ground'] == pytest.approx(24 / 32)
    assert math.isnan(logged[f'{stage}_IoU_snow_ice'])
    assert logged[f'{stage}_IoU'] == pytest.approx(0.75)
    assert logged[f'{stage}_OverallAccuracy'] == pytest.approx(logged[f'{stage}_Accuracy'])
    content = json.loads((place / 'metrics.json').read_text())
    assert content['classes']['snow/ice'] == {
        'count': 0, 'IoU': None, 'Precision': None, 'Recall': None, 'F1': None,
    }  # fmt: skip
    with (place / 'confusion_matrix.csv').open() as file:
        rows = list(csv.reader(file))
    assert rows[0][1:] == ['bare ground', 'water', 'snow/ice']
    assert rows[1] == ['bare ground', '96', '32', '0']
    matrix = json.loads((place / 'confusion_matrix.json').read_text())
    assert matrix['counts'] == [[96, 32, 0], [0, 96, 0], [0, 0, 0]]
    assert sorted(path.name for path in place.iterdir()) == [
        'confusion_matrix.csv', 'confusion_matrix.json', 'confusion_matrix.png', 'metrics.csv',
        'metrics.json', 'patches.png',
    ]  # fmt: skip
    assert min(sides(place / 'patches.png')) > 300


@pytest.mark.slow
def test_a_change_of_one_logit_is_named_after_the_one_class_of_the_data(tmp_path: Path) -> None:
    task = tasks.ChangeDetection('fcsiamdiff', backbone='resnet18')
    masks = torch.zeros(4, 1, 32, 32)
    masks[:, :, :16] = 1
    samples = [{'image': i, 'mask': m} for i, m in zip(images(2, 3, 32, 32), masks, strict=True)]
    data = Samples3(samples, names=('building',))
    outputs = [masks[:2] * 2 - 1, -torch.ones(2, 1, 32, 32)]
    logged, place = evaluate(task, outputs, data, tmp_path)
    assert logged['test_Recall_building'] == 0.5
    assert logged['test_Recall_no_building'] == 1
    assert (place / 'patches.png').exists()


def test_ground_without_change_is_grey() -> None:
    names = {0: 'no change', 1: 'change'}
    reading = Reading(kind='classes', target='mask', names=names)
    colors = choose_colors(reading, None)
    assert len(set(colors['no change'])) == 1 < len(set(colors['change']))


@pytest.mark.slow
def test_images_of_a_class_are_counted(tmp_path: Path) -> None:
    task = tasks.Classification('resnet18', num_classes=2, labels=['forest', 'river'])
    samples = [{'image': i, 'label': torch.tensor(n % 2)} for n, i in enumerate(images(3, 8, 8))]
    logged, place = evaluate(task, [torch.tensor([[1.0, 0], [1, 0]])], Samples3(samples), tmp_path)
    assert logged['test_Precision_forest'] == 0.5
    assert logged['test_F1_river'] == 0
    assert json.loads((place / 'metrics.json').read_text())['counted'] == 'images'


@pytest.mark.slow
def test_labels_of_an_image_are_counted_each(tmp_path: Path) -> None:
    task = tasks.Classification('resnet18', task='multilabel', num_labels=3, loss='bce')
    labels = torch.tensor([[1, 0, 1], [1, 1, 0]] * 2)
    samples = [{'image': i, 'label': y} for i, y in zip(images(3, 8, 8), labels, strict=True)]
    outputs = [torch.tensor([[1.0, -1, -1], [1, 1, 1]])]
    logged, place = evaluate(task, outputs, Samples3(samples, names=('a', 'b', 'c')), tmp_path)
    assert [logged[f'test_IoU_{name}'] for name in 'abc'] == [1, 1, 0]
    matrix = json.loads((place / 'confusion_matrix.json').read_text())
    assert matrix['predicted'] == ['found', 'missed', 'false alarm', 'rightly absent']
    assert matrix['counts'] == [[4, 0, 0, 0], [2, 0, 0, 2], [0, 2, 2, 0]]


@pytest.mark.quick('False')
@pytest.mark.parametrize('masks', [False, True])
def test_objects_are_judged_over_all_images_together(tmp_path: Path, masks: bool) -> None:
    make = tasks.InstanceSegmentation if masks else tasks.ObjectDetection
    task: Any = make(backbone='resnet50' if masks else 'resnet18', num_classes=3)
    boxes, labels = torch.tensor([[2.0, 2, 10, 10], [12, 12, 30, 30]]), torch.tensor([1, 2])
    solid = torch.zeros(2, 32, 32, dtype=torch.uint8)
    solid[0, 2:10, 2:10] = solid[1, 12:30, 12:30] = 1
    truth = {'bbox_xyxy': boxes, 'label': labels} | ({'mask': solid} if masks else {})
    samples = [{'image': i, **truth} for i in images(3, 32, 32)]
    found = {'boxes': boxes, 'labels': labels, 'scores': torch.tensor([0.9, 0.8])}
    if masks:
        found['masks'] = solid[:, None].float()
    nothing = {name: values[:0] for name, values in found.items()}
    outputs = [[dict(found), dict(nothing)], [dict(found), dict(found)]]
    logged, place = evaluate(task, outputs, Samples3(samples, names=('ship', 'pier')), tmp_path)
    # three of four are found, and nothing that is not there: 75 of the 101 recalls are reached
    wanted = 76 / 101
    kinds = ('AP', 'AP50', 'MaskAP', 'MaskAP50') if masks else ('AP', 'AP50')
    for kind in kinds:
        assert logged[f'test_{kind}_pier'] == pytest.approx(wanted)
        assert logged[f'test_{kind}'] == pytest.approx(wanted)
    content = json.loads((place / 'metrics.json').read_text())
    assert content['most_detections_per_image'] > 100
    assert content['classes']['ship']['count'] == 4
    assert (place / 'patches.png').exists()


@pytest.mark.quick('True')
@pytest.mark.parametrize('pixels', [False, True])
def test_values_have_errors_and_a_bias(tmp_path: Path, pixels: bool) -> None:
    task = tasks.PixelwiseRegression('fcn') if pixels else tasks.Regression('resnet18')
    shape = (4, 1, 8, 8) if pixels else (4, 1)
    truth = torch.arange(float(np.prod(shape))).reshape(shape)
    key = 'mask' if pixels else 'label'
    samples = [{'image': i, key: t.squeeze(0)} for i, t in zip(images(3, 8, 8), truth, strict=True)]
    outputs = [truth[:2] + 2, truth[2:] + 2]
    logged, place = evaluate(task, outputs, Samples3(samples), tmp_path)
    assert logged['test_Bias'] == pytest.approx(2)
    assert logged['test_RMSE'] == pytest.approx(2)
    content = json.loads((place / 'metrics.json').read_text())
    assert content['overall'] == pytest.approx(
        {'RMSE': 2, 'MAE': 2, 'Bias': 2, 'R2': 1 - 4 / float(truth.var(correction=0))}, abs=1e-6
    )
    assert not (place / 'confusion_matrix.json').exists()


class Improving(Samples3):
    """As above, and something to train on."""

    def train_dataloader(self) -> DataLoader[Any]:
        return self.load()


@pytest.mark.slow
def test_the_report_is_of_the_epoch_that_the_checkpoint_is_kept_of(tmp_path: Path) -> None:
    task = tasks.Classification('resnet18', num_classes=2, labels=['a', 'b'])
    samples = [{'image': i, 'label': torch.tensor(n % 2)} for n, i in enumerate(images(3, 8, 8))]
    right, wrong = torch.tensor([[1.0, 0], [0, 1]]), torch.tensor([[1.0, 0], [1, 0]])
    # a batch of sanity, then per epoch two of training and two of validation
    epochs = [wrong, wrong, right, wrong]
    task.model = Given([wrong, *(out for out in epochs for _ in range(4))])
    report = ValidationReport(patches=0)
    saver = ModelCheckpoint(tmp_path, monitor='val_F1_b', mode='max')
    trainer = make_trainer(tmp_path, report, saver, max_epochs=4, num_sanity_val_steps=1)
    trainer.fit(task, Improving(samples))
    content = json.loads((tmp_path / 'report' / 'val' / 'metrics.json').read_text())
    assert (content['stage'], content['epoch'], content['overall']['F1']) == ('val', 2, 1.0)
    assert saver.best_model_score == 1
    assert 'epoch=2' in saver.best_model_path


def work(folder: Path, *, devices: int) -> dict[str, float]:
    """Test four images in one process, or two in each of two."""
    task: Any = tasks.Classification('resnet18', num_classes=2, labels=['a', 'b'])
    task.model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    task.load_state_dict(
        {k: torch.ones_like(v) * i for i, (k, v) in enumerate(task.state_dict().items())}
    )
    samples = [{'image': i, 'label': torch.tensor(n % 2)} for n, i in enumerate(images(3, 8, 8))]
    options = {'strategy': 'ddp_fork', 'devices': 2} if devices == 2 else {}
    trainer = make_trainer(folder, ValidationReport(), **options)
    (logged,) = trainer.test(task, DataLoader(samples), verbose=False)  # type: ignore[arg-type]
    return dict(logged)


@pytest.mark.slow
def test_two_processes_count_together(tmp_path: Path) -> None:
    one, two = work(tmp_path / 'one', devices=1), work(tmp_path / 'two', devices=2)
    assert {k: v for k, v in one.items() if '_b' in k} == {
        k: v for k, v in two.items() if '_b' in k
    }
    files = [tmp_path / name / 'report' / 'test' / 'metrics.json' for name in ('one', 'two')]
    assert files[0].read_text() == files[1].read_text()


@pytest.mark.slow
def test_without_a_logger_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    task = tasks.Classification('resnet18', num_classes=2, labels=['a', 'b'])
    samples = [{'image': i, 'label': torch.tensor(n % 2)} for n, i in enumerate(images(3, 8, 8))]
    task.model = Given([torch.tensor([[1.0, 0], [1, 0]])])
    trainer = Trainer(accelerator='cpu', logger=False, callbacks=[ValidationReport()])
    (logged,) = trainer.test(task, Samples3(samples), verbose=False)
    assert logged['test_Recall_a'] == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_other_tasks_are_left_alone() -> None:
    assert not ValidationReport().reads(tasks.MoCo('resnet18', version=2))


def test_names_of_labels_begin_behind_the_background() -> None:
    assert name_labels(('a', 'b'), 3, background=True) == {1: 'a', 2: 'b'}
    assert name_labels(('a', 'b'), 3, background=False) == {1: 'a', 2: 'b'}
    assert name_labels(('a', 'b'), 2, background=False) == {0: 'a', 1: 'b'}
    assert name_labels(('nothing', 'a', 'b'), 3, background=True) == {1: 'a', 2: 'b'}
    assert name_labels((), 3, background=True) == {1: 'class_1', 2: 'class_2'}


def test_names_that_do_not_fit_are_numbers() -> None:
    task = tasks.SemanticSegmentation('fcn', num_classes=2, num_filters=1)
    record = Samples3([], names=('a', 'b', 'c')).describe()
    assert name_outputs(task, record) == {0: 'class_0', 1: 'class_1'}
    twice = Samples3([], names=('a', 'a')).describe()
    assert name_outputs(task, twice) == {0: 'a_0', 1: 'a_1'}


def test_names_of_metrics_hold_no_spaces_and_none_comes_twice() -> None:
    names = metric_names(['dense forest', 'dense_forest', 'snow/ice', ''])
    assert names == ['dense_forest', 'dense_forest_1', 'snow_ice', 'class_3']


@pytest.mark.parametrize('batches', [1, 3, 8, 9, 100, math.inf])
def test_patches_are_drawn_from_all_of_a_validation(batches: float) -> None:
    every, share = choose_places(batches, most=8)
    looked_at = len(range(0, 1000 if math.isinf(batches) else int(batches), every))
    assert looked_at * share >= 8
    if batches == 100:
        assert every == 12
