"""Two processes under a real Trainer (gloo): one model, one queue, draws of their own."""

import multiprocessing
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.strategies import DDPStrategy
from PIL import Image
from torch import Tensor

from gersp_geo import GeRSPDataModule, GeRSPTask

PROCESSES, PAIRS, STEPS, SIDE = 2, 2, 7, 32

CONTEXT = multiprocessing.get_context('forkserver')


@pytest.fixture(scope='module')
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('images')
    generator = np.random.default_rng(0)
    for i in range(12):
        for path in (folder / 'remote', folder / 'natural' / f'class_{i % 2}'):
            path.mkdir(parents=True, exist_ok=True)
            pixels = generator.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path / f'{i}.png')
    return folder


class Noting(GeRSPTask):
    """Notes from which random state each step draws its views, and what it gets."""

    def configure_models(self) -> None:
        super().configure_models()
        self.states: list[Tensor] = []
        self.views: list[Tensor] = []

    def two_views(self, images: Tensor) -> tuple[Tensor, Tensor]:
        self.states.append(torch.get_rng_state())
        query, key = super().two_views(images)
        self.views.append(query.clone())
        return query, key


def train(
    rank: int, port: int, images: Path, folder: Path, name: str, steps: int, seeds: Sequence[int]
) -> None:
    os.environ |= {
        'MASTER_ADDR': '127.0.0.1',
        'MASTER_PORT': str(port),
        'WORLD_SIZE': str(PROCESSES),
        'NODE_RANK': '0',
        'LOCAL_RANK': str(rank),
    }
    torch.set_num_threads(1)
    torch.manual_seed(seeds[rank])
    task = Noting(
        model='test_resnet',
        hidden_dim=8,
        output_dim=8,
        memory_bank_size=30,
        num_classes=2,
        size=SIDE,
    )
    data = GeRSPDataModule(
        str(images / 'remote'), str(images / 'natural'), size=SIDE, batch_size=PAIRS
    )
    trainer = Trainer(
        max_steps=steps,
        accelerator='cpu',
        devices=PROCESSES,
        strategy=DDPStrategy(process_group_backend='gloo', broadcast_buffers=False),
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[ModelCheckpoint(folder, every_n_train_steps=5, save_last=True)],
    )
    last = folder / 'last.ckpt'
    trainer.fit(task, datamodule=data, ckpt_path=last if last.exists() else None)
    result = {'state': task.state_dict(), 'views': task.views, 'states': task.states}
    torch.save(result, folder / f'{name}-{rank}.pt')


def run(
    images: Path, folder: Path, name: str, *, steps: int, seeds: Sequence[int] = (0, 0)
) -> list[dict[str, Any]]:
    folder.mkdir(exist_ok=True)
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    arguments = (port, images, folder, name, steps, seeds)
    started = [CONTEXT.Process(target=train, args=(r, *arguments)) for r in range(PROCESSES)]
    for process in started:
        process.start()
    for process in started:
        process.join(timeout=120)
        process.kill()
    assert [process.exitcode for process in started] == [0] * PROCESSES
    paths = [folder / f'{name}-{rank}.pt' for rank in range(PROCESSES)]
    return [torch.load(path, weights_only=True) for path in paths]


@pytest.fixture(scope='module')
def straight(images: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return run(images, tmp_path_factory.mktemp('straight'), 'run', steps=STEPS)


def test_weights_and_queue_are_the_same_in_every_process(images: Path, tmp_path: Path) -> None:
    # as where nobody gives a seed
    results = run(images, tmp_path, 'unseeded', steps=2, seeds=(0, 1))
    first, second = (result['state'] for result in results)
    # BatchNorm's statistics are those of each process
    names = [name for name in first if 'running' not in name]
    assert {'queue', 'queue_ptr'} <= set(names)
    for name in names:
        assert torch.equal(first[name], second[name]), name


def test_each_process_draws_for_itself_under_one_seed(straight: list[dict[str, Any]]) -> None:
    for first, second in zip(*(result['states'] for result in straight), strict=True):
        assert not torch.equal(first, second)


def test_a_resumed_run_of_two_processes_takes_the_same_steps(
    images: Path, tmp_path: Path, straight: list[dict[str, Any]]
) -> None:
    run(images, tmp_path, 'stopped', steps=5)
    resumed = run(images, tmp_path, 'resumed', steps=STEPS)
    for rank in range(PROCESSES):
        views = straight[rank]['views'][5:]
        assert len(views) == len(resumed[rank]['views']) == STEPS - 5
        for view, again in zip(views, resumed[rank]['views'], strict=True):
            assert torch.equal(view, again)
    # of the second process too, but for its BatchNorm statistics: those of the first are saved
    for name, value in straight[0]['state'].items():
        assert torch.equal(value, resumed[0]['state'][name]), name
