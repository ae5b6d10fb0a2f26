from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch import Trainer
from torch import Tensor
from torch.utils.data import DataLoader
from torchgeo.tasks import ChangeDetection, Classification, SemanticSegmentation
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassAUROC

from gersp_geo.callbacks import EpochMetrics
from gersp_geo.callbacks.epoch_metrics import CountedOnce, list_counts


def new_task(**options: Any) -> SemanticSegmentation:
    given: dict[str, Any] = {'model': 'fcn', 'num_filters': 2, 'num_classes': 3} | options
    return SemanticSegmentation(**given)


def batches(
    target: str, *, image: tuple[int, ...] = (3, 16, 16), shape: tuple[int, ...] = (16, 16)
) -> DataLoader[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    samples = [
        {
            'image': torch.rand(*image, generator=generator),
            target: torch.randint(3, shape, generator=generator),
        }
        for _ in range(6)
    ]
    return DataLoader(samples, batch_size=3)  # type: ignore[arg-type]  # a list is a data set


def train(task: Any, data: DataLoader[dict[str, Tensor]], *callbacks: Any) -> dict[str, Tensor]:
    trainer = Trainer(
        accelerator='cpu', max_epochs=2, callbacks=list(callbacks), logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(task, data, data)
    logged = dict(trainer.callback_metrics)
    trainer.test(task, data, verbose=False)
    return logged | dict(trainer.callback_metrics)


KINDS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    'segmentation': (new_task, {'target': 'mask'}),
    'classification': (
        lambda: Classification('test_resnet', num_classes=3),
        {'target': 'label', 'shape': ()},
    ),
    'change': (
        lambda: ChangeDetection('fcn', num_filters=2, task='multiclass', num_classes=3, loss='ce'),
        {'target': 'mask', 'image': (2, 3, 16, 16), 'shape': (1, 16, 16)},
    ),
}


@pytest.mark.parametrize('kind', KINDS)
def test_all_that_torchgeo_logs_stays_the_same(kind: str) -> None:
    make, shapes = KINDS[kind]
    data = batches(**shapes)
    runs = []
    for callbacks in ([], [EpochMetrics()]):
        torch.manual_seed(0)
        task = make()
        runs.append(train(task, data, *callbacks))
        counted = [isinstance(task.train_metrics, CountedOnce)]
        assert counted == [bool(callbacks)]
    theirs, ours = runs
    assert {'train_OverallAccuracy', 'val_OverallAccuracy', 'test_OverallAccuracy'} <= ours.keys()
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[name], ours[name]) for name in theirs)


@pytest.mark.quick
@given(
    classes=st.integers(2, 5),
    ignored=st.sampled_from([None, 0, 1, 255, -1]),
    seed=st.integers(0, 2**16),
    share=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_counting_once_is_calling_each_metric(
    classes: int, ignored: int | None, seed: int, share: float
) -> None:
    task = new_task(num_classes=classes, ignore_index=ignored)
    theirs = task.val_metrics.clone()
    ours = CountedOnce(task.val_metrics, list_counts(task.val_metrics))
    generator = torch.Generator().manual_seed(seed)
    for side in (3, 4):
        logits = torch.randn(2, classes, side, side, generator=generator)
        target = torch.randint(classes, (2, side, side), generator=generator)
        if ignored is not None:
            target[torch.rand(target.shape, generator=generator) < share] = ignored
        theirs(logits, target)
        ours(logits, target)
    expected, got = theirs.compute(), ours.compute()
    assert list(expected) == list(got)
    torch.testing.assert_close(got, expected, rtol=0, atol=0, equal_nan=True)


def test_a_value_that_is_no_class_is_named() -> None:
    task = new_task(ignore_index=255)
    ours = CountedOnce(task.val_metrics, list_counts(task.val_metrics))
    with pytest.raises(ValueError, match=r'num_classes=3\), or ignore_index=255, got 0 to 7; set'):
        ours(torch.rand(1, 3, 1, 3), torch.tensor([[[0, 7, 255]]]))


def test_other_tasks_and_metrics_stay_as_they_are() -> None:
    class OwnStep(SemanticSegmentation):
        def training_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Tensor:
            return super().training_step(batch, batch_idx)

    own, binary = OwnStep(model='fcn', num_classes=3), new_task(task='binary', num_classes=None)
    for task in (own, binary):
        EpochMetrics().setup(Trainer(logger=False), task, 'fit')
        assert type(task.train_metrics) is MetricCollection
    assert isinstance(own.val_metrics, CountedOnce)
    scores = MulticlassAUROC(num_classes=3), MulticlassAccuracy(num_classes=3, top_k=2)
    for metric in scores:
        assert not list_counts(MetricCollection({'one': metric}))
