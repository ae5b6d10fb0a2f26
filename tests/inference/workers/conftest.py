"""A cluster, scenes and models for the tests of workers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torchgeo.tasks import Classification, SemanticSegmentation

from gersp_geo.tasks import ChangeDetection, ObjectDetection
from tests.inference.patches.scenes import noise, save, write_scene
from tests.inference.workers.ray_nodes import Nodes, two_nodes


@pytest.fixture(scope='module')
def nodes() -> Iterator[Nodes]:
    with two_nodes() as found:
        yield found


@pytest.fixture(scope='module')
def cluster_work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene, another date, a folder of scenes with two broken ones, and models."""
    folder = tmp_path_factory.mktemp('work')
    torch.manual_seed(0)
    settings: dict[str, Any] = {'in_channels': 2, 'num_classes': 3}
    save(folder / 'maps.ckpt', SemanticSegmentation('fcn', num_filters=8, **settings))
    save(folder / 'slow.ckpt', SemanticSegmentation('unet', 'resnet18', **settings))
    save(folder / 'classify.ckpt', Classification('resnet18', **settings))
    save(folder / 'objects.ckpt', ObjectDetection('faster-rcnn', 'resnet18', **settings))
    change = ChangeDetection('unet', 'resnet18', in_channels=2, num_classes=2)
    save(folder / 'change.ckpt', change, names=('same', 'changed'))
    write_scene(folder / 'scene.tif', noise(300, 200))
    write_scene(folder / 'after.tif', noise(300, 200, seed=1))
    write_scene(folder / 'long.tif', noise(1600, 200))
    (folder / 'scenes').mkdir()
    for number in range(18):
        write_scene(folder / 'scenes' / f'{number}.tif', noise(150, 150, seed=number))
    (folder / 'scenes' / '18.tif').write_text('no raster')
    whole = (folder / 'scenes' / '4.tif').read_bytes()
    (folder / 'scenes' / '19.tif').write_bytes(whole[: len(whole) // 2])
    return folder
