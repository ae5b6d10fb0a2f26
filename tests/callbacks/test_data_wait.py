"""Laws of the time that training waits for data."""

import time
from collections.abc import Iterator

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader, IterableDataset

from gersp_geo.callbacks import DataWait


class Slow(IterableDataset[torch.Tensor]):
    """Six samples, each after some time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __iter__(self) -> Iterator[torch.Tensor]:
        for _ in range(6):
            time.sleep(self.seconds)
            yield torch.ones(1)


class Task(LightningModule):
    """Takes some time for each batch."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds, self.layer = seconds, torch.nn.Linear(1, 1)

    def training_step(self, batch: torch.Tensor) -> torch.Tensor:
        time.sleep(self.seconds)
        loss: torch.Tensor = self.layer(batch).sum()
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.parametrize('slow', ['loader', 'step'])
def test_the_share_is_that_of_the_loader(slow: str) -> None:
    loading, computing = (0.03, 0.0) if slow == 'loader' else (0.0, 0.03)
    trainer = Trainer(
        max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[DataWait()], accelerator='cpu',
    )  # fmt: skip
    trainer.fit(Task(computing), DataLoader(Slow(loading), batch_size=1))
    assert (float(trainer.callback_metrics['train_data_wait']) > 0.5) == (slow == 'loader')
    assert not {'start', 'stop'} & set(vars(trainer.profiler))  # type: ignore[attr-defined]
