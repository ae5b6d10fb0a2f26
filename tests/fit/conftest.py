"""Training through the command that a user types, in this process."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

# its log handler keeps the stderr of the time of import, and a test's own is closed behind it
import lightning.pytorch  # noqa: F401
import numpy as np
import pytest
import rasterio
import torch
from numpy.typing import NDArray
from rasterio.transform import from_origin

from gersp_geo.main import main

type Raster = Callable[..., Path]
type Fit = Callable[..., 'Run']

SEGMENTATION = {
    'model': 'torchgeo.tasks.SemanticSegmentation',
    'model.model': 'fcn',
    'model.num_filters': 2,
    'model.ignore_index': 255,
    'model.num_classes': 2,
    'data': 'gersp_geo.datamodules.GeoTIFFSegmentationDataModule',
    'data.size': 32,
    'data.block_size': 32,
    'data.batch_size': 2,
    'data.length': 4,
    'trainer.max_epochs': 1,
}

PRETRAINING = {
    'model': 'gersp_geo.tasks.GeRSPTask',
    'model.model': 'test_resnet',
    'model.size': 32,
    'model.memory_bank_size': 4,
    'model.supervised_weight': 0.0,
    'data': 'gersp_geo.datamodules.GeRSPDataModule',
    'data.size': 32,
    'data.batch_size': 4,
    'data.patches_per_pass': 16,
    'trainer.max_steps': 2,
}

TRAINER = {
    'trainer.accelerator': 'cpu',
    'trainer.logger': 'false',
    'trainer.enable_progress_bar': 'false',
    'trainer.enable_model_summary': 'false',
}


class Run:
    """What the command answered, and the checkpoint that it left."""

    def __init__(self, code: int, out: str, err: str, folder: Path) -> None:
        self.code, self.out, self.err, self.folder = code, out, err, folder

    @property
    def refusal(self) -> str:
        """The one line in which the command refused."""
        assert self.code == 1, self.err
        line = self.err.splitlines()[-1]
        assert line.startswith('gersp-geo: error: '), self.err
        assert 'Traceback' not in self.err
        return line.removeprefix('gersp-geo: error: ')

    @property
    def checkpoint(self) -> dict[str, Any]:
        """The only checkpoint, loaded as anybody's would be."""
        assert self.code == 0, self.err
        (path,) = self.folder.rglob('*.ckpt')
        loaded: dict[str, Any] = torch.load(path, weights_only=True)
        return loaded

    @property
    def record(self) -> dict[str, Any]:
        """How input was prepared, from the checkpoint."""
        record: dict[str, Any] = self.checkpoint['gersp_geo']
        return record


@pytest.fixture(autouse=True)
def _told(caplog: pytest.LogCaptureFixture) -> None:
    """What training says is heard, also after a test that has turned it down."""
    caplog.set_level(logging.INFO, logger='lightning.pytorch')


@pytest.fixture
def fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Run]:
    """Run ``gersp-geo fit`` in the folder *run*, with options by name beside those of ``TRAINER``."""

    def run(options: Mapping[str, object], *, command: str = 'fit') -> Run:
        # Lightning writes the configuration and the checkpoint into the working folder
        folder = tmp_path / 'run'
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        words = [f'--{name}={value}' for name, value in (TRAINER | dict(options)).items()]
        capfd.readouterr()
        code = main([command, *words])
        out, err = capfd.readouterr()
        return Run(code, out, err, folder)

    return run


@pytest.fixture
def fit_segmentation(fit: Fit) -> Fit:
    """Fine-tune a small network for two classes: a few patches of 32 x 32 pixels, one epoch."""
    return lambda options, **more: fit(SEGMENTATION | dict(options), **more)


@pytest.fixture
def fit_pretraining(fit: Fit) -> Fit:
    """Pre-train a tiny ResNet without natural images: two steps of 4 patches of 32 x 32 pixels."""
    return lambda options, **more: fit(PRETRAINING | dict(options), **more)


@pytest.fixture
def put(tmp_path: Path) -> Raster:
    """Write a raster of shape (bands, rows, cols) or (rows, cols), on one grid unless told."""

    def write(
        name: str,
        pixels: NDArray[np.generic],
        *,
        res: float = 10.0,
        corner: tuple[float, float] = (4e5, 5e6),
        crs: Any = 'EPSG:32633',
        descriptions: tuple[str, ...] | None = None,
        **profile: Any,
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        bands = pixels[None] if pixels.ndim == 2 else pixels
        profile = {'driver': 'GTiff', 'transform': from_origin(*corner, res, res)} | profile
        count, height, width = bands.shape
        with rasterio.open(
            path,
            'w',
            count=count,
            height=height,
            width=width,
            dtype=bands.dtype,
            crs=crs,
            **profile,
        ) as dst:
            dst.write(bands)
            if descriptions:
                dst.descriptions = descriptions
        return path

    return write
