import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import timm
import torch
import yaml
from lightning.pytorch.strategies import DDPStrategy
from PIL import Image
from torchgeo.datamodules import BaseDataModule
from torchgeo.tasks import BaseTask

from gersp_geo import GeRSPDataModule, GeRSPTask
from gersp_geo.training import TrainingCLI, train_from_arguments

FOLDER = Path(__file__).parents[1] / 'configs' / 'pretrain'
FILES = sorted(FOLDER.glob('*.yaml'))


def instantiate(config: Path) -> TrainingCLI:
    """Build all that a file describes as ``fit`` does, on a CPU, and run nothing."""
    words = ['--config', str(config), '--trainer.accelerator', 'cpu', '--trainer.devices', '1']
    return TrainingCLI(
        model_class=BaseTask,
        datamodule_class=BaseDataModule,
        subclass_mode_model=True,
        subclass_mode_data=True,
        save_config_callback=None,
        run=False,
        args=words,
    )


@pytest.fixture(scope='module')
def built() -> dict[str, TrainingCLI]:
    """Every file, built once; read only."""
    with patch.dict(os.environ):
        return {path.stem: instantiate(path) for path in FILES}


def read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((FOLDER / f'{name}.yaml').read_text())
    return content


@pytest.mark.parametrize('name', [path.stem for path in FILES])
def test_every_value_of_a_file_arrives(name: str, built: dict[str, TrainingCLI]) -> None:
    task, data, given = built[name].model, built[name].datamodule, read(name)
    assert isinstance(task, GeRSPTask)
    assert isinstance(data, GeRSPDataModule)
    arguments = dict(given['model']['init_args'])
    assert task.weights == arguments.pop('weights', None)
    assert {argument: task.hparams[argument] for argument in arguments} == arguments
    wanted = given['data']['init_args']
    arrived = {argument: getattr(data, argument) for argument in wanted}
    plain = {k: list(v) if isinstance(v, tuple) else v for k, v in arrived.items()}
    assert plain == wanted
    assert built[name].trainer.max_epochs == given['trainer']['max_epochs']


def test_the_variants_are_what_paper_and_released_code_say(built: dict[str, TrainingCLI]) -> None:
    hparams = {name: built[name].model.hparams for name in ('paper', 'released')}
    variants = {k: (v['moco_momentum'], v['teacher_projector']) for k, v in hparams.items()}
    assert variants == {'paper': (0.996, 'ema'), 'released': (0.999, 'frozen')}


def test_the_variants_differ_in_the_teacher_alone() -> None:
    variants = []
    for name in ('paper', 'released'):
        given = read(name)
        for argument in ('moco_momentum', 'teacher_projector'):
            del given['model']['init_args'][argument]
        variants.append(yaml.safe_dump(given).replace(f'runs/{name}', 'runs'))
    assert variants[0] == variants[1]


@pytest.mark.parametrize('name', ['paper', 'released'])
def test_the_full_size_is_one_pass_over_imagenet_in_batches_of_256_pairs(
    name: str, built: dict[str, TrainingCLI]
) -> None:
    given, data = read(name)['trainer'], read(name)['data']['init_args']
    pairs = given['devices'] * data['batch_size']
    assert pairs == 256
    assert data['steps_per_epoch'] == 1_281_167 // pairs
    strategy = built[name].trainer.strategy
    assert isinstance(strategy, DDPStrategy)
    # Lightning shows what it passes to DistributedDataParallel nowhere else before a run
    assert given['strategy']['dict_kwargs'].items() <= vars(strategy)['_ddp_kwargs'].items()


def write_images(folder: Path, *, count: int) -> None:
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for i in range(count):
        pixels = generator.integers(0, 255, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f'{i}.png')


@pytest.fixture
def workfolder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with both streams, in which ``runs`` is written."""
    write_images(tmp_path / 'chips', count=8)
    for name in ('cat', 'dog'):
        write_images(tmp_path / 'natural' / name, count=4)
    monkeypatch.chdir(tmp_path)
    # the command sets variables for its own process
    with patch.dict(os.environ):
        yield tmp_path


def small(name: str, *words: str) -> list[str]:
    """Words that run a file on a CPU: two steps of four tiny images in an epoch."""
    return [
        'fit', '--config', str(FOLDER / f'{name}.yaml'),
        '--model.size', '32', '--model.hidden_dim', '16', '--model.num_classes', '2',
        '--model.memory_bank_size', '16',
        '--data.remote_sensing', 'chips', '--data.natural', 'natural', '--data.size', '32', '--data.natural_size', '32',
        '--data.batch_size', '4', '--data.num_workers', '0', '--data.steps_per_epoch', '2',
        '--trainer.accelerator', 'cpu', '--trainer.devices', '1', '--trainer.strategy', 'auto',
        '--trainer.enable_progress_bar', 'false', '--trainer.log_every_n_steps', '1', *words,
    ]  # fmt: skip


def test_each_folder_of_configurations_is_run_whole() -> None:
    # by test_data_configs, downstream, fit/test_finetuning_configs, and here
    folders = {path.name for path in FOLDER.parent.iterdir()}
    assert folders == {'data', 'downstream', 'finetune', 'pretrain'}


@pytest.mark.slow
@pytest.mark.parametrize('name', [path.stem for path in FILES])
def test_a_file_takes_two_steps_with_its_own_network(name: str, workfolder: Path) -> None:
    train_from_arguments(
        [*small(name), '--data.natural_batch_size', '4', '--trainer.max_epochs', '1']
    )
    for path in (workfolder / 'runs' / name / 'checkpoints').iterdir():
        assert torch.load(path, weights_only=True)['global_step'] == 2
    assert len(logged_rates(workfolder / 'runs')) == 2


def logged_rates(folder: Path) -> list[float]:
    """Learning rate of each step."""
    (file,) = folder.rglob('metrics.csv')
    with file.open() as lines:
        return [float(row['lr']) for row in csv.DictReader(lines) if row.get('lr')]


def test_adamw_warms_up_then_follows_a_cosine_and_leaves_the_teacher_alone(
    workfolder: Path,
) -> None:
    torch.manual_seed(0)
    start = timm.create_model('convnext_atto', num_classes=0).state_dict()
    torch.save(start, workfolder / 'start.pth')
    words = small(
        'adamw_warmup', '--model.model', 'convnext_atto', '--model.weights', 'start.pth',
        # a teacher that only an optimiser could move
        '--model.moco_momentum', '1.0', '--trainer.max_epochs', '4',
        '--lr_scheduler.total_steps', '4', '--lr_scheduler.pct_start', '0.5',
    )  # fmt: skip
    train_from_arguments(words)
    peak, floor = 1e-3, 1e-6
    epochs = [peak / 25, peak, (peak + floor) / 2, floor]
    assert logged_rates(workfolder / 'runs') == pytest.approx(np.repeat(epochs, 2))
    checkpoint = torch.load(next(workfolder.rglob('last.ckpt')), weights_only=True)
    (optimizer,) = checkpoint['optimizer_states']
    (group,) = optimizer['param_groups']
    assert group['weight_decay'] == 0.05
    assert group['betas'] == (0.9, 0.999)
    trained = checkpoint['state_dict']
    moved = {k for k in start if not torch.equal(trained[f'backbone.{k}'], start[k])}
    assert moved == set(start)
    assert all(torch.equal(trained[f'backbone_momentum.{k}'], v) for k, v in start.items())
    # one moving average for each parameter that has gradients, which those of the teacher have not
    students = [k for k in trained if 'momentum' not in k and not k.startswith('queue')]
    assert len(optimizer['state']) == len(students)


def test_a_full_size_file_keeps_every_epoch_and_resumes_within_one(workfolder: Path) -> None:
    words = small('released', '--model.model', 'convnext_atto', '--data.natural_batch_size', '4')
    # every 500 steps in the file
    every = ['--trainer.callbacks.every_n_train_steps', '3']
    train_from_arguments([*words, *every, '--trainer.max_epochs', '2'])
    folder = workfolder / 'runs' / 'released' / 'checkpoints'
    assert sorted(path.name for path in folder.iterdir()) == [
        'epoch=000.ckpt',
        'epoch=001.ckpt',
        'last.ckpt',
    ]
    middle = torch.load(folder / 'last.ckpt', weights_only=True)
    assert (middle['epoch'], middle['global_step']) == (1, 3)
    whole = torch.load(folder / 'epoch=001.ckpt', weights_only=True)
    (folder / 'epoch=001.ckpt').unlink()
    resume = ['--trainer.max_epochs', '2', '--ckpt_path', str(folder / 'last.ckpt')]
    train_from_arguments([*words, *every, *resume])
    again = torch.load(folder / 'epoch=001.ckpt', weights_only=True)
    assert again['global_step'] == whole['global_step'] == 4
    trained = whole['state_dict']
    assert all(torch.equal(again['state_dict'][name], trained[name]) for name in trained)
