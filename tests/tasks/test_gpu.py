"""Pre-training on a GPU; ``GERSP_GEO_TEST_DEVICE=cpu`` tries these tests without one."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer, seed_everything

from gersp_geo import GeRSPDataModule, GeRSPTask
from gersp_geo.callbacks import PreprocessingRecord

DEVICE = os.environ.get('GERSP_GEO_TEST_DEVICE', 'cuda')
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        DEVICE == 'cuda' and not torch.cuda.is_available(), reason='needs a GPU of CUDA'
    ),
]


def train(
    data: Path, folder: Path, *, epochs: int = 1, resume: Path | None = None, **given: Any
) -> tuple[GeRSPTask, Path]:
    """Pre-train for two steps an epoch; the task and its checkpoint."""
    seed_everything(0, verbose=False)
    task = GeRSPTask(model='resnet18', size=64, num_classes=8, memory_bank_size=64)
    module = GeRSPDataModule(
        str(data / 'scenes'), str(data / 'natural'), size=64, batch_size=8, steps_per_epoch=2
    )
    trainer = Trainer(
        accelerator='gpu' if DEVICE == 'cuda' else DEVICE, devices=1, max_epochs=epochs,
        logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=folder, callbacks=[PreprocessingRecord()],
        **given,
    )  # fmt: skip
    trainer.fit(task, datamodule=module, ckpt_path=resume)
    assert trainer.global_step == 2 * epochs
    assert torch.isfinite(trainer.callback_metrics['train_loss'])
    path = folder / f'after-{epochs}.ckpt'
    trainer.save_checkpoint(path)
    return task.cpu(), path


@pytest.mark.parametrize('precision', ['32-true', 'bf16-mixed'])
def test_steps_have_a_finite_loss(precision: Any, sample_data: Path, tmp_path: Path) -> None:
    task, _ = train(sample_data, tmp_path, precision=precision)
    assert all(weights.isfinite().all() for weights in task.parameters())


def test_a_run_that_goes_on_ends_as_if_it_had_not_stopped(
    sample_data: Path, tmp_path: Path
) -> None:
    given: dict[str, Any] = {'deterministic': 'warn'}
    try:
        whole, _ = train(sample_data, tmp_path, epochs=2, **given)
        _, path = train(sample_data, tmp_path, epochs=1, **given)
        second, _ = train(sample_data, tmp_path, epochs=2, resume=path, **given)
    finally:
        # Lightning leaves it set
        torch.use_deterministic_algorithms(False)
    torch.testing.assert_close(second.state_dict(), whole.state_dict(), rtol=0, atol=1e-5)
