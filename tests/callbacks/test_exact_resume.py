"""Runs that are killed and resumed end as if nothing had happened, bit for bit."""

import multiprocessing
import os
import random
import resource
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from gersp_geo import GeRSPDataModule, GeRSPTask
from gersp_geo.callbacks.exact_resume import ExactResume
from gersp_geo.callbacks.random_states import read_states, seed_states, write_states

# an epoch of 12 steps, so that 40 steps cross three ends of epochs; 20 natural images, of which
# each step takes 3, so that their stream wraps within epochs
STEPS, PAIRS, STEPS_PER_EPOCH, NATURAL, SIDE = 40, 4, 12, 20, 32

CONTEXT = multiprocessing.get_context('forkserver')


@pytest.fixture(scope='module')
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('images')
    generator = np.random.default_rng(0)

    def write(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)

    for i in range(PAIRS * STEPS_PER_EPOCH):
        write(folder / 'remote' / f'{i}.png')
    for i in range(NATURAL):
        write(folder / 'natural' / f'class_{i % 2}' / f'{i}.png')
    return folder


class Accident(Callback):
    """Something that happens to this process when it is about to take a step."""

    def __init__(self, kind: str, step: int, *, batch_idx: int | None = None) -> None:
        self.kind = kind
        self.step = step
        self.batch_idx = batch_idx

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step != self.step or self.batch_idx not in (None, batch_idx):
            return
        if self.kind == 'kill while saving':
            # the kernel kills whoever writes further than this: half a checkpoint stays
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        elif self.kind == 'kill':
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.kind == 'terminate':
            os.kill(os.getpid(), signal.SIGTERM)


class Draws(Callback):
    """Draws random numbers between steps, as pictures and validation may."""

    def on_train_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        for _ in range(trainer.global_step % 3):
            torch.rand(1)
            np.random.rand()
            random.random()


def train(
    images: Path, folder: Path, every: int, accident: Accident | None, accumulated: int = 1
) -> None:
    torch.set_num_threads(1)
    # a child of a fork server would start one more of them for its workers
    multiprocessing.set_start_method('fork', force=True)
    seed_everything(0, verbose=False)
    task = GeRSPTask(
        model='test_resnet',  # timm's smallest with BatchNorm, since each run saves many times
        hidden_dim=16,
        output_dim=8,
        memory_bank_size=18,  # which 4 keys do not divide
        num_classes=2,
        size=SIDE,
        restart_period=2,
    )
    data = GeRSPDataModule(
        str(images / 'remote'),
        str(images / 'natural'),
        size=SIDE,
        batch_size=PAIRS,
        natural_batch_size=3,
        num_workers=2,
    )
    checkpoints = ModelCheckpoint(
        folder, every_n_train_steps=every, save_last=True, save_on_exception=True
    )
    trainer = Trainer(
        max_steps=STEPS // accumulated,
        accelerator='cpu',
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accumulate_grad_batches=accumulated,
        callbacks=[checkpoints, *([accident, Draws()] if accident else [])],
    )
    last = folder / 'last.ckpt'
    trainer.fit(task, datamodule=data, ckpt_path=last if last.exists() else None)
    trainer.save_checkpoint(folder / 'final.ckpt')


def run(
    images: Path, folder: Path, every: int, accident: Accident | None = None, accumulated: int = 1
) -> int | None:
    """Train in a process of its own; its exit code, or minus the signal that ended it."""
    process = CONTEXT.Process(target=train, args=(images, folder, every, accident, accumulated))
    process.start()
    process.join(timeout=300)
    process.kill()
    return process.exitcode


def final_checkpoint(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = torch.load(folder / 'final.ckpt', weights_only=True)
    parts = ('global_step', 'epoch', 'state_dict', 'optimizer_states', 'lr_schedulers')
    # what is drawn between steps is not the same, see Draws
    states = {name: x for name, x in loaded['random_states'].items() if name.startswith('within')}
    return {part: loaded[part] for part in parts} | {'random_states': states}


@pytest.fixture(scope='module')
def uninterrupted(images: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp('uninterrupted')
    assert run(images, folder, 5) == 0
    return final_checkpoint(folder)


def assert_equal_bit_for_bit(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert first['global_step'] == second['global_step']
    torch.testing.assert_close(first, second, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    ('kind', 'steps', 'every', 'ending'),
    [
        ('kill', [17], 5, -signal.SIGKILL),
        # the kernel ends the process that writes its second checkpoint, at step 10
        ('kill while saving', [7], 5, -signal.SIGXFSZ),
        ('terminate', [17], 5, 0),
        # at a checkpoint; with a checkpoint at the end of an epoch; before the first of an epoch
        pytest.param('kill', [5], 5, -signal.SIGKILL, marks=pytest.mark.slow),
        pytest.param('kill', [12], 6, -signal.SIGKILL, marks=pytest.mark.slow),
        pytest.param('kill', [12], 5, -signal.SIGKILL, marks=pytest.mark.slow),
        pytest.param(
            'kill', [6, 11, 23, 24, 25, 36, 39], 1, -signal.SIGKILL, marks=pytest.mark.slow
        ),
        pytest.param('kill while saving', [10, 23], 6, -signal.SIGXFSZ, marks=pytest.mark.slow),
        pytest.param('terminate', [11], 5, 0, marks=pytest.mark.slow),
        pytest.param('terminate', [12], 5, 0, marks=pytest.mark.slow),
        pytest.param('terminate', [29], 5, 0, marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_ends_like_an_uninterrupted_one(
    kind: str,
    steps: list[int],
    every: int,
    ending: int,
    images: Path,
    uninterrupted: dict[str, Any],
    tmp_path: Path,
) -> None:
    for step in steps:
        assert run(images, tmp_path, every, Accident(kind, step)) == ending
        assert not (tmp_path / 'final.ckpt').exists()
    assert run(images, tmp_path, every) == 0
    assert_equal_bit_for_bit(final_checkpoint(tmp_path), uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize('batch_idx', range(8))
def test_gradients_that_accumulate_survive_a_stop(
    batch_idx: int, images: Path, tmp_path: Path
) -> None:
    straight, stopped = tmp_path / 'straight', tmp_path / 'stopped'
    assert run(images, straight, 5, accumulated=4) == 0
    accident = Accident('terminate', batch_idx // 4, batch_idx=batch_idx)
    assert run(images, stopped, 5, accident, accumulated=4) == 0
    assert not (stopped / 'final.ckpt').exists()
    assert run(images, stopped, 5, accumulated=4) == 0
    assert_equal_bit_for_bit(final_checkpoint(stopped), final_checkpoint(straight))


def test_a_refused_resume_leaves_the_checkpoint_as_it_was(images: Path, tmp_path: Path) -> None:
    assert run(images, tmp_path, 5, Accident('kill', 7)) == -signal.SIGKILL
    before = (tmp_path / 'last.ckpt').read_bytes()
    data = GeRSPDataModule(str(images / 'remote'), size=SIDE, batch_size=PAIRS, seed=3)
    checkpoints = ModelCheckpoint(tmp_path, save_last=True, save_on_exception=True)
    trainer = Trainer(
        max_steps=9,
        accelerator='cpu',
        logger=False,
        enable_progress_bar=False,
        callbacks=checkpoints,
    )
    task = GeRSPTask(
        model='test_resnet',
        hidden_dim=16,
        output_dim=8,
        memory_bank_size=18,
        num_classes=2,
        size=SIDE,
    )
    with pytest.raises(ValueError, match='made with natural_batch_size=3, this run has None'):
        trainer.fit(task, datamodule=data, ckpt_path=tmp_path / 'last.ckpt')
    assert (tmp_path / 'last.ckpt').read_bytes() == before


def test_a_checkpoint_of_other_processes_is_said_to_draw_anew() -> None:
    states = {f'within {name}': x[None] for name, x in read_states(torch.device('cpu')).items()}
    two = {name: torch.cat([rows, rows]) for name, rows in states.items()}
    callback, trainer = ExactResume(), Trainer(logger=False, accelerator='cpu')
    task = GeRSPTask(model='test_resnet')
    for saved, count in ((two, 2), ({}, 0)):
        message = f'the random states of {count} processes, this run has 1'
        with pytest.warns(UserWarning, match=message):
            callback.on_load_checkpoint(trainer, task, {'random_states': saved})
        assert callback.within == {}


class Drawing(Dataset[Tensor]):
    """Items that are drawn where they are read, from the generators of the main process."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> Tensor:
        return torch.tensor([torch.rand(()).item(), np.random.rand(), random.random()])


class Noting(LightningModule):
    """A module whose steps draw as well, and note what they saw."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 1)
        self.seen: list[Tensor] = []
        self.drawn: list[Tensor] = []

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        self.seen += batch
        self.drawn.append(torch.rand(3))
        loss: Tensor = self.layer(batch).sum()
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def note(*callbacks: Callback) -> Noting:
    seed_everything(3, verbose=False)
    module = Noting()
    trainer = Trainer(
        max_epochs=2,
        accelerator='cpu',
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
    )
    trainer.fit(module, DataLoader(Drawing(), batch_size=2))
    return module


def test_neither_steps_nor_what_is_between_them_repeat_a_draw() -> None:
    module = note(ExactResume())
    for draws in (torch.stack(module.seen).flatten(), torch.cat(module.drawn)):
        assert len(draws.unique()) == len(draws)
    both = torch.cat([torch.stack(module.seen).flatten(), torch.cat(module.drawn)])
    assert len(both.unique()) == len(both)


def test_draws_between_steps_change_no_draw_of_a_step() -> None:
    plain, disturbed = note(ExactResume()), note(ExactResume(), Draws())
    assert torch.equal(torch.cat(plain.drawn), torch.cat(disturbed.drawn))
    assert not torch.equal(torch.stack(plain.seen), torch.stack(disturbed.seen))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs the generator of a GPU')
def test_the_generator_of_a_gpu_is_read_and_written() -> None:
    device = torch.device('cuda')
    states = read_states(device)
    drawn = torch.rand(3, device=device)
    write_states(states)
    assert torch.equal(torch.rand(3, device=device), drawn)
    assert not torch.equal(seed_states(1, device=device)['cuda'], states['cuda'])


def test_a_callback_that_is_used_again_starts_over() -> None:
    callback = ExactResume()
    first, second = note(callback), note(callback)
    assert torch.equal(torch.cat(first.drawn), torch.cat(second.drawn))
