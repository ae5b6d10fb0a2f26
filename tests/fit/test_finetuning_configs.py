"""Every configuration of fine-tuning as it is shipped, for two steps and a batch of the test."""

from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import torch
import yaml
from shapely import box

from gersp_geo.bands import SENTINEL2
from gersp_geo.main import main

CONFIGS = Path(__file__).parents[2] / 'configs' / 'finetune'
NAMES = sorted(path.stem for path in CONFIGS.glob('*.yaml'))


def write_sentinel2(folder: Path) -> None:
    """Thirteen bands in digital numbers, and fields of six classes, where the file looks for them."""
    path = folder / 'data' / 'sentinel2' / 'scene.tif'
    path.parent.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(1, 5000, (13, 384, 384), dtype=np.uint16)
    with rasterio.open(
        path, 'w', driver='GTiff', count=13, height=384, width=384, dtype='uint16',
        crs='EPSG:32633', transform=rasterio.Affine(10, 0, 5e5, 0, -10, 5e6),
    ) as dst:  # fmt: skip
        dst.write(pixels)
        dst.descriptions = SENTINEL2.bands
    fields = [box(5e5 + 640 * i, 5e6 - 3840, 5e5 + 640 * (i + 1), 5e6) for i in range(6)]
    frame = geopandas.GeoDataFrame({'class_name': [*'abcdef']}, geometry=fields, crs='EPSG:32633')
    frame.to_file(folder / 'data' / 'landcover.gpkg')


@pytest.mark.slow
@pytest.mark.parametrize('name', NAMES)
def test_a_configuration_takes_two_steps_and_is_tested(name: str, workplace: Path) -> None:
    if name == 'segmentation_13band':
        write_sentinel2(workplace)
    options = yaml.safe_load((CONFIGS / f'{name}.yaml').read_text())['data']['init_args']
    blocks = ['--data.block_size=64'] if 'block_size' in options or options['size'] > 64 else []
    words = [
        f'--config={CONFIGS / name}.yaml', '--data.size=64', *blocks, '--data.batch_size=2',
        '--data.length=4', '--data.test_split=0.2', '--trainer.max_epochs=1',
        '--trainer.limit_val_batches=1', '--trainer.limit_test_batches=1',
        '--trainer.accelerator=cpu', '--trainer.enable_progress_bar=false',
    ]  # fmt: skip
    assert main(['fit', *words]) == 0
    checkpoint = workplace / 'runs' / name / 'checkpoints' / 'last.ckpt'
    assert torch.load(checkpoint, weights_only=True)['global_step'] == 2
    assert main(['test', *words, f'--ckpt_path={checkpoint}']) == 0
