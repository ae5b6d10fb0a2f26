"""What programs leave in folders of images, through the command."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.filterwarnings('ignore::UserWarning')


@pytest.fixture
def natural(tmp_path: Path) -> Path:
    """Two classes of four images, with Jupyter's copies beside and inside."""
    rng = np.random.default_rng(0)
    for name in ('ant', 'zebra', '.ipynb_checkpoints', 'ant/.ipynb_checkpoints'):
        (tmp_path / 'natural' / name).mkdir(parents=True)
        for i in range(4):
            pixels = rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / 'natural' / name / f'{i}.png')
    (tmp_path / 'natural' / '.git').mkdir()
    (tmp_path / 'natural' / 'bee').mkdir()
    return tmp_path / 'natural'


def test_hidden_and_empty_folders_are_no_classes(
    fit_pretraining: Callable[..., Any], put: Callable[..., Path], natural: Path
) -> None:
    pixels = np.random.default_rng(0).integers(1, 255, (3, 128, 128), dtype=np.uint8)
    scene = put('scenes/a.tif', pixels)
    put('scenes/.ipynb_checkpoints/a-checkpoint.tif', pixels[:1])
    (natural / '._0.png').touch()
    (scene.parent / '._a.tif').write_bytes(b'\x00\x05\x16\x07')
    run = fit_pretraining(
        {
            'data.remote_sensing': scene.parent,
            'data.natural': natural,
            'model.supervised_weight': 1.0,
            'model.num_classes': 2,
        }
    )
    # a third class would be refused, as would a raster of one band or of no format
    assert run.record['bands'] == ['red', 'green', 'blue']
    assert run.checkpoint['hyper_parameters']['num_classes'] == 2
