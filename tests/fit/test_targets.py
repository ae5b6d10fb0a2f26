"""Boxes and labels that a detector of torchgeo cannot learn from, through the command."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

DATA = '''
from typing import Any

import torch
from torchgeo.datamodules import NonGeoDataModule
from torchgeo.datamodules.utils import collate_fn_detection
from torchgeo.datasets import NonGeoDataset


class Boxes(NonGeoDataset):
    """The same objects in every image."""

    def __init__(self, boxes: Any, labels: Any, names: Any = (), side: int = 64) -> None:
        self.boxes, self.labels, self.classes, self.side = boxes, labels, names, side

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {
            'image': torch.full((3, self.side, self.side), float(index)),
            'bbox_xyxy': torch.tensor(self.boxes, dtype=torch.float32).reshape(-1, 4),
            'label': torch.tensor(self.labels, dtype=torch.int64),
        }


def renamed(batch: list[Any]) -> Any:
    both = collate_fn_detection(batch)
    return {'image': both['image'], 'boxes': both['bbox_xyxy'], 'labels': both['label']}


class BoxesDataModule(NonGeoDataModule):
    """As a user would write it."""

    mean, std = torch.tensor(0.0), torch.tensor(1.0)

    def __init__(
        self,
        boxes: list[list[float]],
        labels: list[int],
        val_labels: list[int] | None = None,
        names: list[str] | None = None,
        torchvision_keys: bool = False,
    ) -> None:
        super().__init__(Boxes, batch_size=2, num_workers=0)
        self.boxes, self.labels, self.names = boxes, labels, names or []
        self.val_labels = labels if val_labels is None else val_labels
        self.collate_fn = renamed if torchvision_keys else collate_fn_detection

    def setup(self, stage: str) -> None:
        self.train_dataset = Boxes(self.boxes, self.labels, self.names)
        self.val_dataset = Boxes(self.boxes, self.val_labels, self.names)
'''

pytestmark = [
    pytest.mark.filterwarnings('ignore::UserWarning'),
    pytest.mark.filterwarnings('ignore:.*LeafSpec.*'),
]


@pytest.fixture
def fit_boxes(
    fit: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Train a detector for two images of 64 x 64 pixels, one step."""
    (tmp_path / 'boxes_of_a_user.py').write_text(DATA)
    monkeypatch.syspath_prepend(tmp_path)

    def run(options: Mapping[str, object] | None = None, **data: object) -> Any:
        usual = {
            'model': 'gersp_geo.tasks.ObjectDetection',
            'model.model': 'faster-rcnn',
            'model.backbone': 'resnet18',
            'model.num_classes': 3,
            'data': 'boxes_of_a_user.BoxesDataModule',
            'data.boxes': '[[5, 5, 30, 30], [20, 10, 60, 40]]',
            'data.labels': '[1, 2]',
            'trainer.max_epochs': 1,
        }
        return fit(
            usual | dict(options or {}) | {f'data.{key}': text for key, text in data.items()}
        )

    return run


def test_a_detector_is_trained_on_what_it_can_learn_from(fit_boxes: Callable[..., Any]) -> None:
    run = fit_boxes(names='[nothing, car, bus]')
    assert run.record['class_names'] == ['nothing', 'car', 'bus']
    assert run.record['task_class'] == 'gersp_geo.tasks.ObjectDetection'


@pytest.mark.quick('data0', 'data3', 'data4')
@pytest.mark.parametrize(
    ('data', 'words'),
    [
        ({'labels': '[0, 1]'}, 'must be 1 or 2, as 0 is the background, got 0: number the classes'),
        ({'labels': '[1, 90]'}, 'num_classes=3 must be 1 or 2, as 0 is the background, got 90: '),
        ({'labels': '[1, 3]'}, 'got 3: number the classes 1, 2, ... and pass their number plus 1'),
        ({'boxes': '[[5, 5, 30, 30], [40, 40, 10, 12]]'}, "box_convert(boxes, 'xywh', 'xyxy')"),
        (
            {'torchvision_keys': 'true'},
            "must have 'bbox_xyxy', 'label', as in torchgeo, got 'image'",
        ),
    ],
)
def test_what_it_cannot_learn_from_is_refused_in_one_line(
    fit_boxes: Callable[..., Any], data: dict[str, object], words: str
) -> None:
    assert words in fit_boxes(**data).refusal


def test_torchgeos_own_detector_is_checked_too(fit_boxes: Callable[..., Any]) -> None:
    run = fit_boxes({'model': 'torchgeo.tasks.ObjectDetection'}, labels='[0, 1]')
    assert run.refusal.startswith('image 0 of a validation batch: labels of faster-rcnn')


def test_training_batches_are_checked_where_validation_is_in_order(
    fit_boxes: Callable[..., Any],
) -> None:
    run = fit_boxes(labels='[1, 0]', val_labels='[1, 2]')
    assert run.refusal.startswith('image 0 of a training batch: labels of faster-rcnn')
    assert not list(run.folder.rglob('*.ckpt'))


def test_label_0_is_a_class_where_there_is_no_background(fit_boxes: Callable[..., Any]) -> None:
    options = {'model.model': 'fcos', 'model.num_classes': 2}
    assert fit_boxes(options, labels='[0, 1]').record['class_names'] == ['class_0', 'class_1']
    assert 'must be 0 or 1, got 2: number the classes 0, 1, ... and pass' in (
        fit_boxes(options, labels='[1, 2]').refusal
    )
