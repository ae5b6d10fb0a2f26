"""Steps per second of one process with one thread, and of two with one thread each.

gersp-geo sample-data sample-data
python benchmarks/processes.py sample-data --rounds 2
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.strategies import DDPStrategy

from gersp_geo import GeRSPDataModule, GeRSPTask

WARM_UP, STEPS, PAIRS, SIDE = 3, 20, 32, 64


class Clock(Callback):
    """Notes when each step has ended."""

    def __init__(self) -> None:
        """Initialize a new Clock instance."""
        self.ends: list[float] = []

    def on_train_batch_end(self, *arguments: Any, **more: Any) -> None:
        """Note the time."""
        self.ends.append(time.perf_counter())


def train(folder: Path) -> None:
    """Train for some steps, as torchrun asks; the first process prints its steps per second."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    processes, clock = int(os.environ['WORLD_SIZE']), Clock()
    task = GeRSPTask(
        model='resnet18', size=SIDE, num_classes=8, memory_bank_size=1024, moco_momentum=0.99
    )
    data = GeRSPDataModule(
        str(folder / 'scenes'),
        str(folder / 'natural'),
        size=SIDE,
        batch_size=PAIRS,
        steps_per_epoch=WARM_UP + STEPS,
    )
    trainer = Trainer(
        max_steps=WARM_UP + STEPS,
        accelerator='cpu',
        devices=processes,
        strategy=DDPStrategy(process_group_backend='gloo', broadcast_buffers=False),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[clock],
    )
    trainer.fit(task, datamodule=data)
    if trainer.is_global_zero:
        rate = STEPS / (clock.ends[-1] - clock.ends[WARM_UP - 1])
        print(f'processes={processes} steps/s={rate:.3f} pairs/s={rate * PAIRS * processes:.1f}')


def main() -> None:
    folder = Path(sys.argv[1])
    if 'WORLD_SIZE' in os.environ:
        train(folder)
        return
    rounds = int(sys.argv[sys.argv.index('--rounds') + 1]) if '--rounds' in sys.argv else 2
    for processes in (1, 2) * rounds:
        words = ['--standalone', '--nproc-per-node', str(processes), __file__, str(folder)]
        done = subprocess.run(
            [sys.executable, '-m', 'torch.distributed.run', *words],
            env=os.environ | {'OMP_NUM_THREADS': '1'},
            capture_output=True,
            text=True,
            check=True,
        )
        print(*(line for line in done.stdout.splitlines() if 'steps/s' in line), flush=True)


if __name__ == '__main__':
    main()
