import errno
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import timm
import torch
from torch import Tensor
from torchgeo.models import get_model, get_model_weights, get_weight
from torchgeo.tasks import Classification, SemanticSegmentation

from gersp_geo.bands import RGB
from gersp_geo.models import GeRSP_Weights, export_backbone, gersp_resnet50, load_backbone
from gersp_geo.models.downloads import FOLDER_VARIABLE
from gersp_geo.models.first_layer import adapt_stem

type StateDict = dict[str, Tensor]

MEMBERS = [GeRSP_Weights.RESNET50, GeRSP_Weights.RESNET50_200]


def with_prefix(prefix: str, tensors: StateDict) -> dict[str, StateDict]:
    return {'state_dict': {f'{prefix}{key}': value for key, value in tensors.items()}}


def equal(left: StateDict, right: StateDict) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


@pytest.fixture(scope='module')
def backbone() -> StateDict:
    torch.manual_seed(4)
    tensors: StateDict = timm.create_model('resnet50', num_classes=0).state_dict()
    assert len(tensors) == 318
    return tensors


@pytest.fixture(scope='module')
def converted(backbone: StateDict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the authors' converter writes."""
    path = tmp_path_factory.mktemp('authors') / 'converted.pth'
    torch.save(with_prefix('backbone.', backbone), path)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    return tmp_path


@pytest.fixture
def placed(folder: Path, converted: Path) -> Path:
    path = folder / 'GeRSP.pth'
    path.symlink_to(converted)
    return path


def test_torchgeo_finds_weights_and_builder_by_name() -> None:
    for member in MEMBERS:
        assert get_weight(str(member)) is member
        assert get_weight(f'GeRSP_Weights.{member.name}') is member
    assert get_model_weights('gersp_resnet50') is GeRSP_Weights
    assert get_model_weights(gersp_resnet50) is GeRSP_Weights
    with torch.device('meta'):
        model: Any = get_model('gersp_resnet50', in_chans=4)
    assert model.conv1.in_channels == 4


def test_a_member_survives_pickling() -> None:
    for member in MEMBERS:
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            assert pickle.loads(pickle.dumps(member, protocol)) is member
        assert pickle.loads(pickle.dumps(member.value)) == member.value


def test_members_differ() -> None:
    assert GeRSP_Weights.RESNET50.value != GeRSP_Weights.RESNET50_200.value
    assert len(set(MEMBERS)) == 2


def test_the_description_agrees_with_the_sensor() -> None:
    for member in MEMBERS:
        assert member.meta['in_chans'] == len(member.meta['bands']) == 3
        assert tuple(member.meta['mean']) == RGB.mean
        assert tuple(member.meta['std']) == RGB.std
        image = member.transforms()(torch.zeros(3, 300, 260, dtype=torch.uint8))
        assert image.shape == (3, 224, 224)
        expected = -torch.tensor(RGB.mean) / torch.tensor(RGB.std)
        torch.testing.assert_close(image[:, 0, 0], expected)


@pytest.mark.quick('GeRSP_Weights.RESNET50_1')
@pytest.mark.parametrize('weights', [GeRSP_Weights.RESNET50, 'GeRSP_Weights.RESNET50'])
def test_torchgeo_tasks_take_the_weights(weights: Any, placed: Path, backbone: StateDict) -> None:
    classification = Classification(model='resnet50', weights=weights, num_classes=4)
    loaded = {k: v for k, v in classification.model.state_dict().items() if 'fc' not in k}
    assert equal(loaded, backbone)
    segmentation = SemanticSegmentation(
        model='unet', backbone='resnet50', weights=weights, num_classes=4
    )
    assert equal(segmentation.model.encoder.state_dict(), backbone)


def test_our_functions_take_the_weights(placed: Path, backbone: StateDict, tmp_path: Path) -> None:
    model: Any = get_model(
        'gersp_resnet50', weights=GeRSP_Weights.RESNET50, in_chans=4, num_classes=0
    )
    assert torch.equal(model.layer1[0].conv1.weight, backbone['layer1.0.conv1.weight'])
    report = load_backbone(gersp_resnet50(num_classes=0), 'GeRSP_Weights.RESNET50')
    assert report.tensors_set == 318
    exported = export_backbone(
        'GeRSP_Weights.RESNET50', tmp_path / 'backbone.ckpt', format='torchgeo'
    )
    written = torch.load(exported.path, weights_only=True)
    assert written['gersp_geo']['mean'] == list(RGB.mean)
    assert written['gersp_geo_provenance']['weights'] == 'GeRSP_Weights.RESNET50'


@pytest.mark.quick('rgb_bands1')
@pytest.mark.parametrize('rgb_bands', [(0, 1, 2), (3, 2, 1)])
def test_the_builder_adapts_the_first_layer_to_other_bands(
    rgb_bands: tuple[int, ...], placed: Path, backbone: StateDict
) -> None:
    weights = GeRSP_Weights.RESNET50
    model: Any = gersp_resnet50(weights, 13, rgb_bands=rgb_bands, num_classes=5, drop_rate=0.5)
    stem = adapt_stem(backbone['conv1.weight'], 13, rgb_bands=rgb_bands)
    assert torch.equal(model.conv1.weight, stem)
    loaded = {k: v for k, v in model.state_dict().items() if not k.startswith(('fc.', 'conv1'))}
    assert all(torch.equal(value, backbone[name]) for name, value in loaded.items())
    assert len(loaded) == 317
    assert (model.fc.out_features, model.drop_rate, model.training) == (5, 0.5, True)
    random: Any = gersp_resnet50(in_chans=13)
    assert not torch.equal(random.conv1.weight, stem)


def test_raw_and_exported_files_do_too(folder: Path, converted: Path, backbone: StateDict) -> None:
    raw = with_prefix('encoder_q.', backbone)
    raw['state_dict']['encoder_k.conv1.weight'] = torch.rand(64, 3, 7, 7)
    raw['state_dict']['pred_q.0.weight'] = torch.rand(1000, 2048)
    torch.save(raw, folder / 'GeRSP_200.pth')
    assert equal(GeRSP_Weights.RESNET50_200.get_state_dict(), backbone)
    export_backbone(converted, folder / 'GeRSP.safetensors', format='torchvision')
    assert equal(GeRSP_Weights.RESNET50.get_state_dict(), backbone)


def test_torch_hubs_folder_is_searched_too(folder: Path, converted: Path) -> None:
    (folder / 'hub' / 'checkpoints').mkdir(parents=True)
    (folder / 'hub' / 'checkpoints' / 'CVT_epoch_100.pth').symlink_to(converted)
    assert len(GeRSP_Weights.RESNET50.get_state_dict()) == 318


def test_a_file_that_changes_is_refused(folder: Path, backbone: StateDict) -> None:
    path = folder / 'GeRSP.pth'
    torch.save(with_prefix('backbone.', backbone), path)
    GeRSP_Weights.RESNET50.get_state_dict()
    assert (folder / 'GeRSP.pth.sha256').read_text().split()[1:] == ['GeRSP.pth']
    GeRSP_Weights.RESNET50.get_state_dict()
    changed = backbone | {'bn1.bias': backbone['bn1.bias'] + 1}
    torch.save(with_prefix('backbone.', changed), path)
    with pytest.raises(ValueError, match=r'GeRSP\.pth has changed: its SHA-256 is') as error:
        GeRSP_Weights.RESNET50.get_state_dict()
    assert '\n' not in str(error.value)
    (folder / 'GeRSP.pth.sha256').unlink()
    assert equal(GeRSP_Weights.RESNET50.get_state_dict(), changed)


def test_a_folder_that_cannot_be_written_to_is_a_warning(
    placed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        # a mounted file system that is read-only gives no PermissionError
        raise OSError(errno.EROFS, 'Read-only file system')

    monkeypatch.setattr('gersp_geo.models.downloads.new_file', refuse)
    with pytest.warns(UserWarning, match=r'sha256 cannot be written \(Read-only file system\)'):
        assert len(GeRSP_Weights.RESNET50.get_state_dict()) == 318


def test_an_incomplete_file_is_refused_and_not_remembered(
    folder: Path, backbone: StateDict
) -> None:
    cases: dict[str, StateDict] = {
        'layer3.1.bn2.bias': {k: v for k, v in backbone.items() if k != 'layer3.1.bn2.bias'},
        'conv1.weight': backbone | {'conv1.weight': torch.rand(64, 4, 7, 7)},
        'bn1.bias': backbone | {'bn1.bias': torch.rand(65)},
        'layer9.weight': backbone | {'layer9.weight': torch.rand(3)},
    }
    for name, tensors in cases.items():
        torch.save(with_prefix('backbone.', tensors), folder / 'GeRSP.pth')
        with pytest.raises(ValueError, match=f'{name} (is|has|does) '):
            GeRSP_Weights.RESNET50.get_state_dict()
        assert [path.name for path in folder.iterdir()] == ['GeRSP.pth']


def test_without_file_and_downloader_the_steps_are_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, 'gdown', None)
    with pytest.raises(FileNotFoundError) as error:
        GeRSP_Weights.RESNET50_200.get_state_dict()
    told = str(error.value)
    for needed in ('gersp-geo[drive]', '1qGkPG0j4jwItcGztX-_rLR4sS2W_Pxun', 'GeRSP_200.pth'):
        assert needed in told
    assert str(folder) in told
    assert '\n' not in told


def test_a_folder_that_does_not_exist_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / 'absent'))
    with pytest.raises(FileNotFoundError, match=r'GERSP_WEIGHTS_DIR=.*absent is not a folder'):
        GeRSP_Weights.RESNET50.get_state_dict()


class Refusal(Exception):
    """Stands for gdown's error of this name."""


def drive(content: bytes | None) -> SimpleNamespace:
    """Google Drive cannot be reached from a test: this delivers *content*, or refuses."""

    def download(*, id: str, output: str, quiet: bool) -> str:
        if content is None:
            raise Refusal(id)
        Path(output).write_bytes(content)
        return output

    return SimpleNamespace(
        download=download, exceptions=SimpleNamespace(FileURLRetrievalError=Refusal)
    )


def test_a_download_is_checked_and_remembered(
    folder: Path, converted: Path, backbone: StateDict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, 'gdown', drive(converted.read_bytes()))
    assert equal(GeRSP_Weights.RESNET50.get_state_dict(progress=False), backbone)
    assert sorted(path.name for path in folder.iterdir()) == ['GeRSP.pth', 'GeRSP.pth.sha256']


@pytest.mark.parametrize('content', [None, b'<html>Quota exceeded</html>'])
def test_a_download_that_fails_leaves_nothing(
    content: bytes | None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, 'gdown', drive(content))
    with pytest.raises(
        (FileNotFoundError, ValueError), match=r'by hand and save it as .*GeRSP\.pth'
    ):
        GeRSP_Weights.RESNET50.get_state_dict()
    assert list(folder.iterdir()) == []
