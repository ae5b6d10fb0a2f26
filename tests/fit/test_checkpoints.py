"""Checkpoints of the command: whole or absent, also after a stop, and loadable by prediction."""

import errno
import multiprocessing
import os
import re
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torchgeo.tasks import SemanticSegmentation

from gersp_geo.main import main

type Moment = tuple[str, int, int]

SIDE = 160


@pytest.fixture
def sources(put: Callable[..., Path]) -> dict[str, object]:
    """One image and its mask, for epochs of 4 steps and 3 batches of validation."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(1, 255, (3, SIDE, SIDE), dtype=np.uint8)
    image = put('images/scene.tif', pixels)
    mask = put('masks/scene.tif', (pixels[0] > 127).astype(np.uint8))
    return {
        'data.images': image,
        'data.masks': mask,
        'data.length': 8,
        'trainer.max_epochs': 2,
        'trainer.num_sanity_val_steps': 0,
        # small, and with nothing to learn from so few steps
        'model.model': 'fcn',
        'model.num_filters': 4,
    }


# as the shipped configurations save
SAVER = {
    'trainer.callbacks+': 'lightning.pytorch.callbacks.ModelCheckpoint',
    'trainer.callbacks.dirpath': 'checkpoints',
    'trainer.callbacks.save_last': 'true',
    'trainer.callbacks.enable_version_counter': 'false',
}


class Watch:
    """Counts the steps of training and validation per epoch, and does something before one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[tuple[str, int]] = []
        self.moment: Moment | None = None
        self.act: Callable[[], object] = lambda: None
        for kind in ('training_step', 'validation_step', 'test_step'):
            monkeypatch.setattr(SemanticSegmentation, kind, self.wrap(kind))

    def wrap(self, kind: str) -> Callable[..., Any]:
        step = getattr(SemanticSegmentation, kind)

        def watched(task: SemanticSegmentation, batch: Any, batch_idx: int, *more: Any) -> Any:
            if self.moment == (kind, task.current_epoch, batch_idx):
                self.act()
            answer = step(task, batch, batch_idx, *more)
            self.done.append((kind, task.current_epoch))
            return answer

        return watched

    def count(self) -> dict[tuple[str, int], int]:
        counts = {one: self.done.count(one) for one in sorted(set(self.done))}
        self.done = []
        return counts


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    return Watch(monkeypatch)


def checkpoints(folder: Path) -> list[str]:
    """Names of all files in the folder of checkpoints, hidden ones too."""
    return sorted(path.name for path in folder.rglob('checkpoints/*'))


@pytest.mark.quick('moment0', 'moment3')
@pytest.mark.parametrize(
    ('number', 'moment', 'taken'),
    [
        # within an epoch, at its last step, within a validation, at its last batch
        (signal.SIGTERM, ('training_step', 0, 1), {('training_step', 0): 2}),
        (signal.SIGINT, ('training_step', 1, 3), {('training_step', 1): 4}),
        (signal.SIGTERM, ('validation_step', 0, 1), {('validation_step', 0): 2}),
        (signal.SIGINT, ('validation_step', 1, 2), {('validation_step', 1): 3}),
    ],
)
@pytest.mark.filterwarnings('ignore:You.re resuming from a checkpoint')
def test_a_stop_saves_says_how_to_go_on_and_every_step_is_taken_once(
    number: signal.Signals,
    moment: Moment,
    taken: dict[tuple[str, int], int],
    sources: dict[str, object],
    fit_segmentation: Callable[..., Any],
    watch: Watch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    handlers = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    watch.moment, watch.act = moment, lambda: os.kill(os.getpid(), number)
    with pytest.raises(SystemExit) as stop:
        fit_segmentation(sources)
    assert stop.value.code == 128 + number
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)] == handlers
    line = capfd.readouterr().err.splitlines()[-1]
    told, _, path = line.rpartition(' ')
    assert told == 'gersp-geo: stopped; go on with the same command and --ckpt_path'
    assert Path(path).parent == tmp_path / 'run' / 'checkpoints'
    before = watch.count()
    assert before | taken == before

    watch.moment = None
    assert fit_segmentation(sources | {'ckpt_path': path}).code == 0
    after = watch.count()
    for epoch in range(2):
        steps = [counts.get(('training_step', epoch), 0) for counts in (before, after)]
        assert sum(steps) == 4
        # whole, in one of both
        batches = [counts.get(('validation_step', epoch), 0) for counts in (before, after)]
        assert batches[1] == 3 or (batches[0] == 3 and epoch < moment[1])
    last = torch.load(next((tmp_path / 'run').rglob('epoch=1-step=8.ckpt')), weights_only=True)
    assert (last['epoch'], last['global_step']) == (1, 8)


def test_a_stop_replaces_the_last_checkpoint_of_a_shipped_configuration(
    sources: dict[str, object],
    fit_segmentation: Callable[..., Any],
    watch: Watch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    old = tmp_path / 'run' / 'checkpoints' / 'last.ckpt'
    old.parent.mkdir(parents=True)
    old.write_bytes(b'of another run')
    watch.moment, watch.act = ('training_step', 0, 0), lambda: os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(SystemExit):
        fit_segmentation(sources | SAVER)
    err = capfd.readouterr().err
    assert str(old) in err.splitlines()[-1]
    assert '`weights_only` was not set' not in err
    assert checkpoints(tmp_path) == ['last.ckpt']
    assert torch.load(old, weights_only=True)['global_step'] == 1


def test_the_end_names_the_checkpoint_of_the_best_validation(
    sources: dict[str, object], fit_segmentation: Callable[..., Any]
) -> None:
    # the first epoch is the best one
    best = {'trainer.callbacks.monitor': 'epoch', 'trainer.callbacks.mode': 'min'}
    run = fit_segmentation(sources | SAVER | best)
    assert run.code == 0, run.err
    assert re.search(r'(?m)^best checkpoint: .*epoch=0-step=4.ckpt \(epoch 0.000\)$', run.out)


def test_a_second_interrupt_stops_at_once_and_names_the_last_checkpoint(
    sources: dict[str, object],
    fit_segmentation: Callable[..., Any],
    watch: Watch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def interrupt_twice() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    watch.moment, watch.act = ('training_step', 1, 2), interrupt_twice
    with pytest.raises(SystemExit) as stop:
        fit_segmentation(sources | SAVER)
    assert stop.value.code == 130
    assert watch.count()['training_step', 1] == 2
    last = tmp_path / 'run' / 'checkpoints' / 'last.ckpt'
    assert f'--ckpt_path {last}\n' in capfd.readouterr().err
    assert torch.load(last, weights_only=True)['global_step'] == 4


def test_without_checkpoints_a_stop_says_that_nothing_was_saved(
    sources: dict[str, object],
    fit_segmentation: Callable[..., Any],
    watch: Watch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    watch.moment, watch.act = ('training_step', 0, 0), lambda: os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(SystemExit) as stop:
        fit_segmentation(sources | {'trainer.enable_checkpointing': 'false'})
    assert stop.value.code == 143
    told = 'gersp-geo: stopped; nothing was saved: the same command begins anew'
    assert capfd.readouterr().err.splitlines()[-1] == told
    assert not list(tmp_path.rglob('*.ckpt'))


def test_a_stop_that_reaches_the_readers_too_saves(
    sources: dict[str, object],
    fit_segmentation: Callable[..., Any],
    watch: Watch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def end_all() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        for reader in multiprocessing.active_children():
            reader.terminate()
            reader.join()

    children = signal.getsignal(signal.SIGCHLD)
    watch.moment, watch.act = ('training_step', 0, 1), end_all
    with pytest.raises(SystemExit) as stop:
        fit_segmentation(sources | {'data.num_workers': 1})
    assert stop.value.code == 143
    path = capfd.readouterr().err.splitlines()[-1].rpartition(' ')[2]
    assert torch.load(path, weights_only=True)['global_step'] == 2
    assert signal.getsignal(signal.SIGCHLD) is not signal.SIG_DFL or children is signal.SIG_DFL


@pytest.mark.parametrize('command', ['fit', 'validate', 'test'])
def test_a_signal_before_the_first_step_has_its_code_and_a_line(
    command: str,
    sources: dict[str, object],
    fit_segmentation: Callable[..., Any],
    watch: Watch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    number = signal.SIGTERM if command == 'validate' else signal.SIGINT
    # with fit, the sanity check
    kind = 'test_step' if command == 'test' else 'validation_step'
    watch.moment, watch.act = (kind, 0, 0), lambda: os.kill(os.getpid(), number)
    more = {'trainer.num_sanity_val_steps': 2, 'data.test_split': 0.2}
    with pytest.raises(SystemExit) as stop:
        fit_segmentation(sources | more, command=command)
    assert stop.value.code == 128 + number
    told = 'gersp-geo: stopped; the same command begins anew'
    assert capfd.readouterr().err.splitlines()[-1] == told


@pytest.mark.parametrize('saver', [{}, SAVER], ids=['plain', 'shipped'])
def test_a_full_disk_leaves_the_last_checkpoint_and_names_it(
    saver: dict[str, object],
    sources: dict[str, object],
    fit_segmentation: Callable[..., Any],
    watch: Watch,
    small_disk: Callable[[int], AbstractContextManager[None]],
    tmp_path: Path,
) -> None:
    with ExitStack() as disk:
        watch.moment = ('training_step', 1, 0)
        watch.act = lambda: disk.enter_context(small_disk(20_000))
        run = fit_segmentation(sources | saver)
    folder = tmp_path / 'run' / 'checkpoints'
    names = {'epoch=0-step=4.ckpt', *(['last.ckpt'] if saver else [])}
    assert set(checkpoints(tmp_path)) == names
    for name in names:
        assert torch.load(folder / name, weights_only=True)['global_step'] == 4
    last = folder / ('last.ckpt' if saver else 'epoch=0-step=4.ckpt')
    assert run.refusal == (
        f'cannot write {folder / "epoch=1-step=8.ckpt"}: File too large; the last complete checkpoint '
        f'is {last}, to go on from with --ckpt_path'
    )


def test_a_full_disk_in_pretraining_is_one_line(
    put: Callable[..., Path],
    fit_pretraining: Callable[..., Any],
    small_disk: Callable[[int], AbstractContextManager[None]],
    tmp_path: Path,
) -> None:
    pixels = np.random.default_rng(0).integers(1, 255, (3, 64, 64), dtype=np.uint8)
    source = put('images/scene.tif', pixels)
    with small_disk(20_000):
        run = fit_pretraining({'data.remote_sensing': source} | SAVER)
    assert run.refusal.endswith('File too large; no checkpoint was saved before')
    assert checkpoints(tmp_path) == []


def test_a_full_disk_below_a_log_names_the_last_checkpoint_too(
    sources: dict[str, object],
    fit_segmentation: Callable[..., Any],
    watch: Watch,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def fail(logger: CSVLogger) -> None:
        raise OSError(errno.ENOSPC, 'No space left on device', 'metrics.csv')

    logger = {
        'trainer.logger': 'lightning.pytorch.loggers.CSVLogger',
        'trainer.logger.save_dir': '.',
    }
    watch.moment = ('training_step', 1, 2)
    watch.act = lambda: monkeypatch.setattr(CSVLogger, 'save', fail)
    run = fit_segmentation(sources | SAVER | logger)
    last = tmp_path / 'run' / 'checkpoints' / 'last.ckpt'
    assert run.refusal == (
        "[Errno 28] No space left on device: 'metrics.csv'; the last complete checkpoint is "
        f'{last}, to go on from with --ckpt_path'
    )


def test_a_place_that_takes_no_checkpoints_is_refused_before_the_first_step(
    sources: dict[str, object], fit_segmentation: Callable[..., Any], watch: Watch, tmp_path: Path
) -> None:
    occupied = tmp_path / 'occupied'
    occupied.touch()
    where = {'trainer.callbacks.dirpath': occupied / 'checkpoints'}
    run = fit_segmentation(sources | SAVER | where)
    assert run.refusal == (
        f'checkpoints cannot be written to {occupied / "checkpoints"}: {occupied} is no folder; pass '
        'another dirpath'
    )
    assert watch.count() == {}


class Weighted(SemanticSegmentation):
    """A task that keeps what it derives from its arguments."""

    kept: object = None

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.hparams['kept'] = type(self).kept


@pytest.fixture
def weighted(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The option that chooses this task, of a module that the command can import."""
    module = ModuleType('own_tasks')
    module.Weighted = Weighted  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, 'own_tasks', module)
    monkeypatch.setattr(Weighted, '__module__', 'own_tasks')
    return {'model': 'own_tasks.Weighted'}


def test_numbers_of_numpy_in_a_task_are_plain_in_its_checkpoint_and_predict_opens_it(
    weighted: dict[str, object],
    sources: dict[str, object],
    fit_segmentation: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(Weighted, 'kept', np.array([0.25, 0.75]))
    run = fit_segmentation(sources | weighted | {'trainer.max_epochs': 1})
    assert run.checkpoint['hyper_parameters']['kept'] == [0.25, 0.75]
    (path,) = run.folder.rglob('*.ckpt')
    destination = tmp_path / 'map.tif'
    words = [
        str(path),
        str(sources['data.images']),
        '-o',
        str(destination),
        '--size',
        '64',
        '--overlap',
        '0',
    ]
    # its own class is outside this package, and would be asked for by name
    task = ['--task-class', 'torchgeo.tasks.SemanticSegmentation']
    assert main(['predict', *words, *task, '--no-progress']) == 0
    assert destination.exists()


def test_a_hyperparameter_that_needs_code_is_refused_before_the_first_step(
    weighted: dict[str, object],
    sources: dict[str, object],
    fit_segmentation: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    watch: Watch,
) -> None:
    monkeypatch.setattr(Weighted, 'kept', nn.ReLU())
    run = fit_segmentation(sources | weighted)
    assert run.refusal == (
        'Weighted: hyperparameter kept is of type torch.nn.modules.activation.ReLU, and a checkpoint '
        'with it could not be opened for prediction, which reads plain data and no code; leave it out, '
        "with save_hyperparameters(ignore=['kept'])"
    )
    assert watch.count() == {}
    assert not list(run.folder.rglob('*.ckpt'))


def test_a_checkpoint_of_weights_alone_carries_the_record(
    fit_segmentation: Callable[..., Any], put: Callable[..., Path]
) -> None:
    image = np.random.default_rng(0).integers(1, 255, (3, 64, 64), dtype=np.uint8)
    mask = np.repeat([0, 1], 32).astype(np.uint8) * np.ones((64, 1), dtype=np.uint8)
    run = fit_segmentation(
        {
            'data.images': put('image.tif', image),
            'data.masks': put('mask.tif', mask),
            'trainer.callbacks': 'lightning.pytorch.callbacks.ModelCheckpoint',
            'trainer.callbacks.save_weights_only': 'true',
        }
    )
    assert 'optimizer_states' not in run.checkpoint
    assert run.record['bands'] == ['red', 'green', 'blue']
