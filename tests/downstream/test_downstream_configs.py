"""The configurations of published results, from their data sets' own layouts to a test."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torchvision.models import resnet50

from gersp_geo.main import main
from gersp_geo.models.downloads import FOLDER_VARIABLE
from tests.downstream.layouts import WRITERS, write_data_set

FOLDER = Path(__file__).parents[2] / 'configs' / 'downstream'
NAMES = sorted(path.stem for path in FOLDER.glob('*.yaml'))

# all else is as it is shipped
SMALL = [
    '--data.batch_size=2', '--data.num_workers=0', '--trainer.max_epochs=1',
    '--trainer.limit_train_batches=2', '--trainer.limit_test_batches=1',
    '--trainer.accelerator=cpu', '--trainer.enable_progress_bar=false',
    '--trainer.enable_model_summary=false',
]  # fmt: skip
SIDES = {'loveda': ['--data.size=64'], 'dota': ['--data.size=96', '--data.overlap=16']}
# a network for the fast tests, from random weights
TINY = {
    'eurosat': '--model.model=resnet18',
    'loveda_deeplabv3plus': '--model.backbone=resnet18',
    'dior_faster_rcnn': '--model.backbone=resnet18',
    'dota_retinanet': '--model.backbone=resnet18',
}


def read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((FOLDER / f'{name}.yaml').read_text())
    return content


def run(name: str, folder: Path, *words: str) -> dict[str, Any]:
    """Train for two steps and test one batch as a user does; return the checkpoint."""
    data_set = name.partition('_')[0]
    write_data_set(data_set, folder / 'data' / data_set)
    common = [f'--config={FOLDER / name}.yaml', *SMALL, *SIDES.get(data_set, []), *words]
    validation = (
        [] if 'limit_val_batches' in read(name)['trainer'] else ['--trainer.limit_val_batches=1']
    )
    assert main(['fit', *common, *validation]) == 0
    checkpoint = folder / 'runs' / name / 'checkpoints' / 'last.ckpt'
    boxes = ['--data.annotations=data/dior/Annotations_test'] if data_set == 'dior' else []
    assert main(['test', *common, *boxes, f'--ckpt_path={checkpoint}']) == 0
    loaded: dict[str, Any] = torch.load(checkpoint, weights_only=True)
    return loaded


def check(name: str, checkpoint: dict[str, Any]) -> None:
    """What the file says of the optimiser and the number of classes is what was trained."""
    given = read(name)
    assert checkpoint['global_step'] == 2
    (group,) = checkpoint['optimizer_states'][0]['param_groups']
    assert given['optimizer']['class_path'] == 'torch.optim.SGD'
    wanted = given['optimizer']['init_args']
    assert {key: group[key] for key in ('momentum', 'weight_decay')} == {
        key: wanted[key] for key in ('momentum', 'weight_decay')
    }
    assert group['initial_lr'] == wanted['lr']
    (schedule,) = checkpoint['lr_schedulers']
    assert schedule['base_lrs'] == [wanted['lr']]
    classes = given['model']['init_args']['num_classes']
    background = given['model']['class_path'].endswith('ObjectDetection')
    names = checkpoint['gersp_geo']['class_names']
    assert len(names) == classes - background
    assert not any(one.startswith('class_') for one in names) or name == 'resisc45'


def test_every_published_family_has_a_configuration() -> None:
    assert {name.partition('_')[0] for name in NAMES} == set(WRITERS)


@pytest.mark.quick('dota_retinanet')
@pytest.mark.parametrize('name', TINY)
def test_a_configuration_trains_and_tests_with_a_small_network(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    check(name, run(name, tmp_path, '--model.weights=null', TINY[name]))


@pytest.fixture(scope='module')
def weights_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ResNet-50 as the authors' converter writes it."""
    folder = tmp_path_factory.mktemp('weights')
    state = resnet50().state_dict()
    tensors = {f'backbone.{key}': v for key, v in state.items() if not key.startswith('fc.')}
    torch.save({'state_dict': tensors}, folder / 'CVT_epoch_100.pth')
    return folder


@pytest.mark.slow
@pytest.mark.parametrize('name', NAMES)
def test_a_configuration_trains_and_tests_as_it_is_shipped(
    name: str, weights_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(FOLDER_VARIABLE, str(weights_folder))
    check(name, run(name, tmp_path))
