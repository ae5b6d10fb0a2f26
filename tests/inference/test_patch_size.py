"""Patches of no given size are as large, and overlap as much, as model and scene need."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from numpy.typing import NDArray
from rasterio.transform import from_origin
from torch import Tensor, nn

from gersp_geo import plan_prediction, predict_geotiff
from gersp_geo.inference import patch_size
from gersp_geo.inference.finishing import is_made
from gersp_geo.inference.options import MapOptions
from gersp_geo.inference.outputs.map_maker import MapMaker
from gersp_geo.inference.prepare import prepare
from gersp_geo.inference.resume.identity import identify
from gersp_geo.preprocessing import Preprocessing

RECORD = Preprocessing(bands=('x',), scale=(1 / 255,), mean=(0.5,), std=(0.3,))
OPTIONS: dict[str, Any] = {
    'preprocessing': RECORD, 'progress': False, 'device': 'cpu', 'runtime': 'eager',
}  # fmt: skip
SIDE = 1300


def halving() -> nn.Module:
    """Look 4 px far, in steps of 2."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 2, 5, padding=2),
        nn.MaxPool2d(2),
        nn.Conv2d(2, 3, 3, padding=1),
        nn.Upsample(scale_factor=2),
    ).eval()


class Pooled(nn.Module):
    """Sees the whole patch."""

    def forward(self, images: Tensor) -> Tensor:
        mean = (10 * images).mean(dim=(2, 3), keepdim=True)
        return torch.cat([images, mean.expand_as(images)], dim=1)


@pytest.fixture(scope='module')
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('scene') / 'scene.tif'
    pixels = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE), dtype=np.uint8)
    # so that parts of the scene differ
    pixels[SIDE // 3 :] //= 2
    with rasterio.open(
        path, 'w', driver='GTiff', height=SIDE, width=SIDE, count=1, dtype='uint8', tiled=True,
        crs='EPSG:32632', transform=from_origin(5e5, 5e6, 1, 1),
    ) as dst:  # fmt: skip
        dst.write(pixels, 1)
    return path


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure in small scenes too."""
    monkeypatch.setattr(patch_size, '_SHARE', 1.0)


def read(path: Path) -> tuple[NDArray[np.uint8], dict[str, str]]:
    with rasterio.open(path) as src:
        return src.read(1), src.tags()


@pytest.mark.usefixtures('always')
def test_a_map_is_the_same_however_it_is_cut(scene: Path, tmp_path: Path) -> None:
    for blend in ('hann', 'crop'):
        predict_geotiff(halving(), scene, tmp_path / f'{blend}.tif', blend=blend, **OPTIONS)
    predict_geotiff(halving(), scene, tmp_path / 'given.tif', size=400, **OPTIONS)
    automatic, tags = read(tmp_path / 'hann.tif')
    assert int(tags['PATCH_SIZE']) > 512
    assert tags['PATCH_OVERLAP'] == '8'
    assert tags['PATCH_STEP'] == '2'
    for other in ('crop', 'given'):
        assert (read(tmp_path / f'{other}.tif')[0] == automatic).mean() >= 0.9999


@pytest.mark.usefixtures('always')
def test_plans_say_how_far_a_model_looks(scene: Path, tmp_path: Path) -> None:
    for model, found in ((halving(), 'px far)'), (Pooled(), 'as far as a patch reaches')):
        plan = plan_prediction(model, scene, tmp_path / 'map.tif', **OPTIONS)
        assert found in str(plan)
    assert (plan.tiles.size, plan.tiles.overlap, plan.options.step) == (512, 64, 1)


def test_small_scenes_are_cut_as_ever(scene: Path, tmp_path: Path) -> None:
    plan = plan_prediction(halving(), scene, tmp_path / 'map.tif', **OPTIONS)
    assert (plan.tiles.size, plan.tiles.overlap, plan.reach) == (512, 64, None)


@pytest.mark.usefixtures('always')
def test_nothing_is_measured_where_there_is_little_to_see(tmp_path: Path) -> None:
    path = tmp_path / 'scene.tif'
    pixels = np.zeros((SIDE, SIDE), dtype=np.uint8)
    pixels[::8, ::8] = np.random.default_rng(0).integers(1, 255, pixels[::8, ::8].shape)
    with rasterio.open(
        path, 'w', driver='GTiff', height=SIDE, width=SIDE, count=1, dtype='uint8', nodata=0,
        crs='EPSG:32632', transform=from_origin(5e5, 5e6, 1, 1), tiled=True,
    ) as dst:  # fmt: skip
        dst.write(pixels, 1)
    plan = plan_prediction(halving(), path, tmp_path / 'map.tif', **OPTIONS)
    assert (plan.tiles.size, plan.tiles.overlap, plan.reach) == (512, 64, None)


@pytest.mark.usefixtures('always')
def test_a_model_that_takes_one_size_is_cut_as_ever(scene: Path, tmp_path: Path) -> None:
    class Fixed(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            if images.shape[-2:] != (512, 512):
                raise AssertionError('512 only')
            return torch.cat([images, -images], dim=1)

    plan = plan_prediction(Fixed(), scene, tmp_path / 'map.tif', **OPTIONS)
    assert (plan.tiles.size, plan.tiles.overlap) == (512, 64)


class OddError(Exception):
    """What no library raises."""


@pytest.mark.usefixtures('always')
@pytest.mark.parametrize('sides', [(512,), (256, 512, 1024)])
def test_a_model_that_refuses_sizes_in_its_own_way_is_cut_as_ever(
    sides: tuple[int, ...], scene: Path, tmp_path: Path
) -> None:
    class Picky(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            if not {*images.shape[-2:]} <= {*sides}:
                raise OddError(images.shape)
            return torch.cat([images, -images], dim=1)

    plan = plan_prediction(Picky(), scene, tmp_path / 'map.tif', **OPTIONS)
    assert (plan.tiles.size, plan.tiles.overlap) == (512, 64)
    if 1024 not in sides:
        assert 'cannot be measured: torch.Size(' in str(plan)


def test_what_was_begun_goes_on_with_its_patches(scene: Path, tmp_path: Path) -> None:
    options = OPTIONS | {'part_pixels': 1}
    given: dict[str, Any] = {'size': 416, 'overlap': 32, 'margin': 8}
    final = tmp_path / 'map.tif'
    predict_geotiff(halving(), scene, tmp_path / 'whole.tif', **options, **given)
    predict_geotiff(halving(), scene, final, shard='0/2', **options, **given)
    predict_geotiff(halving(), scene, final, shard='1/2', **options)
    header = json.loads((tmp_path / '.map.tif.parts' / 'prediction.json').read_text())
    assert header
    predict_geotiff(halving(), scene, final, merge=True, **options)
    assert final.read_bytes() == (tmp_path / 'whole.tif').read_bytes()


def test_what_was_made_with_other_patches_is_known_again(scene: Path, tmp_path: Path) -> None:
    final = tmp_path / 'map.tif'
    predict_geotiff(halving(), scene, final, **OPTIONS, size=416, overlap=32, margin=8)
    for options, is_known in ((OPTIONS, True), (OPTIONS | {'size': 512}, False)):
        plan = prepare(MapMaker, halving(), scene, final, MapOptions(**options), may_exist=True)
        assert is_made(plan, identify(plan)) == is_known


@pytest.mark.parametrize('words', [{'size': 'large'}, {'overlap': 'wide'}])
def test_other_words_are_refused(words: dict[str, Any], scene: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be a number of pixels or 'auto', got"):
        predict_geotiff(halving(), scene, tmp_path / 'map.tif', **OPTIONS, **words)
