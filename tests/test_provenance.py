"""Version, commit, configuration and data: what made a file."""

import json
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer

from gersp_geo import GeRSPDataModule, GeRSPTask, __version__, export_backbone, provenance
from gersp_geo.callbacks import PreprocessingRecord
from gersp_geo.models.backbone_weights import read_checkpoint
from gersp_geo.provenance import TRAINING_KEY, configuration, name_source, software


def git(folder: Path, *words: str) -> str:
    identity = ('-c', 'user.name=n', '-c', 'user.email=e@example.org', '-c', 'commit.gpgsign=false')
    command = ['git', '-C', str(folder), *identity, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package elsewhere, and not installed."""

    def nowhere(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    (tmp_path / 'gersp_geo').mkdir()
    monkeypatch.setattr(provenance, '__file__', str(tmp_path / 'gersp_geo' / 'provenance.py'))
    monkeypatch.setattr(metadata, 'distribution', nowhere)
    for name in ('GIT_DIR', 'GIT_WORK_TREE', 'GIT_INDEX_FILE'):
        monkeypatch.delenv(name, raising=False)
    software.cache_clear()
    yield tmp_path
    software.cache_clear()


def test_without_clone_and_installation_only_the_version_is_known(place: Path) -> None:
    assert software() == {'gersp_geo': __version__}


def test_a_clone_tells_its_commit_and_whether_files_have_changed(place: Path) -> None:
    git(place, 'init', '-q')
    (place / 'a.txt').write_text('a')
    git(place, 'add', 'a.txt')
    git(place, 'commit', '-q', '-m', 'a')
    commit = git(place, 'rev-parse', 'HEAD')
    git(place, 'tag', 'v1')
    assert software() == {'gersp_geo': __version__, 'commit': commit}
    software.cache_clear()
    (place / 'a.txt').write_text('b')
    assert software()['commit'] == f'{commit}-dirty'


def test_a_clone_without_a_commit_or_git_says_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(place, 'init', '-q')
    assert 'commit' not in software()
    software.cache_clear()
    monkeypatch.setenv('PATH', str(place))
    assert 'commit' not in software()


@pytest.mark.parametrize(
    ('written', 'commit'),
    [
        (
            {'url': 'https://example.org', 'vcs_info': {'vcs': 'git', 'commit_id': 'f' * 40}},
            'f' * 40,
        ),
        ({'url': 'file:///somewhere', 'dir_info': {'editable': True}}, None),
        (None, None),
    ],
)
def test_an_installation_tells_the_commit_it_was_made_from(
    written: dict[str, Any] | None, commit: str | None, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as pip writes it, PEP 610
    folder = place / 'gersp_geo-0.1.0.dist-info'
    folder.mkdir()
    if written is not None:
        (folder / 'direct_url.json').write_text(json.dumps(written))
    monkeypatch.setattr(metadata, 'distribution', lambda name: metadata.PathDistribution(folder))
    assert software().get('commit') == commit


def test_the_configuration_is_read_from_a_checkpoint() -> None:
    found = configuration(
        {
            'epoch': 3,
            'global_step': 400,
            'hyper_parameters': {'model': 'resnet18', 'rgb_bands': (0, 1, 2), 'lr': 0.1},
            TRAINING_KEY: {'gersp_geo': '0.1.0', 'commit': 'f' * 40, 'data': '{}'},
        }
    )
    assert json.loads(found.pop('config')) == {
        'model': 'resnet18', 'rgb_bands': [0, 1, 2], 'lr': 0.1
    }  # fmt: skip
    assert found == {
        'epoch': '3', 'global_step': '400', 'gersp_geo': '0.1.0', 'commit': 'f' * 40, 'data': '{}'
    }  # fmt: skip


@pytest.mark.parametrize(
    'checkpoint', [{}, {'hyper_parameters': {}}, {'hyper_parameters': 7, TRAINING_KEY: 'x'}]
)
def test_what_a_checkpoint_does_not_say_is_left_out(checkpoint: dict[str, Any]) -> None:
    assert configuration(checkpoint) == {}


def test_odd_values_are_named_and_large_ones_cut() -> None:
    nested: Any = ['x']
    for _ in range(60):
        # 60 small lists, 2 ** 60 texts
        nested = [nested, nested]
    arguments = {
        'tensor': torch.zeros(3), 1: 2, (1, 2): 3, 'huge': 10**5000, 'text': 'x' * 10**6,
        'many': list(range(10**5)), 'nested': nested, 'none': None, 'flag': True,
    }  # fmt: skip
    text = configuration({'hyper_parameters': arguments, 'epoch': nested})
    assert text.keys() == {'config'}
    assert len(text['config']) < 2000
    config = json.loads(text['config'])
    assert (config['tensor'], config['huge'], config['1']) == ('Tensor', 'int', 2)
    assert (config['none'], config['flag'], config['many'][:3]) == (None, True, [0, 1, 2])


def test_sources_are_named(tmp_path: Path) -> None:
    assert name_source(tmp_path) == str(tmp_path)
    assert name_source(['a.tif']) == 'a.tif'
    assert name_source([Path('a.tif'), 'b.tif', 'c.tif']) == 'a.tif and 2 more'
    assert name_source(torch.utils.data.TensorDataset()) == 'TensorDataset'


def make_datamodule(folder: Path) -> GeRSPDataModule:
    return GeRSPDataModule(
        str(folder / 'scenes'), folder / 'natural', size=32, batch_size=2, steps_per_epoch=1
    )


def train(task: GeRSPTask, datamodule: GeRSPDataModule, path: Path) -> Path:
    trainer = Trainer(
        max_steps=1, accelerator='cpu', logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, callbacks=[PreprocessingRecord()],
    )  # fmt: skip
    trainer.fit(task, datamodule=datamodule)
    trainer.save_checkpoint(path)
    return path


def make_task(weights: str | None = None) -> GeRSPTask:
    return GeRSPTask(
        model='resnet18', weights=weights, size=32, num_classes=8, memory_bank_size=4, lr=0.01
    )


@pytest.mark.filterwarnings('ignore::UserWarning')
def test_an_export_says_on_what_and_how_its_backbone_was_trained(
    sample_data: Path, tmp_path: Path
) -> None:
    datamodule = make_datamodule(sample_data)
    sources = {
        'remote_sensing': str(sample_data / 'scenes'),
        'natural': str(sample_data / 'natural'),
    }
    assert datamodule.sources() == sources
    checkpoint = train(make_task(), datamodule, tmp_path / 'a.ckpt')
    for form, name in (('torchvision', 'a.safetensors'), ('torchvision', 'a.pth'), ('timm', 'a')):
        chosen: Any = form
        path = export_backbone(checkpoint, tmp_path / 'out' / name, format=chosen).path
        told = read_checkpoint(path).provenance
        assert json.loads(told['config'])['lr'] == 0.01
        assert json.loads(told['data']) == {'datamodule': 'gersp_geo.GeRSPDataModule', **sources}
        assert told['gersp_geo'] == __version__
        assert told.get('commit') == software().get('commit')
        assert (told['file'], told['global_step']) == ('a.ckpt', '1')
    # a run that starts from it says so
    second = train(
        make_task(str(tmp_path / 'out' / 'a.safetensors')), datamodule, tmp_path / 'b.ckpt'
    )
    started = json.loads(read_checkpoint(second).provenance['started_from'])
    assert started['sha256'] == read_checkpoint(checkpoint).provenance['sha256']
    assert started['file'] == 'a.ckpt'


def test_a_checkpoint_tells_the_metric_that_it_was_chosen_by() -> None:
    states: dict[str, Any] = {
        'a': {'monitor': 'val_loss', 'current_score': torch.tensor(0.25)},
        'b': {'monitor': 'val_miou', 'current_score': float('nan')},
        'c': {'monitor': None, 'current_score': 1.0},
        'd': {'monitor': 'val_acc', 'current_score': torch.zeros(2)},
        'e': ['of', 'others'],
    }
    assert configuration({'callbacks': states}) == {'figures': 'val_loss 0.25'}
    assert configuration({'callbacks': states.keys()}) == {}
