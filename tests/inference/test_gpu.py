"""A GPU predicts what a CPU does; ``GERSP_GEO_TEST_DEVICE=cpu`` tries these tests without one."""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import segmentation_models_pytorch as smp
import timm
import torch
from numpy.typing import NDArray
from pyarrow.parquet import read_table
from rasterio.transform import from_origin
from torch import nn

from gersp_geo import classify_scene, detect_objects, embed_scene, plan_prediction, predict_geotiff
from gersp_geo.preprocessing import Preprocessing

DEVICE = os.environ.get('GERSP_GEO_TEST_DEVICE', 'cuda')
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        DEVICE == 'cuda' and not torch.cuda.is_available(), reason='needs a GPU of CUDA'
    ),
]

BANDS, CLASSES, SIDE, SIZE = 4, 5, 300, 96
BASIS: dict[str, Any] = {'size': SIZE, 'overlap': 32, 'overwrite': True, 'progress': False}


def record(dtype: str) -> Preprocessing:
    """Bring values in [0, 200) to about [-1, 1]."""
    return Preprocessing(
        bands=('red', 'green', 'blue', 'nir'), dtype=dtype, scale=(0.01,) * BANDS,
        mean=(1.0,) * BANDS, std=(1.0,) * BANDS,
        class_names=tuple(f'class {index}' for index in range(CLASSES)),
    )  # fmt: skip


def write_scene(folder: Path, dtype: str = 'uint8') -> Path:
    """Write smooth structures with a hole of nodata."""
    path = folder / f'scene-{dtype}.tif'
    if path.exists():
        # whose time of change stands in what is made of it
        return path
    random = np.random.default_rng(0)
    coarse = random.integers(1, 200, (BANDS, SIDE // 20, SIDE // 20))
    pixels = coarse.repeat(20, 1).repeat(20, 2).astype(dtype)
    pixels[:, 40:90, 50:80] = 0
    with rasterio.open(
        path, 'w', driver='GTiff', height=SIDE, width=SIDE, count=BANDS, dtype=dtype, nodata=0,
        crs='EPSG:32632', transform=from_origin(4e5, 5e6, 1, 1), tiled=True, blockxsize=128,
        blockysize=128, photometric='minisblack',
    ) as dst:  # fmt: skip
        dst.write(pixels)
    return path


def unet() -> nn.Module:
    torch.manual_seed(0)
    network: nn.Module = smp.Unet(
        'resnet18', encoder_weights=None, in_channels=BANDS, classes=CLASSES
    )
    return network.eval()


def predict(folder: Path, device: str, *, dtype: str = 'uint8', **given: Any) -> NDArray[Any]:
    path = folder / 'map.tif'
    options: dict[str, Any] = {'output': 'probabilities', 'preprocessing': record(dtype), **given}
    predict_geotiff(unet(), write_scene(folder, dtype), path, device=device, **BASIS | options)
    with rasterio.open(path) as src:
        pixels: NDArray[Any] = src.read()
    return pixels


def difference(ours: NDArray[Any], theirs: NDArray[Any]) -> float:
    assert np.array_equal(np.isnan(ours), np.isnan(theirs))
    return float(np.nanmax(np.abs(ours - theirs)))


@pytest.mark.parametrize('dtype', ['uint8', 'uint16', 'int16', 'uint32', 'int32', 'float32'])
def test_every_type_of_pixels_gives_the_map_of_a_cpu(dtype: str, tmp_path: Path) -> None:
    # a thousandth, if convolutions were rounded to TF32
    ours, theirs = (predict(tmp_path, device, dtype=dtype) for device in (DEVICE, 'cpu'))
    assert difference(ours, theirs) < 1e-4


@pytest.mark.parametrize(
    ('options', 'precision', 'limit'),
    [
        ({'blend': 'crop'}, 'float32', 1e-4),
        ({'averaging': 'rotations'}, 'float32', 1e-4),
        ({'memory_limit': '3MiB'}, 'float32', 1e-4),
        ({'runtime': 'eager'}, 'float32', 1e-4),
        ({}, 'bfloat16', 5e-2),
        ({'runtime': 'compiled'}, 'float32', 1e-4),
    ],
    ids=['crop', 'rotations', 'panels', 'eager', 'bfloat16', 'compiled'],
)
def test_every_option_gives_the_map_of_a_cpu(
    options: Mapping[str, Any], precision: str, limit: float, tmp_path: Path
) -> None:
    ours = predict(tmp_path, DEVICE, precision=precision, **options)
    theirs = predict(tmp_path, 'cpu', **{k: v for k, v in options.items() if k != 'runtime'})
    assert difference(ours, theirs) < limit


@pytest.mark.parametrize('blend', ['hann', 'crop'])
def test_classes_are_those_of_a_cpu(blend: str, tmp_path: Path) -> None:
    ours, theirs = (
        predict(tmp_path, device, output='classes', blend=blend) for device in (DEVICE, 'cpu')
    )
    assert (ours == theirs).mean() > 0.999


def test_two_runs_give_one_map(tmp_path: Path) -> None:
    bodies = []
    for _ in range(2):
        predict(tmp_path, DEVICE, batch_size=3)
        bodies.append((tmp_path / 'map.tif').read_bytes())
    assert bodies[0] == bodies[1]


def test_a_plan_promises_at_least_the_memory_that_is_taken(tmp_path: Path) -> None:
    asked = {**BASIS, 'preprocessing': record('uint8'), 'device': DEVICE}
    asked.pop('progress')
    scene, path = write_scene(tmp_path), tmp_path / 'map.tif'
    plan = plan_prediction(unet(), scene, path, calibrate=True, **asked)
    if DEVICE == 'cpu':
        pytest.skip('memory of a CPU is measured elsewhere')
    costs, model = plan.costs, unet().to(DEVICE)
    assert costs.device_free is not None
    assert 0 < costs.device_bytes < costs.device_free
    torch.cuda.reset_peak_memory_stats(DEVICE)
    held = torch.cuda.memory_allocated(DEVICE)
    predict_geotiff(model, scene, path, progress=False, **asked)
    taken = torch.cuda.max_memory_allocated(DEVICE) - held
    assert taken <= costs.device_bytes + (costs.model_bytes or 0)


def test_a_batch_is_halved_until_it_fits(tmp_path: Path) -> None:
    if DEVICE == 'cpu':
        pytest.skip('memory of a CPU is not what runs out')
    whole = predict(tmp_path, DEVICE, batch_size=2)
    torch.cuda.empty_cache()
    # room for the model and some patches of 96 px, not for the 455 that fill a batch
    room = torch.cuda.memory_reserved() + 2**28
    torch.cuda.set_per_process_memory_fraction(room / torch.cuda.mem_get_info()[1])
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            halved = predict(tmp_path, DEVICE)
    finally:
        torch.cuda.set_per_process_memory_fraction(1)
    assert any('too little memory for batches of 455' in str(w.message) for w in caught)
    assert difference(halved, whole) < 1e-4


def test_patches_are_described_as_on_a_cpu(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = timm.create_model('resnet18', in_chans=BANDS, num_classes=CLASSES).eval()
    stem: Any = network.conv1
    pooled = nn.Sequential(stem, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    options: dict[str, Any] = {
        'size': SIZE, 'progress': False, 'overwrite': True, 'preprocessing': record('uint16'),
    }  # fmt: skip
    scene, rows = write_scene(tmp_path, 'uint16'), []
    for device in (DEVICE, 'cpu'):
        embedded, classified = tmp_path / 'embedded.parquet', tmp_path / 'classified.parquet'
        embed_scene(pooled, scene, embedded, device=device, **options)
        classify_scene(network, scene, classified, device=device, **options)
        rows.append((read_table(embedded).num_rows, read_table(classified).num_rows))
    assert rows[0] == rows[1]
    assert min(rows[0]) > 0


def test_objects_are_found(tmp_path: Path) -> None:
    from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn

    torch.manual_seed(0)
    detector = fasterrcnn_mobilenet_v3_large_320_fpn(
        weights=None, weights_backbone=None, num_classes=3, box_score_thresh=0.0
    ).eval()
    three = Preprocessing(
        bands=('red', 'green', 'blue'), scale=(0.005,) * 3, mean=(0.0,) * 3, std=(1.0,) * 3
    )
    found = [
        detect_objects(
            detector, write_scene(tmp_path), tmp_path / 'objects.gpkg', score_threshold=0.05,
            preprocessing=three, bands=(1, 2, 3), device=device, **BASIS,
        )
        for device in (DEVICE, 'cpu')
    ]  # fmt: skip
    assert found[0].forwarded == found[1].forwarded > 0
    assert abs(found[0].boxes - found[1].boxes) <= 0.02 * found[1].boxes
