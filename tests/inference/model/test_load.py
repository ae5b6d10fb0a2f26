"""Laws of loading models: nothing is guessed, and no code from a file runs."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from lightning.pytorch import LightningModule, Trainer
from torch import nn
from torchgeo.tasks import PixelwiseRegression, SemanticSegmentation

from gersp_geo.inference import predict_geotiff
from gersp_geo.inference.model.load import load_model, read_preprocessing
from gersp_geo.inference.model.task_bases import tasks_of
from gersp_geo.preprocessing import Preprocessing

RECORD = Preprocessing(
    bands=('red', 'green', 'blue'),
    scale=(1 / 255,) * 3,
    mean=(0.4, 0.5, 0.6),
    std=(0.2, 0.3, 0.4),
    class_names=('water', 'forest', 'road', 'roof'),
    task_class='torchgeo.tasks.SemanticSegmentation',
)


def segmentation() -> SemanticSegmentation:
    torch.manual_seed(0)
    return SemanticSegmentation(model='unet', backbone='resnet18', num_classes=4)


def save(task: LightningModule, path: Path, record: object) -> Path:
    trainer = Trainer(
        logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator='cpu'
    )
    trainer.strategy.connect(task)
    trainer.save_checkpoint(path)
    checkpoint = torch.load(path, weights_only=True)
    if record is not None:
        checkpoint['gersp_geo'] = record
    torch.save(checkpoint, path)
    return path


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that says everything."""
    return save(
        segmentation(), tmp_path_factory.mktemp('checkpoint') / 'unet.ckpt', RECORD.to_dict()
    )


@pytest.fixture(scope='module')
def silent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint without a record."""
    return save(segmentation(), tmp_path_factory.mktemp('checkpoint') / 'unet.ckpt', None)


def test_a_checkpoint_predicts_one_patch_as_its_task_does(tmp_path: Path, checkpoint: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (3, 64, 64), dtype='uint8')
    with rasterio.open(
        tmp_path / 'scene.tif', 'w', driver='GTiff', height=64, width=64, count=3, dtype='uint8',
        crs='EPSG:32632', transform=Affine(1, 0, 4e5, 0, -1, 5e6),
    ) as dst:  # fmt: skip
        dst.write(pixels)
    summary = predict_geotiff(
        checkpoint, tmp_path / 'scene.tif', tmp_path / 'map.tif', size=64, overlap=0,
        output='probabilities', progress=False, device='cpu',
    )  # fmt: skip
    mean, std = (torch.tensor(v)[:, None, None] for v in (RECORD.mean, RECORD.std))
    image = (torch.from_numpy(pixels).float() / 255 - mean) / std
    with torch.inference_mode():
        expected = segmentation().eval()(image[None]).softmax(1)[0].numpy()
    with rasterio.open(tmp_path / 'map.tif') as src:
        np.testing.assert_allclose(src.read(), expected, rtol=0, atol=1e-5)
        assert src.descriptions == RECORD.class_names
        checksum = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
        assert src.tags()['MODEL_SHA256'] == checksum
        assert src.tags()['MODEL'] == 'unet.ckpt'
    assert summary.patches == 1


def test_a_checkpoint_brings_its_weights_and_its_record(checkpoint: Path) -> None:
    loaded = load_model(checkpoint)
    assert loaded.preprocessing == RECORD
    assert loaded.scores == 'classes'
    assert tasks_of(loaded.forward) == ('SemanticSegmentation',)
    assert isinstance(loaded.forward, nn.Module)
    expected = segmentation().state_dict()
    for name, tensor in loaded.forward.state_dict().items():
        assert torch.equal(tensor, expected[name])


def test_what_is_given_goes_before_what_the_checkpoint_says(
    tmp_path: Path, checkpoint: Path
) -> None:
    other = Preprocessing(bands=('a', 'b', 'c'), scale=(1,) * 3, mean=(0,) * 3, std=(1,) * 3)
    path = tmp_path / 'other.json'
    path.write_text(json.dumps(other.to_dict()))
    for given in (other, path):
        loaded = load_model(checkpoint, preprocessing=given, task_class=SemanticSegmentation)
        assert loaded.preprocessing == other


def test_a_pixelwise_regression_returns_values(tmp_path: Path) -> None:
    task = PixelwiseRegression(model='unet', backbone='resnet18', num_outputs=1)
    record = RECORD.to_dict() | {
        'task_class': 'torchgeo.tasks.PixelwiseRegression', 'class_names': [],
    }  # fmt: skip
    assert load_model(save(task, tmp_path / 'height.ckpt', record)).scores == 'values'


def test_labels_that_do_not_exclude_each_other_are_told_apart() -> None:
    task = SemanticSegmentation(backbone='resnet18', task='multilabel', num_labels=3, loss='bce')
    assert load_model(task, preprocessing=RECORD).scores == 'labels'


def test_a_checkpoint_without_a_record_needs_one(silent: Path) -> None:
    with pytest.raises(ValueError, match=r'pass preprocessing \(--preprocessing FILE\.json\)'):
        load_model(silent)


def test_a_checkpoint_without_a_task_needs_one(silent: Path) -> None:
    record = Preprocessing(bands=('a',), scale=(1,), mean=(0,), std=(1,))
    with pytest.raises(ValueError, match=r'pass task_class \(--task-class\)'):
        load_model(silent, preprocessing=record)
    named = 'torchgeo.tasks.SemanticSegmentation'
    assert load_model(silent, preprocessing=record, task_class=named).preprocessing == record


@pytest.mark.parametrize(
    ('task_class', 'message'),
    [
        ('os.system', 'outside torchgeo and gersp_geo'),
        ('torchgeo_evil.Task', 'outside torchgeo and gersp_geo'),
        ('torchgeo.tasks.Nothing', 'cannot be imported'),
        ('torchgeo..tasks', 'cannot be imported'),
        ('torchgeo.tasks', 'is not a LightningModule'),
        ('torchgeo.models.ResNet50_Weights', 'is not a LightningModule'),
        ('torchgeo.tasks.Classification', 'does not fit Classification'),
    ],
)
def test_a_record_may_not_name_any_code(
    tmp_path: Path, checkpoint: Path, task_class: str, message: str
) -> None:
    content = torch.load(checkpoint, weights_only=True)
    content['gersp_geo'] = RECORD.to_dict() | {'task_class': task_class}
    torch.save(content, tmp_path / 'other.ckpt')
    with pytest.raises(ValueError, match=message) as info:
        load_model(tmp_path / 'other.ckpt')
    assert '\n' not in str(info.value)


class Dangerous:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.path), 'w')


def test_code_in_a_checkpoint_does_not_run(tmp_path: Path) -> None:
    trace = tmp_path / 'ran'
    content = {'state_dict': {}, 'hyper_parameters': {'lr': Dangerous(trace)}}
    torch.save(content, tmp_path / 'evil.ckpt')
    with pytest.raises(
        ValueError, match=r'evil\.ckpt is no checkpoint that loads safely: it needs '
    ):
        load_model(tmp_path / 'evil.ckpt')
    assert not trace.exists()


@pytest.mark.parametrize(
    'content', [b'', b'hello world', b'{"a": 1}', b'II*\0' + bytes(100)], ids=str
)
def test_a_file_of_another_kind_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / 'model.ckpt'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r'model\.ckpt is no checkpoint that loads safely') as info:
        load_model(path)
    assert '\n' not in str(info.value)


def test_half_a_checkpoint_is_refused(tmp_path: Path, checkpoint: Path) -> None:
    path = tmp_path / 'half.ckpt'
    path.write_bytes(checkpoint.read_bytes()[:100_000])
    with pytest.raises(ValueError, match=r'half\.ckpt is a damaged archive'):
        load_model(path)


def test_bare_weights_are_no_checkpoint(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / 'weights.pt')
    with pytest.raises(ValueError, match='it lacks state_dict or hyper_parameters'):
        load_model(tmp_path / 'weights.pt')


@pytest.mark.parametrize('suffix', ['.pt', '.ckpt', '.ts'])
def test_torchscript_is_refused_because_it_runs_code(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f'model{suffix}'
    torch.jit.trace(nn.Conv2d(3, 4, 1), torch.zeros(1, 3, 8, 8)).save(path)
    message = r'is a program .* run its own code when loaded; pass the checkpoint .* or export'
    with pytest.raises(ValueError, match=message) as info:
        load_model(path, preprocessing=RECORD)
    assert '\n' not in str(info.value)


@pytest.mark.parametrize('name', ['model.pt2', 'model.pt'])
def test_an_exported_program_is_refused_because_it_runs_code(tmp_path: Path, name: str) -> None:
    program = torch.export.export(nn.Conv2d(3, 4, 1), (torch.zeros(1, 3, 8, 8),))
    torch.export.save(program, tmp_path / 'model.pt2')
    (tmp_path / 'model.pt2').rename(tmp_path / name)
    with pytest.raises(ValueError, match=r'is a program .* run its own code') as info:
        load_model(tmp_path / name, preprocessing=RECORD)
    assert '\n' not in str(info.value)


@pytest.mark.parametrize('name', ['code.ckpt', 'constants.pkl', 'weights.pt'])
def test_a_checkpoint_of_any_name_is_none(tmp_path: Path, checkpoint: Path, name: str) -> None:
    path = tmp_path / name
    torch.save(torch.load(checkpoint, weights_only=True), path)
    assert load_model(path).preprocessing == RECORD


def test_a_missing_checkpoint_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'no\.ckpt does not exist'):
        load_model(tmp_path / 'no.ckpt')


def test_a_model_alone_needs_a_record() -> None:
    with pytest.raises(ValueError, match='needs preprocessing'):
        load_model(nn.Identity())
    with pytest.raises(ValueError, match='task_class belongs to checkpoint files'):
        load_model(nn.Identity(), preprocessing=RECORD, task_class='torchgeo.tasks.MoCo')
    with pytest.raises(TypeError, match='must be a checkpoint file or callable, got int'):
        load_model(3, preprocessing=RECORD)  # type: ignore[arg-type]


@pytest.mark.parametrize('content', ['{', '[1]', '{"bands": ["a"]}', '{"bands": 3}'])
def test_a_file_that_is_no_record_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / 'record.json'
    path.write_text(content)
    with pytest.raises(ValueError, match=r'record\.json') as info:
        read_preprocessing(path)
    assert '\n' not in str(info.value)


def test_a_given_record_leaves_the_task_that_the_checkpoint_names(checkpoint: Path) -> None:
    given = replace(load_model(checkpoint).preprocessing, task_class=None, size=77)
    loaded = load_model(checkpoint, preprocessing=given)
    assert loaded.preprocessing.size == 77
    assert tasks_of(loaded.forward) == ('SemanticSegmentation',)
