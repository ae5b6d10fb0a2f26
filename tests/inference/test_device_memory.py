from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from gersp_geo.inference import predict_geotiff
from gersp_geo.inference.device_memory import fit_batch, free_bytes, halve_batch, largest_batch
from gersp_geo.inference.options import MapOptions
from gersp_geo.inference.outputs.map_maker import MapMaker
from gersp_geo.inference.plan import PredictionPlan
from gersp_geo.inference.prepare import prepare
from gersp_geo.inference.run import run_plan
from gersp_geo.preprocessing import Preprocessing

OPTIONS: dict[str, Any] = {
    'preprocessing': Preprocessing(bands=('red',), scale=(1.0,), mean=(3.0,), std=(2.0,)),
    'size': 32, 'overlap': 8, 'progress': False, 'device': 'cpu',
}  # fmt: skip


class Greedy(nn.Module):
    """Runs out of memory, as torch says it of a GPU, where a batch is too large."""

    def __init__(self, most: int, *, calls: int = 10**6) -> None:
        super().__init__()
        self.most, self.calls = most, calls

    def forward(self, images: Tensor) -> Tensor:
        if len(images) > self.most:
            raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB.')
        self.calls -= 1
        if self.calls < 0:
            raise KeyboardInterrupt
        return torch.cat([images, 1 - images], dim=1)


@pytest.fixture(scope='module')
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('scene') / 'scene.tif'
    with rasterio.open(
        path, 'w', driver='GTiff', height=120, width=150, count=1, dtype='uint8',
        crs='EPSG:32632', transform=Affine(1, 0, 4e5, 0, -1, 5e6),
    ) as dst:  # fmt: skip
        dst.write(np.random.default_rng(1).integers(0, 9, (1, 120, 150), dtype='uint8'))
    return path


def prepared(model: nn.Module, scene: Path, destination: Path, **options: Any) -> PredictionPlan:
    return prepare(MapMaker, model, scene, destination, MapOptions(**OPTIONS | options))


@given(most=st.integers(1, 2000), room=st.integers(1, 3000))
def test_halving_ends_at_the_first_batch_that_fits(most: int, room: int) -> None:
    tried = []

    def forward(count: int) -> None:
        tried.append(count)
        if count > room:
            raise torch.OutOfMemoryError

    found = largest_batch(forward, most=most)
    assert found == tried[-1] <= room
    assert tried == [most // 2**n for n in range(len(tried))]
    assert all(count > room for count in tried[:-1])


def test_a_batch_that_is_too_large_is_halved_and_the_map_stays(scene: Path, tmp_path: Path) -> None:
    plan = prepared(Greedy(3), scene, tmp_path / 'halved.tif')
    assert plan.batch_size == 1024
    with pytest.warns(UserWarning, match='batches of 1024 patches of 32 px; they are made of 2'):
        fitted = halve_batch(plan)
    assert fitted.batch_size == 2
    run_plan(fitted, progress=False)
    predict_geotiff(Greedy(3), scene, tmp_path / 'asked.tif', batch_size=2, **OPTIONS)
    with (
        rasterio.open(tmp_path / 'halved.tif') as one,
        rasterio.open(tmp_path / 'asked.tif') as two,
    ):
        assert np.array_equal(one.read(), two.read())


def test_costs_follow_the_batch(scene: Path, tmp_path: Path) -> None:
    plan = prepared(Greedy(3), scene, tmp_path / 'map.tif')
    on_device = replace(plan.costs, device_rows_bytes=1000, device_bytes=1000 + 1024 * 50)
    with pytest.warns(UserWarning, match='too little memory'):
        fitted = halve_batch(replace(plan, costs=on_device))
    assert fitted.costs.device_bytes == 1000 + 2 * 50


def test_a_run_that_was_stopped_goes_on_with_the_batch_it_found(
    scene: Path, tmp_path: Path
) -> None:
    destination = tmp_path / 'map.tif'
    # the patch of zeros, the batches that are tried, and the first row of patches
    plan = prepared(Greedy(3, calls=8), scene, destination, part_pixels=1, runtime='eager')
    with pytest.warns(UserWarning, match='too little memory'), pytest.raises(KeyboardInterrupt):
        run_plan(halve_batch(plan), progress=False)
    again = prepared(Greedy(3), scene, destination, part_pixels=1)
    assert again.batch_size == 2
    # settled: what is too large now is an error, and nothing else is tried
    assert fit_batch(replace(again, device='cuda')).batch_size == 2
    assert run_plan(again, progress=False).parts_before > 0


def test_a_shortage_is_named_in_one_line(scene: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='4 patches of 32 px at a time; lower') as told:
        predict_geotiff(Greedy(3), scene, tmp_path / 'map.tif', batch_size=4, **OPTIONS)
    assert '\n' not in str(told.value)
    model = Greedy(1)
    plan = prepared(model, scene, tmp_path / 'map.tif')
    model.most = 0
    with pytest.raises(ValueError, match='for 1 patch of 32 px at a time'):
        halve_batch(plan)


def test_a_plan_says_what_is_free(scene: Path, tmp_path: Path) -> None:
    assert free_bytes('cpu') is None
    costs = prepared(Greedy(3), scene, tmp_path / 'map.tif').costs
    room = replace(costs, device_bytes=2**30, model_bytes=2**30, device_free=2**31)
    assert room.lines()['memory'].endswith('1.0 GiB in it and 2.0 GiB free there')
    tight = replace(room, device_free=2**31 - 1).lines()['memory']
    assert tight.endswith('2.0 GiB free there, which is too little')
