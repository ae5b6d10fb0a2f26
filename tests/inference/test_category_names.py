"""Maps of classes tell GDAL the names of their classes, through the command."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from torchgeo.tasks import Classification, SemanticSegmentation

from gersp_geo.geoio.read.categories import read_categories
from gersp_geo.geoio.write.geotiff import write_raster
from gersp_geo.main import main
from gersp_geo.preprocessing import Preprocessing


def save(path: Path, task: Any, *names: str) -> Path:
    record = Preprocessing(
        bands=('b0',), scale=(1.0,), mean=(0.0,), std=(1.0,), class_names=names,
        task_class=f'torchgeo.tasks.{type(task).__name__}',
    )  # fmt: skip
    saved = {'state_dict': task.state_dict(), 'hyper_parameters': dict(task.hparams)}
    saved |= {'pytorch-lightning_version': '2.6.0', 'gersp_geo': record.to_dict()}
    torch.save(saved, path)
    return path


def categories(path: Path) -> tuple[str, ...]:
    with rasterio.open(path) as src:
        return read_categories(src, largest=255)


@pytest.mark.parametrize('kind', ['pixels', 'patches'])
def test_names_come_and_go_with_the_map(kind: str, tmp_path: Path) -> None:
    task: Any = SemanticSegmentation('fcn', in_channels=1, num_classes=2, num_filters=4)
    if kind == 'patches':
        task = Classification('resnet18', in_channels=1, num_classes=2)
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    grid = Affine(10, 0, 4e5, 0, -10, 5e6)
    scene = write_raster(tmp_path / 'scene.tif', pixels, crs='EPSG:32633', transform=grid)
    first = save(tmp_path / 'one.ckpt', task, 'Äcker & Wiesen', 'water')
    second = save(tmp_path / 'two.ckpt', task, 'dry', 'wet')
    words = [scene, '-o', tmp_path / 'out' / 'map.tif', '--no-progress']
    words += ['--size', '32', *(['--overlap', '8'] if kind == 'pixels' else [])]

    def predict(model: Path, *more: str) -> None:
        assert main(['predict', str(model), *map(str, words), *more]) == 0

    predict(first)
    assert categories(tmp_path / 'out' / 'map.tif') == ('Äcker & Wiesen', 'water')
    predict(second, '--overwrite')
    assert categories(tmp_path / 'out' / 'map.tif') == ('dry', 'wet')
    if kind == 'pixels':
        predict(second, '--overwrite', '--output', 'probabilities')
        assert categories(tmp_path / 'out' / 'map.tif') == ()
        assert not (tmp_path / 'out' / 'map.tif.aux.xml').exists()
