import json
import signal
import warnings
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kornia.augmentation as K
import numpy as np
import pytest
import rasterio
import torch
from lightning.pytorch import Callback, Trainer
from rasterio.transform import from_origin
from torch import Tensor, nn
from torchgeo.datamodules import BaseDataModule, NonGeoDataModule
from torchgeo.datasets import NonGeoDataset
from torchgeo.tasks import SemanticSegmentation

from gersp_geo.callbacks import PreprocessingRecord
from gersp_geo.callbacks.preprocessing_record import warn_of_other_input
from gersp_geo.datamodules.segmentation import GeoTIFFSegmentationDataModule
from gersp_geo.main import main
from gersp_geo.preprocessing import Preprocessing
from gersp_geo.tasks import ChangeDetection

CLASSES = ('land', 'water', 'ice')


class TinyDataset(NonGeoDataset):
    bands = ('red', 'green', 'nir')
    classes = CLASSES

    def __init__(self, split: str = 'train') -> None:
        self.split = split

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(index)
        return {
            'image': torch.rand(3, 32, 32, generator=generator) * 3000,
            'mask': torch.randint(0, 3, (32, 32), generator=generator),
        }


class TinyDataModule(NonGeoDataModule):
    """As torchgeo's own: class attributes decide the default ``aug``."""

    mean = torch.tensor([1300.0, 1100.0, 2500.0])
    std = torch.tensor([600.0, 500.0, 900.0])

    def __init__(self) -> None:
        super().__init__(TinyDataset, batch_size=2)


def native(folder: Path) -> BaseDataModule:
    return TinyDataModule()


def own(folder: Path) -> BaseDataModule:
    generator = np.random.default_rng(0)
    for name, count, top in (('image', 3, 4000), ('mask', 1, 3)):
        profile = {
            'driver': 'GTiff',
            'height': 96,
            'width': 96,
            'count': count,
            'dtype': 'uint16',
            'crs': 'EPSG:32633',
            'transform': from_origin(500000, 5000000, 10, 10),
        }
        with rasterio.open(folder / f'{name}.tif', 'w', **profile) as dst:
            dst.write(generator.integers(0, top, (count, 96, 96)).astype('uint16'))
    return GeoTIFFSegmentationDataModule(
        str(folder / 'image.tif'),
        str(folder / 'mask.tif'),
        class_names=CLASSES,
        scale=1e-4,
        size=32,
        block_size=32,
        batch_size=2,
    )


def train(
    datamodule: BaseDataModule | None,
    callback: PreprocessingRecord,
    *others: Callback,
    kind: type[SemanticSegmentation] = SemanticSegmentation,
    **arguments: Any,
) -> Trainer:
    torch.manual_seed(0)
    task = kind(
        model='fcn', num_filters=4, in_channels=3, num_classes=3, ignore_index=255, **arguments
    )
    trainer = Trainer(
        max_steps=2,
        accelerator='cpu',
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[callback, *others],
    )
    trainer.fit(task, datamodule=datamodule)
    return trainer


def column(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values).view(-1, 1, 1)


@pytest.mark.parametrize('make', [own, native])
@pytest.mark.filterwarnings('ignore::UserWarning')
def test_the_record_reproduces_the_logits_of_the_data_module(tmp_path: Path, make: Any) -> None:
    datamodule: BaseDataModule = make(tmp_path)
    trainer = train(datamodule, PreprocessingRecord())
    trainer.save_checkpoint(tmp_path / 'model.ckpt')

    checkpoint = torch.load(tmp_path / 'model.ckpt', weights_only=True)
    record = Preprocessing.from_dict(checkpoint['gersp_geo'])
    assert record.class_names == CLASSES
    assert record.task_class is not None
    home, name = record.task_class.rsplit('.', 1)
    task = getattr(import_module(home), name)(**checkpoint['hyper_parameters'])
    task.load_state_dict(checkpoint['state_dict'])
    task.eval()

    for batch in datamodule.val_dataloader():
        raw = batch['image'].clone()
        assert raw.max() > 1000
        by_record = (raw * column(record.scale) - column(record.mean)) / column(record.std)
        with torch.inference_mode():
            expected = task(datamodule.aug(batch)['image'])
            torch.testing.assert_close(task(by_record), expected, rtol=0, atol=1e-5)


@pytest.mark.filterwarnings('ignore::UserWarning')
def test_bands_and_classes_come_from_the_dataset() -> None:
    callback = PreprocessingRecord()
    train(TinyDataModule(), callback)
    assert callback.record is not None
    assert callback.record.bands == TinyDataset.bands
    np.testing.assert_allclose(callback.record.mean, TinyDataModule.mean, rtol=1e-5)
    np.testing.assert_allclose(callback.record.std, TinyDataModule.std, rtol=1e-5)


@pytest.mark.filterwarnings('ignore::UserWarning')
def test_a_given_record_wins(tmp_path: Path) -> None:
    given = Preprocessing(bands=('a', 'b', 'c'), scale=(1,) * 3, mean=(7,) * 3, std=(2,) * 3)
    path = tmp_path / 'record.json'
    path.write_text(json.dumps(given.to_dict()))
    for value in (given, path, str(path)):
        callback = PreprocessingRecord(value)
        train(TinyDataModule(), callback)
        assert callback.record == given


def test_no_data_module_is_an_error_before_training() -> None:
    task = SemanticSegmentation(model='fcn', num_filters=4, num_classes=3)
    trainer = Trainer(accelerator='cpu', logger=False, enable_checkpointing=False)
    with pytest.raises(ValueError, match='no torchgeo data module'):
        PreprocessingRecord().setup(trainer, task, 'fit')


@pytest.mark.parametrize('content', ['not JSON', '3', '{"bands": ["red"]}'])
def test_a_file_without_a_record_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / 'record.json'
    path.write_text(content)
    task = SemanticSegmentation(model='fcn', num_filters=4, num_classes=3)
    trainer = Trainer(accelerator='cpu', logger=False, enable_checkpointing=False)
    with pytest.raises(ValueError, match=r'record\.json holds no preprocessing record: .+'):
        PreprocessingRecord(path).setup(trainer, task, 'fit')


RECORD = Preprocessing(
    bands=('red', 'green', 'nir'), scale=(1e-4,) * 3, mean=(0.13, 0.11, 0.25), std=(0.06, 0.05, 0.09)
)  # fmt: skip


@pytest.mark.parametrize(
    'record',
    [
        RECORD,
        replace(RECORD, mean=tuple(value * 1.0001 for value in RECORD.mean)),
        # the same in units of the file
        replace(RECORD, scale=(1,) * 3, mean=(1300, 1100, 2500), std=(600, 500, 900)),
        # other bands
        replace(RECORD, bands=('B4', 'B3', 'B8'), mean=(0.5,) * 3),
        # in another order, prepared alike
        Preprocessing(bands=('nir', 'red'), scale=(1e-4,) * 2, mean=(0.25, 0.13), std=(0.09, 0.06)),
    ],
)
def test_input_prepared_as_for_the_weights_is_no_warning(record: Preprocessing) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter('always')
        warn_of_other_input(record, weights=RECORD)
    assert not told


@pytest.mark.parametrize(
    ('change', 'told'),
    [
        (
            {'mean': (0.13, 0.12, 0.25)},
            r'band green .* = \(0\.0001, 0\.12, 0\.05\), .* \(0\.0001, 0\.11',
        ),
        (
            {'std': (0.07, 0.05, 0.09)},
            r'band red .* = \(0\.0001, 0\.13, 0\.07\), .* 0\.13, 0\.06\)',
        ),
        ({'scale': (1e-4, 1e-4, 1 / 255)}, r'band nir .* = \(0\.0039\d+, 0\.25, 0\.09\), '),
        ({'bands': ('green', 'red', 'nir')}, 'band red'),
    ],
)
def test_input_prepared_otherwise_is_a_warning_with_both_values(
    change: dict[str, Any], told: str
) -> None:
    with pytest.warns(UserWarning, match=told) as caught:
        warn_of_other_input(replace(RECORD, **change), weights=RECORD)
    assert len(caught) == 1


def test_scales_of_different_file_types_may_differ() -> None:
    weights = replace(RECORD, dtype='uint16')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        warn_of_other_input(replace(weights, dtype='uint8', scale=(1 / 255,) * 3), weights=weights)
    with pytest.warns(UserWarning, match='band red'):
        warn_of_other_input(replace(weights, scale=(1 / 255,) * 3), weights=weights)


@pytest.mark.parametrize('equal', [True, False])
def test_a_task_with_weights_is_compared_when_it_trains(equal: bool) -> None:
    datamodule = TinyDataModule()
    # as torchgeo's data modules of pairs
    normalize = K.VideoSequential(K.Normalize(mean=datamodule.mean, std=datamodule.std))
    datamodule.aug = K.AugmentationSequential(normalize, data_keys=None, keepdim=True)
    std = datamodule.std if equal else datamodule.std * 2
    told = Preprocessing(
        bands=TinyDataset.bands, scale=(1,) * 3, mean=tuple(datamodule.mean.tolist()),
        std=tuple(std.tolist()),
    )  # fmt: skip
    task = ChangeDetection('unet', 'resnet18', in_channels=3)
    task.report = SimpleNamespace(preprocessing=told, provenance={})  # type: ignore[assignment]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        trainer = Trainer(logger=False, enable_checkpointing=False, accelerator='cpu')
        trainer.datamodule = datamodule  # type: ignore[attr-defined]
        datamodule.setup('fit')
        PreprocessingRecord().setup(trainer, task, 'fit')
    messages = [str(warning.message) for warning in caught]
    assert any('prepares band red with scale' in message for message in messages) != equal


class Remembering(Callback):
    """A callback whose state is whatever it was given."""

    def __init__(self, state: object) -> None:
        self.state = state

    def state_dict(self) -> dict[str, Any]:
        return {'seen': self.state}


class Extended(SemanticSegmentation):
    """A task with an argument of its own."""

    def __init__(self, *arguments: Any, own: object = None, **more: Any) -> None:
        super().__init__(*arguments, **more)


class OwnData(TinyDataModule):
    """A data module that keeps its arguments."""

    def __init__(self, own: object = None) -> None:
        super().__init__()
        self.save_hyperparameters()


OPAQUE = 'and a checkpoint with it could not be opened for prediction'


@pytest.mark.filterwarnings('ignore::UserWarning')
def test_a_checkpoint_of_numbers_from_numpy_can_be_predicted_with(tmp_path: Path) -> None:
    weights = np.array([0.2, 0.3, 0.5], dtype=np.float32)
    own(tmp_path)  # a scene
    trainer = train(
        OwnData({'folder': tmp_path, 'gains': weights, np.int64(3): np.bool_(True)}),
        PreprocessingRecord(),
        Remembering([np.float64(0.5), np.str_('best')]),
        kind=Extended,
        class_weights=weights,
        lr=np.float64(1e-3),
        own=(np.int64(3), tmp_path),
    )
    path, destination = tmp_path / 'model.ckpt', tmp_path / 'map.tif'
    trainer.save_checkpoint(path)
    # the run itself goes on with what it was given
    assert trainer.lightning_module.hparams['class_weights'] is weights

    loaded = torch.load(path, weights_only=True)
    arguments = loaded['hyper_parameters']
    assert arguments['class_weights'] == weights.tolist()
    assert type(arguments['lr']) is float
    assert arguments['own'] == (3, str(tmp_path))
    data = {'folder': str(tmp_path), 'gains': weights.tolist(), 3: True}
    assert loaded['datamodule_hyper_parameters'] == {'own': data}
    assert loaded['callbacks']['Remembering'] == {'seen': [0.5, 'best']}
    assert type(loaded['optimizer_states'][0]['param_groups'][0]['lr']) is float

    words = [
        str(path),
        str(tmp_path / 'image.tif'),
        '-o',
        str(destination),
        '--size',
        '64',
        '--overlap',
        '0',
    ]
    task = ['--task-class', 'torchgeo.tasks.SemanticSegmentation']
    assert main(['predict', *words, *task, '--no-progress']) == 0
    assert destination.exists()


@pytest.mark.parametrize(
    ('arguments', 'told'),
    [
        (
            {'own': nn.ReLU()},
            rf'^Extended: hyperparameter own is of type .*\.ReLU, {OPAQUE}, .* leave it out, with save_',
        ),
        ({'own': signal.SIGTERM}, rf"own is of type signal\.Signals, {OPAQUE}, .*; pass 'SIGTERM'"),
        ({'own': [1, {'a': range(3)}]}, rf"own\[1\]\['a'\] is of type builtins\.range, {OPAQUE}"),
    ],
)
@pytest.mark.filterwarnings('ignore::UserWarning')
def test_what_prediction_could_not_open_is_refused_before_training(
    arguments: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValueError, match=told) as refused:
        train(TinyDataModule(), PreprocessingRecord(), kind=Extended, **arguments)
    assert '\n' not in str(refused.value)
    with pytest.raises(ValueError, match=r'^OwnData: hyperparameter own'):
        train(OwnData(arguments['own']), PreprocessingRecord())
    with pytest.raises(ValueError, match=r"^Remembering: state\['seen'\].*return numbers, text"):
        train(TinyDataModule(), PreprocessingRecord(), Remembering(arguments['own']))
