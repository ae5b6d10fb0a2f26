import math
import warnings
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from timm.layers.norm_act import convert_sync_batchnorm
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from gersp_geo import GeRSPTask
from gersp_geo.bands import RGB
from gersp_geo.batch_types import JointBatch
from gersp_geo.tasks.checks import check_normalization

SIDE, CLASSES, QUEUE = 32, 5, 12


def make_task(**arguments: Any) -> GeRSPTask:
    defaults: dict[str, Any] = {
        'model': 'resnet18',
        'hidden_dim': 16,
        'output_dim': 8,
        'memory_bank_size': QUEUE,
        'num_classes': CLASSES,
        'size': SIDE,
    }
    torch.manual_seed(0)
    return GeRSPTask(**(defaults | arguments))


def identity_views() -> dict[str, nn.Module]:
    names = ('augmentation1', 'augmentation2', 'augmentation_natural')
    return {name: nn.Identity() for name in names}


def make_batch(pairs: int = 4, channels: int = 3, **arguments: Any) -> JointBatch:
    torch.manual_seed(1)
    shape = (pairs, channels, SIDE, SIDE)
    return {
        'remote_sensing': {'image': torch.randint(256, shape, dtype=torch.uint8)},
        'natural': {
            'image': torch.randint(256, (pairs, 3, SIDE, SIDE), dtype=torch.uint8),
            'label': torch.arange(pairs) % CLASSES,
        },
    }


def logged_by(task: GeRSPTask, batch: JointBatch) -> dict[str, Tensor]:
    values: dict[str, Tensor] = {}
    task.log_step = lambda logged, **_: values.update(logged)  # type: ignore[method-assign]
    task.training_step(batch, 0)
    return values


def parameters_equal(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return all(torch.equal(p, q) for p, q in pairs)


@pytest.mark.parametrize('teacher_projector', ['ema', 'frozen'])
def test_the_teacher_starts_as_an_exact_copy(teacher_projector: str) -> None:
    task = make_task(teacher_projector=teacher_projector)
    assert parameters_equal(task.backbone, task.backbone_momentum)
    assert parameters_equal(task.projection_head, task.projection_head_momentum)


def train(task: GeRSPTask, steps: int) -> None:
    optimizer = torch.optim.SGD((p for p in task.parameters() if p.requires_grad), lr=0.01)
    for step in range(steps):
        optimizer.zero_grad()
        task.training_step(make_batch(), step).backward()
        optimizer.step()


def test_a_frozen_projector_never_moves_and_an_averaged_one_does() -> None:
    frozen, averaged = make_task(teacher_projector='frozen'), make_task()
    start = [p.clone() for p in frozen.projection_head_momentum.parameters()]
    train(frozen, 2)
    train(averaged, 2)
    for before, still, moved in zip(
        start,
        frozen.projection_head_momentum.parameters(),
        averaged.projection_head_momentum.parameters(),
        strict=True,
    ):
        assert torch.equal(before, still)
        assert not torch.equal(before, moved)


def test_no_gradient_reaches_the_teacher_or_the_queue() -> None:
    task = make_task()
    task.training_step(make_batch(), 0).backward()
    for module in (task.backbone_momentum, task.projection_head_momentum):
        assert all(p.grad is None for p in module.parameters())
    for module in (task.backbone, task.projection_head, task.classification_head):
        assert all(p.grad is not None for p in module.parameters())
    assert not task.queue.requires_grad


def test_a_step_replaces_the_oldest_keys_by_unit_vectors() -> None:
    task = make_task()
    before = task.queue.clone()
    task.training_step(make_batch(pairs=4), 0)
    assert task.queue_ptr.item() == 4
    assert torch.equal(task.queue[4:], before[4:])
    assert not torch.equal(task.queue[:4], before[:4])
    torch.testing.assert_close(task.queue.norm(dim=1), torch.ones(QUEUE))


def test_positives_are_not_among_their_own_negatives() -> None:
    # with a queue of one key per image of the batch, a key enqueued before the loss would be both
    task = make_task(memory_bank_size=4, **identity_views()).eval()
    batch = make_batch(pairs=4)
    batch['remote_sensing']['image'] = batch['remote_sensing']['image'] / 255
    batch['natural']['image'] = batch['natural']['image'] / 255
    old = task.queue.clone()
    loss = logged_by(task, batch)['train_contrastive_loss']
    with torch.no_grad():
        view = batch['remote_sensing']['image']
        query = F.normalize(task.projection_head(task.backbone(view)), dim=1)
    positive = torch.exp((query * query).sum(1) / 0.07)
    negatives = torch.exp(query @ old.T / 0.07).sum(1)
    torch.testing.assert_close(loss, -torch.log(positive / (positive + negatives)).mean())


def test_without_supervision_the_contrastive_loss_is_the_same_and_the_head_is_frozen() -> None:
    batch = make_batch()
    losses = []
    for weight in (1.0, 0.0):
        task = make_task(supervised_weight=weight).eval()
        torch.manual_seed(2)
        losses.append(logged_by(task, batch)['train_contrastive_loss'])
    # the augmentation of the natural images is drawn after that of the pairs
    torch.testing.assert_close(losses[0], losses[1])
    assert not any(p.requires_grad for p in task.classification_head.parameters())
    task.training_step({'remote_sensing': batch['remote_sensing']}, 0)


def test_the_total_is_the_weighted_sum_of_both_losses() -> None:
    logged = logged_by(make_task(supervised_weight=0.25), make_batch())
    expected = logged['train_contrastive_loss'] + 0.25 * logged['train_supervised_loss']
    torch.testing.assert_close(logged['train_loss'], expected)


def test_two_dates_give_each_view_its_own_date() -> None:
    task = make_task(in_channels=4, **identity_views())
    dates = torch.rand(2, 2, 4, SIDE, SIDE)
    for images in (dates, dates.flatten(1, 2)):
        first, second = task.two_views(images)
        assert torch.equal(first, dates[:, 0])
        assert torch.equal(second, dates[:, 1])


def test_bytes_and_unit_floats_give_one_loss() -> None:
    batch = make_batch()
    floats = make_batch()
    for stream in ('remote_sensing', 'natural'):
        floats[stream]['image'] = floats[stream]['image'].float() / 255
    losses = []
    for given in (batch, floats):
        task = make_task()
        torch.manual_seed(3)
        losses.append(task.training_step(given, 0))
    assert torch.equal(losses[0], losses[1])


def test_the_whole_task_runs_in_double_precision() -> None:
    task = make_task().double()
    assert task.training_step(make_batch(), 0).dtype == torch.float64


def test_the_schedule_restarts_as_released() -> None:
    task = make_task()
    configured: Any = task.configure_optimizers()
    optimizer, scheduler = configured['optimizer'], configured['lr_scheduler']['scheduler']
    rates = {}
    for epoch in range(41):
        rates[epoch] = optimizer.param_groups[0]['lr']
        optimizer.step()
        scheduler.step()
    # https://github.com/floatingstarZ/GeRSP, configs/selfsup/GeRSP/GeRSP.py, printed by its hook
    expected = {
        0: 7e-3,
        1: 6.963e-3,
        5: 6.121e-3,
        10: 4e-3,
        15: 1.879e-3,
        19: 1.037e-3,
        20: 7e-3,
        40: 7e-3,
    }
    assert {epoch: rates[epoch] for epoch in expected} == pytest.approx(expected, rel=1e-3)


def test_the_optimiser_holds_student_and_heads_only() -> None:
    task = make_task()
    configured: Any = task.configure_optimizers()
    held = {id(p) for group in configured['optimizer'].param_groups for p in group['params']}
    parts = (task.backbone, task.projection_head, task.classification_head)
    assert held == {id(p) for module in parts for p in module.parameters()}


def test_a_checkpoint_holds_queue_and_pointer_and_no_augmentation() -> None:
    keys = make_task().state_dict().keys()
    assert {'queue', 'queue_ptr'} <= keys
    assert not any('augmentation' in key for key in keys)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'temperature': 0.0}, 'temperature must be > 0, got 0'),
        ({'memory_bank_size': 0}, 'memory_bank_size must be > 0, got 0'),
        ({'moco_momentum': 1.5}, r'moco_momentum must be in \[0, 1\], got 1.5'),
        ({'crop_scale': (0.5, 0.2)}, r'crop_scale must be .* in \(0, 1\], got \[0.5, 0.2\]'),
        ({'color_strength': 2.0}, r'color_strength must be in \[0, 1.25\], got 2.0'),
        ({'crop_scale': (0.2, 0.5, 1.0)}, r'crop_scale must be .* got \[0.2, 0.5, 1.0\]'),
        ({'color_strength': math.nan}, r'color_strength must be in \[0, 1.25\], got nan'),
        ({'color_strength': 0.5} | identity_views(), 'own pipelines replace those in every view'),
        (
            {'color_strength': 0.5, 'augmentation1': nn.Identity(), 'supervised_weight': 0.0},
            'own pipelines replace those in every view',
        ),
        ({'min_lr': 1.0}, r'min_lr must be <= lr=0.007, got 1.0'),
        ({'teacher_projector': 'none'}, "teacher_projector must be 'ema' or 'frozen', got 'none'"),
        (
            {'rgb_bands': (0, 1, 3)},
            r'rgb_bands must be three different bands in \[0, in_channels=3\)',
        ),
        ({'model': 'resnet17'}, "model must be a timm model .* got 'resnet17'"),
    ],
)
def test_bad_arguments_are_refused_with_rule_and_value(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_task(**arguments)


def test_images_of_another_band_count_are_refused() -> None:
    with pytest.raises(ValueError, match=r'remote-sensing images must be \(B, C=3, H, W\)'):
        make_task().training_step(make_batch(channels=4), 0)


def test_gentler_recipes_reach_every_view() -> None:
    task = make_task(crop_scale=(1.0, 1.0), color_strength=0.0)
    images = make_batch()['remote_sensing']['image']
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (RGB.mean, RGB.std))
    for pipeline in (task.augmentation1, task.augmentation2, task.augmentation_natural):
        for view, image in zip(pipeline(images) * std + mean, images / 255, strict=True):
            assert min(float((view - one).abs().max()) for one in (image, image.flip(-1))) < 1e-5


def test_views_of_two_sizes_are_refused() -> None:
    task = make_task(augmentation_natural=nn.AvgPool2d(2))
    batch = make_batch()
    batch['natural']['image'] = batch['natural']['image'].float()
    with pytest.raises(ValueError, match=r'must give one size.*\(32, 32\) and \(16, 16\)'):
        task.training_step(batch, 0)


def test_a_label_without_a_logit_is_refused() -> None:
    batch = make_batch()
    batch['natural']['label'][2] = CLASSES
    with pytest.raises(ValueError, match='got num_classes=5 and a natural image of class 5'):
        make_task().training_step(batch, 0)


def loader_of(*batches: JointBatch) -> DataLoader[JointBatch]:
    return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]


def fit(task: GeRSPTask, *batches: JointBatch, **arguments: Any) -> None:
    trainer = Trainer(
        max_epochs=1,
        accelerator='cpu',
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **arguments,
    )
    trainer.fit(task, loader_of(*batches))


def test_a_queue_longer_than_half_a_pass_is_warned_of_with_both_numbers() -> None:
    batches = [make_batch(pairs=4) for _ in range(3)]
    message = 'memory_bank_size=7 is more than half of the 12 remote-sensing images of a pass'
    with pytest.warns(UserWarning, match=message):
        fit(make_task(memory_bank_size=7), *batches)
    with warnings.catch_warnings():
        warnings.filterwarnings('error', message='memory_bank_size')
        fit(make_task(memory_bank_size=6), *batches)


def test_weights_too_coarse_for_a_moving_average_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got torch.bfloat16.*use precision='bf16-mixed'"):
        fit(make_task(), make_batch(), precision='bf16-true')


def test_a_batch_without_natural_images_is_refused_where_they_are_needed() -> None:
    with pytest.raises(ValueError, match='natural=FOLDER, or the task supervised_weight=0'):
        make_task().training_step({'remote_sensing': make_batch()['remote_sensing']}, 0)


def test_a_conversion_that_dropped_activations_is_refused() -> None:
    check_normalization(nn.SyncBatchNorm.convert_sync_batchnorm(make_task().backbone))
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(
        make_task(model='test_efficientnet').backbone
    )
    with pytest.raises(ValueError, match='convert_sync_batchnorm, and leave it out'):
        check_normalization(converted)
    check_normalization(convert_sync_batchnorm(make_task(model='test_efficientnet').backbone))


def test_other_bands_without_statistics_are_refused_in_a_plain_loop_too() -> None:
    with pytest.raises(ValueError, match='images of 4 bands need augmentation1, or a Trainer'):
        make_task(in_channels=4).training_step(make_batch(channels=4), 0)


def test_other_bands_need_no_statistics_to_predict_and_do_to_train() -> None:
    task, images = make_task(in_channels=13).eval(), torch.rand(4, 13, SIDE, SIDE)
    trainer = Trainer(accelerator='cpu', logger=False, enable_progress_bar=False)
    predicted: Any = trainer.predict(task, DataLoader(images, batch_size=4))  # type: ignore[arg-type]
    assert torch.equal(predicted[0], task.backbone(images))
    with pytest.raises(ValueError, match='in_channels=13 needs augmentation1, or a data module'):
        fit(task, make_batch(channels=13))


def test_features_are_those_of_the_backbone() -> None:
    task = make_task().eval()
    images = torch.rand(2, 3, SIDE, SIDE)
    assert torch.equal(task(images), task.backbone(images))
    assert task(images).shape == (2, task.backbone.num_features)
    assert math.isfinite(task(images).sum().item())


def test_a_pipeline_without_steps_is_a_choice() -> None:
    empty = nn.Sequential()
    task = make_task(augmentation1=nn.ReLU(), augmentation2=empty, augmentation_natural=empty)
    assert task.augmentation2 is empty
    assert task.augmentation_natural is empty
