from pathlib import Path
from typing import Any

import kornia.augmentation as K
import pytest
import torch
from torch import Tensor
from torchgeo.datamodules import BaseDataModule, LEVIRCDDataModule, LoveDADataModule, OSCDDataModule
from torchgeo.tasks import ChangeDetection, SemanticSegmentation

from gersp_geo.datamodules.probing import probe_datamodule, probe_transform
from tests.downstream.layouts import write_data_set

SHAPE = (3, 16, 16)


def column(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values).view(-1, 1, 1)


def sequential(*steps: Any) -> Any:
    return K.AugmentationSequential(*steps, data_keys=None, keepdim=True)


@pytest.mark.parametrize(
    'transform',
    [
        sequential(K.Normalize(mean=0, std=255)),
        sequential(
            K.Normalize(mean=0, std=10000),
            K.Normalize(mean=torch.tensor([0.4, 0.5, 0.6]), std=torch.tensor([0.2, 0.3, 0.1])),
        ),
        lambda batch: {'image': (batch['image'].float() - 1e4) / 500},
    ],
)
def test_probing_finds_the_affine_map(transform: Any) -> None:
    mean, std = probe_transform(transform, shape=SHAPE)
    raw = torch.rand(2, *SHAPE) * 1e4
    expected = transform({'image': raw.clone()})['image']
    found = (raw - column(tuple(mean))) / column(tuple(std))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ('transform', 'reason'),
    [
        (lambda b: {'image': b['image'].clamp(0, 255) / 255}, 'another way'),
        (
            lambda b: {
                'image': b['image'] / b['image'].amax(dim=(-1, -2), keepdim=True).clamp(min=1)
            },
            'another way',
        ),
        (lambda b: {'image': b['image'].roll(1, dims=-1)}, 'another way'),
        (lambda b: {'image': b['image'].flip(1)}, 'another way'),
        (lambda b: {'image': -b['image']}, 'does not grow'),
        (lambda b: {'image': b['image'][..., :-1]}, 'changes the shape'),
        (lambda b: {'image': b['image'] + b['mask']}, 'fails on plain images'),
        (sequential(K.RandomBrightness(p=1.0), K.Normalize(mean=0, std=255)), 'another way'),
    ],
)
def test_other_transforms_are_refused(transform: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=f'{reason}.*pass PreprocessingRecord'):
        probe_transform(transform, shape=SHAPE)


@pytest.mark.parametrize(
    ('datamodule', 'mean', 'std'),
    [
        (
            OSCDDataModule(bands=('B04', 'B03', 'B02')),
            (1254.932861, 1257.10827, 1351.331909),
            (726.405435, 508.967377, 394.556732),
        ),
        (LEVIRCDDataModule(), (0, 0, 0), (255, 255, 255)),
    ],
    ids=['OSCD', 'LEVIR-CD'],
)
@pytest.mark.filterwarnings('ignore::UserWarning')
def test_of_two_dates_the_record_holds_for_both(
    datamodule: BaseDataModule, mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    task = ChangeDetection('fcn', in_channels=3, num_filters=4)
    record = probe_datamodule(datamodule, task)
    assert record.mean == pytest.approx(mean, rel=1e-5, abs=1e-6)
    assert record.std == pytest.approx(std, rel=1e-5)
    assert record.class_names == ('no change', 'change')


def test_two_dates_that_are_prepared_in_two_ways_have_no_record() -> None:
    def transform(batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {'image': batch['image'] / column((1.0, 2.0))[:, None]}

    with pytest.raises(ValueError, match='it changes values in another way'):
        probe_transform(transform, shape=(2, 3, 8, 8))


def test_classes_of_loveda_are_named_by_the_values_of_its_masks(tmp_path: Path) -> None:
    data = LoveDADataModule(root=write_data_set('loveda', tmp_path / 'loveda'))
    data.setup('fit')
    task = SemanticSegmentation('fcn', num_classes=8, num_filters=2, ignore_index=0)
    names = probe_datamodule(data, task).class_names
    # https://github.com/Junjue-Wang/LoveDA: 0 is no label, 1 background, 7 agriculture
    assert (names[0], names[1], names[7]) == ('no-data', 'background', 'agriculture')
