from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from gersp_geo.comparison import linear_probe, neighbours
from gersp_geo.comparison.records import Split

SETS = ('clusters', 'ties', 'wide')


@pytest.fixture(scope='module')
def golden() -> dict[str, Tensor]:
    return load_file(Path(__file__).with_name('golden') / 'torchgeo_bench.safetensors')


def split(golden: dict[str, Tensor], name: str, part: str) -> Split:
    return Split(features=golden[f'{name}.{part}'], labels=golden[f'{name}.{part}_labels'])


@pytest.mark.parametrize('k', [1, 5, 1000])
@pytest.mark.parametrize('name', SETS)
def test_neighbours_vote_as_in_torchgeo_bench(golden: dict[str, Tensor], name: str, k: int) -> None:
    train = split(golden, name, 'train')
    found = neighbours.classify(
        golden[f'{name}.test'], bank=train.features, bank_labels=train.labels, k=k
    )
    assert found.classes.tolist() == golden[f'{name}.knn{k}'].tolist()


@pytest.mark.parametrize('name', SETS)
@pytest.mark.quick('ties', 'wide')
def test_linear_probe_is_that_of_torchgeo_bench(golden: dict[str, Tensor], name: str) -> None:
    parts = (split(golden, name, part) for part in ('train', 'val', 'test'))
    found = linear_probe.probe(*parts)
    assert found.chosen['C'] == pytest.approx(float(golden[f'{name}.cost']))
    agree = np.mean(found.predictions == golden[f'{name}.linear'].numpy())
    assert agree >= 0.999
    assert torch.from_numpy(found.predictions).dtype == torch.int64
