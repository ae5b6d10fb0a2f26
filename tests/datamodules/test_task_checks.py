"""What is accepted leaves pixels without a label out; what is refused would not train, or not so."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchgeo.tasks import PixelwiseRegression, SemanticSegmentation

from gersp_geo.datamodules.task_checks import check_task

NAMES = {'binary': ('ground', 'roof'), 'multiclass': ('a', 'b', 'c'), 'multilabel': ('a', 'b', 'c')}
SIDE = 16


def make_task(kind: str, loss: str, ignored: int | None) -> SemanticSegmentation:
    counts: dict[str, Any] = {
        'binary': {},
        'multiclass': {'num_classes': 3},
        'multilabel': {'num_labels': 3},
    }[kind]
    arguments: Any = {'task': kind, 'loss': loss, 'ignore_index': ignored} | counts
    task = SemanticSegmentation('fcn', num_filters=2, **arguments)
    task.log = lambda *_, **__: None  # type: ignore[method-assign]  # there is no trainer
    return task


class Logits(nn.Module):
    """A model whose output is its only parameter."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.logits = nn.Parameter(torch.randn(2, channels, SIDE, SIDE, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        return self.logits


def step(task: SemanticSegmentation, mask: Tensor, *, moved: float = 0.0) -> tuple[float, Tensor]:
    """Loss of a training step, and its gradient; logits without a label are moved before."""
    channels = 1 if task.hparams['task'] == 'binary' else 3
    task.model = Logits(channels)
    with torch.no_grad():
        task.model.logits += moved * (mask == 255).unsqueeze(1)
    loss = task.training_step({'image': torch.zeros(2, 3, SIDE, SIDE), 'mask': mask}, 0)
    loss.backward()
    assert task.model.logits.grad is not None
    return loss.item(), task.model.logits.grad.movedim(1, -1)


def learns_rightly(task: SemanticSegmentation, mask: Tensor) -> bool:
    """Whether a step trains on what is labelled, whatever the model says elsewhere."""
    try:
        loss, gradient = step(task, mask)
        other, _ = step(task, mask, moved=3.0)
    except (IndexError, RuntimeError, TypeError, ValueError):
        return False
    holes = mask == 255
    untouched = bool((gradient[holes] == 0).all()) and loss == pytest.approx(other, abs=1e-6)
    return untouched and bool(gradient[~holes].abs().sum() > 0)


def refusal(task: SemanticSegmentation, names: tuple[str, ...], *, unlabelled: float) -> str | None:
    try:
        check_task(task, names, present=range(len(names)), unlabelled=unlabelled)
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.quick('binary-True', 'multiclass-False', 'multilabel-True')
@pytest.mark.parametrize('holes', [False, True])
@pytest.mark.parametrize('kind', ['binary', 'multiclass', 'multilabel'])
def test_what_is_accepted_is_what_trains_rightly(kind: str, holes: bool) -> None:
    names = NAMES[kind]
    mask = torch.arange(2 * SIDE**2).view(2, SIDE, SIDE) % len(names)
    if holes:
        mask[:, ::4] = 255
    accepted = set()
    for loss, ignored in product(('ce', 'bce', 'jaccard', 'focal', 'dice'), (255, None)):
        task = make_task(kind, loss, ignored)
        right = learns_rightly(task, mask)
        refused = refusal(task, names, unlabelled=0.25 if holes else 0.0)
        assert right == (refused is None), (loss, ignored, refused)
        assert '\n' not in (refused or '')
        if right:
            accepted.add(loss)
    expected = {
        ('binary', False): {'bce', 'jaccard', 'focal', 'dice'},
        ('binary', True): {'focal', 'dice'},
        ('multiclass', False): {'ce', 'jaccard', 'focal', 'dice'},
        ('multiclass', True): {'ce', 'focal', 'dice'},
    }
    assert accepted == expected.get((kind, holes), set())


@pytest.mark.parametrize('kind', ['binary', 'multiclass'])
@pytest.mark.parametrize('loss', ['bce', 'jaccard'])
def test_the_combination_that_is_named_is_accepted(kind: str, loss: str) -> None:
    names = NAMES[kind]
    refused = refusal(make_task(kind, loss, None), names, unlabelled=0.1)
    assert refused is not None
    advice = refused.rsplit('pass ', 1)[1]
    named = 'dice' if "loss='dice'" in advice else 'ce'
    assert f"loss='{named}'" in advice
    assert 'ignore_index=255' in advice
    check_task(make_task(kind, named, 255), names, present=(0, 1), unlabelled=0.1)


def test_a_class_must_not_be_ignored() -> None:
    task = make_task('multiclass', 'ce', 0)
    with pytest.raises(ValueError, match='ignore_index=0 is the class a of the labels'):
        check_task(task, NAMES['multiclass'], present=(0, 1, 2), unlabelled=0.0)
    # named, but nowhere in the labels
    check_task(task, NAMES['multiclass'], present=(1, 2), unlabelled=0.0)


def test_the_draws_of_a_run_stay_as_they_were() -> None:
    task = make_task('multiclass', 'ce', 255)
    before = torch.get_rng_state()
    check_task(task, NAMES['multiclass'], present=(0, 1, 2), unlabelled=0.5)
    assert torch.equal(torch.get_rng_state(), before)


class Masking(SemanticSegmentation):
    """A step that leaves out by itself what its loss would learn."""

    def training_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Tensor:
        raise NotImplementedError


class Other(nn.Module):
    """A loss of its own that leaves 255 out."""

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return nn.functional.cross_entropy(logits, target, ignore_index=255)


def test_tasks_and_losses_of_others_are_judged_by_what_they_do() -> None:
    names = NAMES['binary']
    own_step: Any = Masking('fcn', num_filters=2, task='binary', loss='bce')
    check_task(own_step, names, present=(0, 1), unlabelled=0.5)
    own_loss = make_task('multiclass', 'jaccard', 255)
    own_loss.criterion = Other()
    check_task(own_loss, NAMES['multiclass'], present=(0, 1, 2), unlabelled=0.5)


def test_a_regression_takes_masks_without_holes_alone() -> None:
    task = PixelwiseRegression('fcn', num_filters=2)
    check_task(task, ('a', 'b', 'c'), present=(0, 1, 2), unlabelled=0.0)
    with pytest.raises(ValueError, match='would learn the value 255'):
        check_task(task, ('a', 'b', 'c'), present=(0, 1, 2), unlabelled=0.01)


@pytest.mark.parametrize('dtype', [torch.float64, torch.bfloat16])
def test_a_weighted_loss_is_tried_in_the_type_of_the_task(dtype: torch.dtype) -> None:
    task = SemanticSegmentation(
        'fcn', num_filters=2, num_classes=3, class_weights=torch.ones(3), ignore_index=255
    ).to(dtype)
    check_task(task, NAMES['multiclass'], present=[0, 1, 2], unlabelled=0.1)
