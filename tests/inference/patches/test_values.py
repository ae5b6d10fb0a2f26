from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin
from torchgeo.tasks import PixelwiseRegression, Regression

from gersp_geo.inference.model.embedder import load_classifier
from gersp_geo.main import main


def save(path: Path, task: Regression, **record: object) -> None:
    prepared = {'bands': ['red', 'green', 'blue'], 'scale': [1.0] * 3, 'mean': [90.0] * 3, 'std': [50.0] * 3}  # fmt: skip
    saved = {'state_dict': task.state_dict(), 'hyper_parameters': dict(task.hparams)}
    name = f'torchgeo.tasks.{type(task).__name__}'
    torch.save(saved | {'gersp_geo': {**prepared, **record, 'task_class': name}}, path)


def test_a_regression_gives_each_patch_its_value(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    task = Regression('resnet18').eval()
    save(tmp_path / 'model.ckpt', task, class_names=['yield'], units=['t/ha'], size=32)
    pixels = np.random.default_rng(0).integers(1, 255, (3, 64, 96), dtype=np.uint8)
    with rasterio.open(
        tmp_path / 'scene.tif', 'w', driver='GTiff', count=3, height=64, width=96, dtype='uint8',
        crs='EPSG:32633', transform=from_origin(500000, 5000000, 10, 10),
    ) as dst:  # fmt: skip
        dst.write(pixels)
    table, raster, picture = (tmp_path / f'values.{kind}' for kind in ('parquet', 'tif', 'png'))
    words = [
        'predict', str(tmp_path / 'model.ckpt'), str(tmp_path / 'scene.tif'), '-o', str(table),
        '--size', '32', '--raster', str(raster), '--preview', str(picture),
    ]  # fmt: skip
    assert main(words) == 0
    patches = torch.from_numpy(pixels).float().unfold(1, 32, 32).unfold(2, 32, 32)
    images = (patches.flatten(1, 2).movedim(1, 0) - 90) / 50
    with torch.inference_mode():
        expected = task(images)[:, 0].numpy()
    frame = geopandas.read_parquet(table)
    np.testing.assert_allclose(frame['value'], expected, atol=1e-4)
    assert set(frame.columns) == {'row', 'col', 'observed', 'value', 'geometry'}
    with rasterio.open(raster) as src:
        assert (src.units, src.descriptions) == (('t/ha',), ('yield',))
        np.testing.assert_allclose(src.read(1).ravel(), expected, atol=1e-4)
    assert picture.exists()
    assert 'vector' not in capsys.readouterr().out


def test_values_of_pixels_are_no_values_of_patches(tmp_path: Path) -> None:
    save(tmp_path / 'model.ckpt', PixelwiseRegression('fcn', num_filters=2))
    with pytest.raises(ValueError, match='returns quantities of pixels'):
        load_classifier(tmp_path / 'model.ckpt', preprocessing=None, task_class=None)
