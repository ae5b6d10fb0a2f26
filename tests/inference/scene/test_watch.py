"""A scene that changes while it is read is noticed in the same run."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from rasterio.shutil import copy
from torch import Tensor
from torchgeo.tasks import SemanticSegmentation

from gersp_geo.geoio.polygons import maps as class_maps
from gersp_geo.geoio.read.reader import UnreadableFileError
from gersp_geo.geoio.write.parts import write_part
from gersp_geo.inference import embed_scene, plan_prediction, polygons, predict_geotiff
from gersp_geo.inference.outputs import maps
from gersp_geo.inference.polygons import polygonize
from gersp_geo.inference.scene.watch import SourceWatch
from gersp_geo.main import main
from gersp_geo.preprocessing import Preprocessing

from ..engines import UTM, write_scene

RECORD = Preprocessing(bands=('gray',), scale=(1.0,), mean=(0.0,), std=(1.0,))


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return write_scene(tmp_path / 'scene.tif', np.full((1, 256, 64), 1, dtype=np.uint8))


def predict(model: Callable[[Tensor], Tensor], source: Path, **options: Any) -> None:
    """Predict patch by patch."""
    predict_geotiff(
        model, source, source.parent / 'map.tif', size=32, overlap=0, batch_size=1,
        preprocessing=RECORD, output='values', progress=False, memory_limit='1MiB', **options,
    )  # fmt: skip


class Changing:
    """Hands values on, and lets a file change after some patches."""

    def __init__(self, change: Callable[[], object], *, after: int) -> None:
        self.change, self.left = change, after

    def __call__(self, images: Tensor) -> Tensor:
        self.left -= 1
        if self.left == 0:
            self.change()
        return images.clone()


def rewrite(path: Path) -> None:
    """Give a file of the same size other values."""
    with rasterio.open(path, 'r+') as dst:
        dst.write(np.full(dst.shape, 9, dtype=np.uint8), 1)


def touch(path: Path) -> None:
    os.utime(path, ns=(1, 1))


def append(path: Path) -> None:
    with path.open('ab') as stream:
        stream.write(b'more')


@pytest.mark.parametrize('change', [rewrite, touch, append])
@pytest.mark.parametrize('after', [3, 16])
@pytest.mark.parametrize('is_virtual', [False, True])
def test_a_scene_that_changes_becomes_no_map(
    is_virtual: bool, after: int, change: Callable[[Path], None], scene: Path, tmp_path: Path
) -> None:
    source = scene
    if is_virtual:
        copy(scene, tmp_path / 'scene.vrt', driver='VRT')
        source = tmp_path / 'scene.vrt'
    # the first patch is one of zeros, for the shape
    model = Changing(lambda: change(scene), after=after)
    with pytest.raises(UnreadableFileError, match=r'scene\.tif changed while it was read'):
        predict(model, source)
    assert model.left <= 0
    assert not (tmp_path / 'map.tif').exists()
    # anew, it is of what is there now
    predict(lambda images: images.clone(), source, overwrite=True)
    with rasterio.open(tmp_path / 'map.tif') as src, rasterio.open(scene) as now:
        np.testing.assert_array_equal(src.read(), now.read().astype(np.float32))


def test_the_later_date_and_a_mask_that_comes_are_noticed_too(scene: Path, tmp_path: Path) -> None:
    later = write_scene(tmp_path / 'later.tif', np.full((1, 256, 64), 2, dtype=np.uint8))
    model = Changing(lambda: rewrite(later), after=5)
    with pytest.raises(UnreadableFileError, match=r'later\.tif changed while it was read'):
        predict(lambda images: model(images)[:, 1], scene, after=later)
    mask = tmp_path / 'scene.tif.msk'
    model = Changing(lambda: copy(later, mask, driver='GTiff'), after=5)
    with pytest.raises(UnreadableFileError, match=r'scene\.tif\.msk changed while it was read'):
        predict(model, scene)


def test_a_scene_that_changes_after_planning_is_noticed(scene: Path, tmp_path: Path) -> None:
    plan = plan_prediction(
        lambda images: images, scene, tmp_path / 'map.tif', preprocessing=RECORD, output='values'
    )
    plan.watch.check()
    sleep(0.01)
    rewrite(scene)
    with pytest.raises(UnreadableFileError):
        plan.watch.check()


def test_a_map_that_changes_becomes_no_polygons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_scene(tmp_path / 'classes.tif', np.ones((1, 64, 64), dtype=np.uint8), crs=UTM)
    read = class_maps.read_strips

    def read_and_change(*arguments: Any, **options: Any) -> Iterator[Any]:
        yield from read(*arguments, **options)
        touch(source)

    monkeypatch.setattr(polygons, 'read_strips', read_and_change)
    with pytest.raises(UnreadableFileError, match=r'classes\.tif changed while it was read'):
        polygonize(source, tmp_path / 'a.gpkg', progress=False)
    assert not (tmp_path / 'a.gpkg').exists()


def test_what_does_not_change_is_left_alone(scene: Path) -> None:
    watch = SourceWatch.of([scene, None])
    # statistics of whoever looks at the raster
    scene.with_name('scene.tif.aux.xml').write_text('<PAMDataset/>')
    watch.check()
    # and the same watch still sees what does change
    rewrite(scene)
    with pytest.raises(UnreadableFileError, match=r'scene\.tif changed while it was read'):
        watch.check()


def test_patches_of_a_scene_that_changes_are_of_no_use(scene: Path) -> None:
    table = scene.with_name('table.parquet')

    def describe(images: Tensor) -> Tensor:
        rewrite(scene)
        return images.mean(dim=(2, 3))

    with pytest.raises(UnreadableFileError, match=r'scene\.tif changed while it was read'):
        embed_scene(
            describe, scene, table, size=32, preprocessing=RECORD, device='cpu', progress=False
        )
    assert not table.exists()


def test_the_command_names_the_file_in_one_line(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    task = SemanticSegmentation('fcn', in_channels=1, num_classes=2, num_filters=2, loss='ce')
    saved = {'state_dict': task.state_dict(), 'hyper_parameters': dict(task.hparams)}
    record = RECORD.to_dict() | {'task_class': 'torchgeo.tasks.SemanticSegmentation'}
    torch.save(
        saved | {'gersp_geo': record, 'pytorch-lightning_version': '2.6.0'}, tmp_path / 'm.ckpt'
    )
    write = write_part

    def write_and_change(*arguments: Any, **options: Any) -> None:
        write(*arguments, **options)
        touch(scene)

    monkeypatch.setattr(maps, 'write_part', write_and_change)
    words = (
        tmp_path / 'm.ckpt',
        scene,
        '-o',
        tmp_path / 'map.tif',
        '--no-progress',
        '--size',
        '64',
    )
    assert main(['predict', *map(str, words), '--overlap', '0']) == 1
    error = capsys.readouterr().err
    assert error.startswith(f'gersp-geo: error: {scene} changed while it was read')
    assert error.count('\n') == 1
    assert not (tmp_path / 'map.tif').exists()
