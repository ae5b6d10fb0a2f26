"""Laws of the lines that a training writes to a log."""

import re

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from torch.utils.data import DataLoader, TensorDataset

from gersp_geo.callbacks import EpochLines


class Task(LightningModule):
    """Logs a loss of each batch, and one of each validation."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        loss: torch.Tensor = self.layer(batch[0]).square().sum()
        self.log('train_loss', loss)
        self.log('train_other', loss)
        return loss

    def validation_step(self, batch: list[torch.Tensor]) -> None:
        self.log('val_loss', batch[0].sum() + self.current_epoch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(*, seconds: float, bar: bool) -> None:
    loader: DataLoader[tuple[torch.Tensor, ...]] = DataLoader(
        TensorDataset(torch.ones(3, 1)), batch_size=1
    )
    trainer = Trainer(
        max_epochs=3, check_val_every_n_epoch=2, logger=False, enable_checkpointing=False,
        enable_progress_bar=bar, enable_model_summary=False, accelerator='cpu',
        callbacks=[EpochLines(seconds), *([RichProgressBar()] if bar else [])],
    )  # fmt: skip
    trainer.fit(Task(), loader, loader)


def test_each_epoch_has_a_line_with_the_losses_that_are_new(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fit(seconds=1e9, bar=True)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith('epoch')]
    value = r'train_loss \S+'
    for number, line in enumerate(lines, start=1):
        # validation is in the second epoch alone
        new = ', val_loss 2' if number == 2 else ''
        assert re.fullmatch(rf'epoch {number} of 3, \d+ s: {value}{new}', line)
    assert len(lines) == 3


def test_a_long_epoch_has_lines_between(capsys: pytest.CaptureFixture[str]) -> None:
    fit(seconds=0, bar=True)
    out = capsys.readouterr().err
    assert all(f'epoch 2 of 3, batch {batch} of 3, ' in out for batch in (1, 2, 3))


def test_a_terminal_and_a_run_without_a_bar_get_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(seconds=0, bar=False)
    assert 'of 3' not in capsys.readouterr().err
    # what rich takes for a terminal
    monkeypatch.setenv('FORCE_COLOR', '1')
    fit(seconds=0, bar=True)
    assert 'epoch 1 of 3' not in capsys.readouterr().err
