"""The command under torchrun and under SLURM: several processes (gloo) on the loopback device."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed

from gersp_geo.distributed import meet_anew

RECIPE = """
seed_everything: 0
model:
  class_path: gersp_geo.tasks.GeRSPTask
  init_args:
    model: {model}
    size: 32
    hidden_dim: 16
    output_dim: 8
    num_classes: 8
    memory_bank_size: 30
    augmentation1: {{class_path: torch.nn.{views}}}
    augmentation_natural: {{class_path: torch.nn.{views}}}
data:
  class_path: gersp_geo.datamodules.GeRSPDataModule
  init_args:
    remote_sensing: {data}/scenes
    natural: {data}/natural
    size: 32
    batch_size: 4
trainer:
  max_steps: 5
  accelerator: cpu
  log_every_n_steps: 1
  enable_progress_bar: false
  enable_model_summary: false
  logger:
    class_path: lightning.pytorch.loggers.CSVLogger
    init_args: {{save_dir: run}}
  callbacks:
    - class_path: lightning.pytorch.callbacks.ModelCheckpoint
      init_args:
        dirpath: run
        every_n_train_steps: {every}
        save_top_k: 0
        save_last: true
        save_on_exception: true
        enable_version_counter: false
    - class_path: watching.Watching
"""

# Notes the losses of each process, and ends one of them in the first attempt where it is told to
WATCHING = """
import os
import signal

import torch
from lightning.pytorch import Callback


class Watching(Callback):
    def __init__(self):
        self.losses = []

    def on_train_batch_start(self, trainer, task, batch, batch_idx):
        first = os.environ.get('TORCHELASTIC_RESTART_COUNT') == '0'
        if first and os.environ.get('KILLED') == f'{trainer.global_rank} {trainer.global_step}':
            os.kill(os.getpid(), signal.SIGKILL)

    def on_train_batch_end(self, trainer, task, outputs, batch, batch_idx):
        self.losses.append(outputs['loss'].detach())

    def on_train_end(self, trainer, task):
        torch.save(torch.stack(self.losses), f'losses-{trainer.global_rank}.pt')
"""


def prepare(
    folder: Path, data: Path, *, model: str, views: str = 'Identity', every: int = 1
) -> None:
    folder.mkdir(exist_ok=True)
    (folder / 'watching.py').write_text(WATCHING)
    recipe = RECIPE.format(model=model, views=views, data=data, every=every)
    if views != 'Identity':
        recipe = '\n'.join(line for line in recipe.splitlines() if 'augmentation' not in line)
    (folder / 'recipe.yaml').write_text(recipe)


def start(
    folder: Path, launcher: list[str], *words: str, **variables: str
) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        *launcher,
        '-m',
        'gersp_geo.main',
        'fit',
        '-c',
        'recipe.yaml',
        *words,
    ]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | {'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(folder)} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def end(process: subprocess.Popen[str]) -> str:
    try:
        text, _ = process.communicate(timeout=400)
    finally:
        process.kill()
    assert process.returncode == 0, text[-4000:]
    return text


def torchrun(folder: Path, *words: str, restarts: int = 0, **variables: str) -> str:
    launcher = ['-m', 'torch.distributed.run', '--nproc-per-node=2', f'--max-restarts={restarts}']
    return end(start(folder, launcher, '--trainer.devices=2', *words, **variables))


def read(folder: Path) -> dict[str, Any]:
    saved: dict[str, Any] = torch.load(folder / 'run' / 'last.ckpt', weights_only=True)
    return saved


def assert_equals_one_process(folder: Path, alone: Path) -> None:
    losses = [torch.load(folder / f'losses-{rank}.pt', weights_only=True) for rank in (0, 1)]
    expected = torch.load(alone / 'losses-0.pt', weights_only=True)
    assert expected.dtype == torch.float64
    assert len(expected) == 5
    mean = torch.stack(losses).mean(dim=0)
    torch.testing.assert_close(mean, expected, rtol=1e-9, atol=0)
    torch.testing.assert_close(
        read(folder)['state_dict'], read(alone)['state_dict'], rtol=1e-9, atol=1e-9
    )


@pytest.mark.slow
def test_two_processes_of_torchrun_and_of_slurm_train_like_one_with_both_batches(
    sample_data: Path, tmp_path: Path
) -> None:
    # without batch statistics, and without draws, which are each process's own
    for name in ('alone', 'torchrun', 'slurm'):
        prepare(tmp_path / name, sample_data, model='convnext_atto')
    double = '--trainer.precision=64-true'
    end(start(tmp_path / 'alone', [], double, '--trainer.devices=1', '--data.batch_size=8'))
    torchrun(tmp_path / 'torchrun', double)
    assert_equals_one_process(tmp_path / 'torchrun', tmp_path / 'alone')
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    # as srun sets them, on one machine that counts as two
    tasks = [
        start(
            tmp_path / 'slurm',
            [],
            double,
            '--trainer.devices=1',
            '--trainer.num_nodes=2',
            MASTER_ADDR='127.0.0.1',
            MASTER_PORT=port,
            SLURM_JOB_ID='1',
            SLURM_JOB_NAME='pretrain',
            SLURM_NTASKS='2',
            SLURM_NTASKS_PER_NODE='1',
            SLURM_NNODES='2',
            SLURM_PROCID=str(rank),
            SLURM_NODEID=str(rank),
            SLURM_LOCALID='0',
        )
        for rank in range(2)
    ]
    texts = [end(task) for task in tasks]
    assert_equals_one_process(tmp_path / 'slurm', tmp_path / 'alone')
    # one of them talks
    assert sum('last checkpoint: ' in text for text in texts) == 1


@pytest.mark.slow
@pytest.mark.parametrize('rank', [0, 1])
def test_a_killed_process_is_restarted_and_the_run_ends_as_if_nothing_had_happened(
    rank: int, sample_data: Path, tmp_path: Path
) -> None:
    last = '--ckpt_path=last'
    for name in ('straight', 'killed'):
        prepare(tmp_path / name, sample_data, model='convnext_atto', views='drawn', every=2)
    six = '--trainer.max_steps=6'
    torchrun(tmp_path / 'straight', six, last)
    # the checkpoint is of 2 steps, the third is lost
    text = torchrun(tmp_path / 'killed', six, last, restarts=1, KILLED=f'{rank} 3')
    assert 'Restored all states' in text
    assert len(torch.load(tmp_path / 'killed' / 'losses-0.pt', weights_only=True)) == 4
    straight, killed = (read(tmp_path / name) for name in ('straight', 'killed'))
    assert straight['global_step'] == killed['global_step'] == 6
    for name, value in straight['state_dict'].items():
        assert torch.equal(value, killed['state_dict'][name]), name


def test_restarted_processes_agree_on_a_new_place() -> None:
    store = distributed.TCPStore('localhost', 0, is_master=True)  # type: ignore[attr-defined]
    attempts = []
    for attempt in ('0', '1', '2'):
        environments = [
            {
                'MASTER_ADDR': 'localhost',
                'MASTER_PORT': str(store.port),
                'TORCHELASTIC_USE_AGENT_STORE': 'True',
                'TORCHELASTIC_RESTART_COUNT': attempt,
                'RANK': str(rank),
            }
            for rank in range(2)
        ]
        for environment in environments:
            meet_anew(environment)
        first, second = environments
        assert first | {'RANK': '1'} == second
        attempts.append(first)
    assert attempts[0]['MASTER_PORT'] == str(store.port)
    assert attempts[0]['TORCHELASTIC_USE_AGENT_STORE'] == 'True'
    for later in attempts[1:]:
        # where torch would otherwise go on with the addresses of dead processes
        assert later['MASTER_PORT'] != str(store.port)
        assert later['TORCHELASTIC_USE_AGENT_STORE'] == 'False'


def test_processes_that_nobody_restarts_meet_where_they_are_told() -> None:
    environment = {'MASTER_ADDR': 'localhost', 'MASTER_PORT': '1', 'RANK': '0'}
    meet_anew(environment)
    assert environment['MASTER_PORT'] == '1'
