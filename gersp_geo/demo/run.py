"""The main job from nothing, step by step: each step is one call that a user would make."""

import logging
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import ceil, log
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.loggers import CSVLogger
from torchgeo.tasks import SemanticSegmentation
from torchmetrics.functional.classification import multiclass_jaccard_index

from ..accuracy import Estimate
from ..callbacks import EpochLines, EpochMetrics, FusedOptimizer, PreprocessingRecord
from ..callbacks.atomic_checkpoint import AtomicCheckpointIO
from ..datamodules import GeoTIFFSegmentationDataModule, GeRSPDataModule
from ..geoio.read import open_reader
from ..inference import predict_geotiff
from ..models import export_backbone
from ..sample_data import CLASS_COLORS, CLASS_NAMES, write_sample_data
from ..tasks import GeRSPTask
from .figure import Curves, draw_report
from .survey import POINTS, survey

MARK = 'made-by-gersp-geo-demo'
PATCH = 64
QUEUE = 256
# larger than a patch of pre-training: a road is told from a field by what is around it
FINETUNE_PATCH = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoReport:
    """What a demonstration made, and how good it is."""

    folder: Path
    """Holds every file that was made."""

    mean_iou: float
    """Mean intersection over union on the scene that was not trained on, in [0, 1]."""

    majority_iou: float
    """The same for a map of the most frequent training class."""

    overall: Estimate
    """Overall accuracy, from points that were drawn at random."""

    seconds: float
    """Wall time of the whole run."""

    def __str__(self) -> str:
        """Say what was made and where."""
        overall, width = self.overall.value, self.overall.half_width or 0.0
        return f"""\
Done in {self.seconds:.0f} s.
  picture           {self.folder / 'report.png'}
  page to read      {self.folder / 'accuracy.html'}
  map (GeoTIFF)     {self.folder / 'prediction.tif'}
  backbone          {self.folder / 'backbone.ckpt'}
  pre-training      {self.folder / 'pretrain.ckpt'}
  fine-tuned model  {self.folder / 'finetune.ckpt'}
  sample data       {self.folder / 'sample-data'}
mIoU on a scene not trained on: {self.mean_iou:.3f} \
(map of the majority class: {self.majority_iou:.3f})
Overall accuracy there, from {POINTS} points: {overall:.3f} ± {width:.3f}"""


def run_demo(
    folder: str | PathLike[str],
    *,
    pretrain_steps: int = 200,
    finetune_steps: int = 90,
    seed: int = 0,
    overwrite: bool = False,
) -> DemoReport:
    """Run the main job from nothing.

    Args:
        folder: Made by this function; everything goes there.
        pretrain_steps: Steps of GeRSP pre-training, of 32 pairs and 32 natural images.
        finetune_steps: Steps of segmentation training, of 8 patches.
        seed: Decides the landscape and every random choice.
        overwrite: Replace *folder* if an earlier demonstration made it.

    Returns:
        What was made, and its quality.

    Raises:
        FileExistsError: If *folder* exists and may not be replaced.
    """
    started, folder = time.monotonic(), Path(folder)
    data, scene = folder / 'sample-data', folder / 'sample-data' / 'holdout' / 'scene.tif'
    pretrained, backbone = folder / 'pretrain.ckpt', folder / 'backbone.ckpt'
    finetuned, prediction = folder / 'finetune.ckpt', folder / 'prediction.tif'
    steps: dict[str, Callable[[], object]] = {
        'sample data': partial(write_sample_data, data, seed=seed),
        f'pre-training: ResNet-18, {pretrain_steps} steps': partial(
            pretrain, data, pretrained, steps=pretrain_steps, seed=seed
        ),
        'export: backbone.ckpt': partial(export_backbone, pretrained, backbone, format='torchgeo'),
        f'fine-tuning: U-Net on 5 scenes, {finetune_steps} steps': partial(
            finetune, data, backbone, finetuned, steps=finetune_steps, seed=seed
        ),
        'tiled prediction of a scene not trained on': partial(
            predict_geotiff, finetuned, scene, prediction, size=256
        ),
    }
    clear_folder(folder, overwrite=overwrite)
    seed_everything(seed, verbose=False)
    for number, (name, step) in enumerate(steps.items(), start=1):
        passed = time.monotonic() - started
        sys.stdout.write(f'\n[{passed:4.0f} s] {number}/{len(steps)} {name}\n')
        sys.stdout.flush()
        step()
    return judge(folder, started=started, seed=seed)


def clear_folder(folder: Path, *, overwrite: bool) -> None:
    """Make an empty folder that is marked as ours; only such a folder is ever replaced."""
    is_ours = (folder / MARK).exists()
    if folder.exists() and any(folder.iterdir()):
        if not overwrite or not is_ours:
            raise FileExistsError(
                f'{folder} exists and is not empty; give another folder'
                + (', or --overwrite' if is_ours else '')
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()


def pretrain(data: Path, checkpoint: Path, *, steps: int, seed: int) -> None:
    """Pre-train a ResNet-18 on the scenes and the natural images."""
    natural = data / 'natural'
    task = GeRSPTask(
        model='resnet18',
        size=PATCH,
        num_classes=sum(path.is_dir() for path in natural.iterdir()),
        memory_bank_size=QUEUE,
        moco_momentum=0.99,
        lr=0.03,
        restart_period=count_epochs(steps),
    )
    module = GeRSPDataModule(
        [str(path) for path in sorted((data / 'scenes').glob('*.tif'))],
        natural,
        size=PATCH,
        batch_size=32,
        steps_per_epoch=ceil(steps / count_epochs(steps)),
        seed=seed,
    )
    train(task, module, checkpoint, steps=steps)


def finetune(data: Path, backbone: Path, checkpoint: Path, *, steps: int, seed: int) -> None:
    """Fine-tune torchgeo's segmentation task from the exported backbone."""
    module = GeoTIFFSegmentationDataModule(
        images=str(data / 'scenes'),
        masks=str(data / 'masks'),
        size=FINETUNE_PATCH,
        batch_size=8,
        length=8 * ceil(steps / count_epochs(steps)),
        seed=seed,
    )
    task = SemanticSegmentation(
        model='unet',
        backbone='resnet18',
        weights=str(backbone),
        num_classes=len(CLASS_NAMES),
        labels=list(CLASS_NAMES),
        ignore_index=255,
        lr=1e-3,
    )
    train(task, module, checkpoint, steps=steps)


def train(
    task: LightningModule, module: LightningDataModule, checkpoint: Path, *, steps: int
) -> None:
    """Train a task, with its losses in a CSV file beside the checkpoint."""
    # what hardware there is would stand between the steps
    logging.getLogger('lightning.pytorch').setLevel(logging.WARNING)
    trainer = Trainer(
        accelerator='auto',
        max_steps=steps,
        max_epochs=count_epochs(steps),
        logger=CSVLogger(checkpoint.parent, name=f'{checkpoint.stem}-log', version=''),
        log_every_n_steps=max(1, steps // 60),
        enable_checkpointing=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[
            RichProgressBar(),
            PreprocessingRecord(),
            EpochLines(seconds=20),
            EpochMetrics(),
            FusedOptimizer(),
        ],
        plugins=[AtomicCheckpointIO()],
    )
    trainer.fit(task, datamodule=module)
    trainer.save_checkpoint(checkpoint)


def count_epochs(steps: int) -> int:
    """Divide a run into epochs of about 60 steps, after each of which the schedule moves."""
    return max(1, round(steps / 60))


def judge(folder: Path, *, started: float, seed: int) -> DemoReport:
    """Compare the map with the truth, and draw both with the losses of the trainings."""
    data = folder / 'sample-data'
    truth = read_pixels(data / 'holdout' / 'mask.tif')[0]
    predicted = read_pixels(folder / 'prediction.tif')[0]
    masks = [read_pixels(path).ravel() for path in (data / 'masks').glob('*.tif')]
    majority = np.bincount(np.concatenate(masks), minlength=len(CLASS_NAMES)).argmax()
    mean_iou = mean_intersection(predicted, truth)
    losses = 'train_contrastive_loss_step', 'train_supervised_loss_step'
    draw_report(
        folder / 'report.png',
        scene=read_pixels(data / 'holdout' / 'scene.tif'),
        truth=truth,
        predicted=predicted,
        class_names=CLASS_NAMES,
        class_colors=CLASS_COLORS,
        pretraining=read_curves(folder / 'pretrain-log', *losses),
        finetuning=read_curves(folder / 'finetune-log', 'train_loss', 'val_loss'),
        chance=log(1 + QUEUE),
        title=f'mIoU {mean_iou:.2f} on a scene not trained on',
    )
    accuracy = survey(
        folder / 'prediction.tif', truth, scene=data / 'holdout' / 'scene.tif',
        points=folder / 'points.gpkg', page=folder / 'accuracy.html', seed=seed,
    )  # fmt: skip
    return DemoReport(
        folder=folder,
        mean_iou=mean_iou,
        majority_iou=mean_intersection(np.full_like(truth, majority), truth),
        overall=accuracy.overall,
        seconds=time.monotonic() - started,
    )


def read_pixels(path: Path) -> np.ndarray:
    """Read a whole raster, shape (bands, rows, cols)."""
    with open_reader(path) as src:
        pixels: np.ndarray = src.read()
    return pixels


def mean_intersection(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Compute the mean intersection over union of two class maps, in [0, 1]."""
    given, true = (torch.from_numpy(classes.astype(np.int64)) for classes in (predicted, truth))
    return multiclass_jaccard_index(given, true, num_classes=len(CLASS_NAMES)).item()


def read_curves(folder: Path, *names: str) -> Curves:
    """Read some columns of a CSV logger by step."""
    logged = pd.read_csv(folder / 'metrics.csv').set_index('step')
    columns = {name: logged[name].dropna() for name in names if name in logged}
    return {name: (column.index.tolist(), column.tolist()) for name, column in columns.items()}
