"""A queue that holds one direction warns; whatever spreads does not."""

import warnings
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from gersp_geo.callbacks import CollapseMonitor
from gersp_geo.callbacks.collapse_monitor import newest_keys
from gersp_geo.momentum import enqueue

DIMENSIONS, BATCH = 16, 8


class Steps(Dataset[dict[str, Any]]):
    """As many whole batches as an epoch is to have."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {'remote_sensing': {'image': torch.zeros(BATCH, 3, 1, 1)}}


class Keys(LightningModule):
    """Makes keys that spread by *spread* around one direction, and logs one deviation."""

    def __init__(self, *, spread: float, deviation: float = 1.0, keys: int = 64) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.generator, self.spread, self.deviation = generator, spread, deviation
        self.backbone = nn.Linear(1, 1)
        self.backbone.num_features = 100  # type: ignore[assignment]
        queue = F.normalize(torch.randn(keys, DIMENSIONS, generator=generator), dim=1)
        self.register_buffer('queue', queue)
        self.register_buffer('queue_ptr', torch.zeros(1, dtype=torch.long))

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        noise = torch.randn(BATCH, DIMENSIONS, generator=self.generator)
        keys = F.normalize(torch.eye(DIMENSIONS)[0] + self.spread * noise, dim=1)
        enqueue(self.queue, self.queue_ptr, keys)  # type: ignore[arg-type]
        deviation = torch.tensor(self.deviation)
        self.log('train_ssl_std', deviation, on_step=True, on_epoch=True, batch_size=BATCH)
        loss: Tensor = self.backbone(torch.ones(1, 1)).sum()
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


def train(
    task: LightningModule, monitor: CollapseMonitor, *, steps: int = 4, epochs: int = 1
) -> tuple[dict[str, float], list[str]]:
    """Train, and return what was logged and what was warned of."""
    trainer = Trainer(
        max_epochs=epochs,
        accelerator='cpu',
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[monitor],
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        trainer.fit(task, DataLoader(Steps(steps), batch_size=None))
    logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
    return logged, [str(w.message) for w in caught if 'collapse' in str(w.message)]


def test_identical_keys_warn_once_in_a_run() -> None:
    logged, found = train(Keys(spread=0.0), CollapseMonitor(), epochs=3)
    assert logged['train_effective_rank'] == pytest.approx(1, abs=1e-4)
    assert len(found) == 1
    for part in ('epoch 0', '32 keys', 'rank of 1 ', 'minimum=2', 'lower lr', 'memory_bank_size'):
        assert part in found[0]


def test_each_run_of_one_monitor_warns() -> None:
    monitor = CollapseMonitor()
    assert [len(train(Keys(spread=0.0), monitor)[1]) for _ in range(2)] == [1, 1]


def test_keys_that_spread_do_not_warn() -> None:
    logged, found = train(Keys(spread=1.0), CollapseMonitor(), epochs=2)
    assert 0.7 * DIMENSIONS < logged['train_effective_rank'] <= DIMENSIONS
    assert found == []


def test_random_keys_from_before_do_not_hide_a_collapse() -> None:
    # 32 keys of this epoch among 992 random ones
    logged, found = train(Keys(spread=0.0, keys=1024), CollapseMonitor())
    assert logged['train_effective_rank'] == pytest.approx(1, abs=1e-4)
    assert len(found) == 1


def test_a_queue_shorter_than_an_epoch_is_judged_as_a_whole() -> None:
    assert len(train(Keys(spread=0.0, keys=12), CollapseMonitor(), steps=5)[1]) == 1


def test_a_handful_of_keys_is_logged_but_not_judged() -> None:
    logged, found = train(Keys(spread=1.0), CollapseMonitor(minimum=12), steps=1)
    assert 1 < logged['train_effective_rank'] < 12
    assert found == []
    assert len(train(Keys(spread=1.0), CollapseMonitor(minimum=15.9), steps=2)[1]) == 1


def test_features_that_hardly_deviate_warn() -> None:
    # 1 / sqrt(100 features) is 0.1
    assert train(Keys(spread=1.0, deviation=0.011), CollapseMonitor())[1] == []
    found = train(Keys(spread=1.0, deviation=0.009), CollapseMonitor())[1]
    assert len(found) == 1
    assert 'train_ssl_std is 0.009, below 0.1 / sqrt(100)' in found[0]


def test_keys_and_features_that_are_not_finite_warn() -> None:
    found = train(Keys(spread=float('nan'), deviation=float('nan')), CollapseMonitor())[1]
    assert len(found) == 1
    assert 'rank of nan' in found[0]
    assert 'train_ssl_std is nan' in found[0]


@given(size=st.integers(1, 9), batches=st.lists(st.integers(0, 12), min_size=1, max_size=6))
def test_the_newest_keys_are_the_last_ones_that_were_queued(size: int, batches: list[int]) -> None:
    queue, pointer = torch.full((size, 1), -1.0), torch.zeros(1, dtype=torch.long)
    total = sum(batches)
    made = torch.arange(total, dtype=torch.float32)[:, None]
    for keys in made.split(batches):
        enqueue(queue, pointer, keys)
    for count in range(total + 1):
        expected = made[total - min(count, size) :]
        assert torch.equal(newest_keys(queue, pointer, count=count), expected)


def test_a_task_without_a_queue_is_refused_before_training() -> None:
    trainer = Trainer(accelerator='cpu', logger=False, enable_checkpointing=False)
    with pytest.raises(ValueError, match='needs a task with queue and queue_ptr'):
        CollapseMonitor().setup(trainer, LightningModule(), 'fit')


@pytest.mark.parametrize('minimum', [0.9, -1, float('nan')])
def test_a_minimum_that_no_rank_can_reach_is_refused(minimum: float) -> None:
    with pytest.raises(ValueError, match='minimum must be >= 1'):
        CollapseMonitor(minimum)
