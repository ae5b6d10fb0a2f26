"""Counts give the metrics of torchmetrics, however pixels are shared between batches."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor
from torchmetrics.functional.classification import (
    multiclass_confusion_matrix,
    multiclass_f1_score,
    multiclass_jaccard_index,
    multiclass_precision,
    multiclass_recall,
    multilabel_f1_score,
    multilabel_jaccard_index,
)

from gersp_geo.callbacks.report.summary import Summary
from gersp_geo.callbacks.report.tallies import ClassTally, LabelTally, ValueTally

CPU = torch.device('cpu')
METRICS: dict[str, Callable[..., Tensor]] = {
    'IoU': multiclass_jaccard_index,
    'Precision': multiclass_precision,
    'Recall': multiclass_recall,
    'F1': multiclass_f1_score,
}


def same(values: Tensor) -> Tensor:
    """Add up over one process."""
    return values


def per_class(summary: Summary, metric: str) -> list[float]:
    return [values[metric] for values in summary.classes.values()]


@given(
    seed=st.integers(0, 2**31),
    classes=st.integers(2, 6),
    cut=st.integers(0, 6),
    ignored=st.sampled_from([None, 255, 0]),
)
def test_metrics_of_pixels_are_those_of_torchmetrics(
    seed: int, classes: int, cut: int, ignored: int | None
) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(6, classes, 3, 5, generator=generator)
    # the last class is often nowhere
    masks = torch.randint(0, classes - seed % 2, (6, 3, 5), generator=generator)
    masks[torch.rand(6, 3, 5, generator=generator) < 0.2] = 255
    names = [f'class {i}' for i in range(classes)]
    tally = ClassTally(names, target='mask', ignore=ignored, device=CPU)
    for rows in (slice(cut), slice(cut, None)):
        tally.update(logits[rows], {'mask': masks[rows]})
    summary = tally.summary(same)
    known = (masks != 255) & (masks != ignored)
    predicted, truth = logits.argmax(1)[known], masks[known]
    # of nothing the oracle cannot say anything
    assume(len(truth) > 0)
    matrix = summary.matrix
    assert matrix is not None
    expected = multiclass_confusion_matrix(predicted, truth, num_classes=classes)
    assert (matrix.counts == expected.numpy()).all()
    there = [bool((truth == i).any()) for i in range(classes)]
    for metric, oracle in METRICS.items():
        wanted = oracle(predicted, truth, num_classes=classes, average='none').tolist()
        wanted = [v if is_there else math.nan for v, is_there in zip(wanted, there, strict=True)]
        assert per_class(summary, metric) == pytest.approx(wanted, nan_ok=True)
        mean = np.nanmean(wanted) if any(there) else math.nan
        assert summary.overall[metric] == pytest.approx(mean, nan_ok=True)
    right = float((predicted == truth).float().mean())
    assert summary.overall['Accuracy'] == pytest.approx(right, nan_ok=True)


@pytest.mark.parametrize('shape', [(4, 1), (4, 1, 8, 8)])
def test_one_logit_is_the_second_of_two_classes(shape: tuple[int, ...]) -> None:
    logits = torch.linspace(-1, 1, math.prod(shape)).reshape(shape)
    truth = (logits > 0.5).long()
    tally = ClassTally(['no', 'yes'], target='label', ignore=None, device=CPU)
    tally.update(logits, {'label': truth})
    matrix = tally.summary(same).matrix
    assert matrix is not None
    count = truth.numel()
    false = int(((logits.sigmoid() >= 0.5) & (truth == 0)).sum())
    yes = int(truth.sum())
    assert matrix.counts.tolist() == [[count - yes - false, false], [0, yes]]


@given(seed=st.integers(0, 2**31), pixels=st.booleans())
def test_metrics_of_several_labels_are_those_of_torchmetrics(seed: int, pixels: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    shape = (8, 3, 2, 2) if pixels else (8, 3)
    logits = torch.randn(shape, generator=generator)
    labels = torch.randint(0, 2, shape, generator=generator)
    labels[:, 2] = seed % 2
    tally = LabelTally(['a', 'b', 'c'], target='label', ignore=None, device=CPU)
    tally.update(logits, {'label': labels})
    summary = tally.summary(same)
    oracles: dict[str, Any] = {'IoU': multilabel_jaccard_index, 'F1': multilabel_f1_score}
    for metric, oracle in oracles.items():
        wanted = oracle(logits, labels, num_labels=3, average='none')
        wanted[~labels.transpose(0, 1).flatten(1).any(dim=1)] = math.nan
        assert per_class(summary, metric) == pytest.approx(wanted.tolist(), nan_ok=True)
    assert summary.matrix is not None
    assert (summary.matrix.counts.sum(1) == labels[:, 0].numel()).all()


@given(seed=st.integers(0, 2**31), outputs=st.integers(1, 3))
def test_errors_of_values_are_those_of_numpy_and_no_truth_is_left_out(
    seed: int, outputs: int
) -> None:
    generator = np.random.default_rng(seed)
    truth = generator.normal(1000, 5, (4, outputs, 6, 6)).astype(np.float32)
    predicted = truth + generator.normal(2, 1, truth.shape).astype(np.float32)
    truth[generator.random(truth.shape) < 0.3] = np.nan
    names = [f'output {i}' for i in range(outputs)]
    tally = ValueTally(names, target='mask', device=CPU)
    for half in (slice(2), slice(2, None)):
        masks = torch.from_numpy(truth[half])
        tally.update(torch.from_numpy(predicted[half]), {'mask': masks.squeeze(1)})
    summary = tally.summary(same)
    each = []
    for i in range(outputs):
        known = np.isfinite(truth[:, i])
        t, error = truth[:, i][known].astype(float), (predicted - truth)[:, i][known].astype(float)
        spread = ((t - t.mean()) ** 2).sum()
        rmse, mae = np.sqrt((error**2).mean()), np.abs(error).mean()
        each.append([rmse, mae, error.mean(), 1 - (error**2).sum() / spread])
    assert list(summary.overall.values()) == pytest.approx(np.mean(each, axis=0), rel=1e-4)
    found = [list(values.values()) for values in summary.classes.values()]
    assert np.allclose(found, each if outputs > 1 else [], rtol=1e-4)


def test_nothing_is_said_where_nothing_is_known() -> None:
    tally = ValueTally(['height'], target='label', device=CPU)
    tally.update(torch.zeros(2, 1), {'label': torch.full((2,), math.nan)})
    assert all(map(math.isnan, tally.summary(same).overall.values()))
    counts = ClassTally(['a', 'b'], target='mask', ignore=255, device=CPU)
    counts.update(torch.zeros(1, 2, 2, 2), {'mask': torch.full((1, 2, 2), 255)})
    assert all(map(math.isnan, counts.summary(same).overall.values()))
