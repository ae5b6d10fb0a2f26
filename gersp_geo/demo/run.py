"""The steps of the demonstration, each one call a user would make."""

import csv
import logging
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, log
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.loggers import CSVLogger
from torchgeo.tasks import SemanticSegmentation
from torchmetrics.functional.classification import multiclass_jaccard_index

from ..callbacks import PreprocessingRecord
from ..callbacks.atomic_checkpoint import AtomicCheckpointIO
from ..datamodules import GeoTIFFSegmentationDataModule, GeRSPDataModule
from ..geoio.read.reader import open_reader
from ..inference import predict_geotiff
from ..models import export_backbone
from ..sample_data import CLASS_COLORS, CLASS_NAMES, write_sample_data
from ..tasks import GeRSPTask
from .figure import draw_report

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

    seconds: float
    """Wall time of the whole run."""

    def __str__(self) -> str:
        """Say what was made and where."""
        made = {
            'picture': 'report.png',
            'map (GeoTIFF)': 'prediction.tif',
            'backbone': 'backbone.ckpt',
            'pre-training': 'pretrain.ckpt',
            'fine-tuned model': 'finetune.ckpt',
            'sample data': 'sample-data',
        }
        lines = [f'  {what:<17} {self.folder / name}' for what, name in made.items()]
        quality = (
            f'mIoU on a scene not trained on: {self.mean_iou:.3f} '
            f'(map of the majority class: {self.majority_iou:.3f})'
        )
        return '\n'.join([f'Done in {self.seconds:.0f} s.', *lines, quality])


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
    clear_folder(folder, overwrite=overwrite)
    with quietly('lightning.pytorch'):
        return run_steps(
            folder,
            pretrain_steps=pretrain_steps,
            finetune_steps=finetune_steps,
            seed=seed,
            started=started,
        )


@contextmanager
def quietly(name: str) -> Iterator[None]:
    """Hear only warnings of a logger."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)


def run_steps(
    folder: Path, *, pretrain_steps: int, finetune_steps: int, seed: int, started: float
) -> DemoReport:
    """Take the five steps in an empty folder; *started* is of the monotonic clock."""
    seed_everything(seed, verbose=False)
    data = folder / 'sample-data'
    announce('1/5 sample data', started=started)
    write_sample_data(data, seed=seed)
    announce(f'2/5 pre-training: ResNet-18, {pretrain_steps} steps', started=started)
    pretrain(folder, steps=pretrain_steps, seed=seed)
    announce('3/5 export: backbone.ckpt', started=started)
    export_backbone(folder / 'pretrain.ckpt', folder / 'backbone.ckpt', format='torchgeo')
    announce(f'4/5 fine-tuning: U-Net on 5 scenes, {finetune_steps} steps', started=started)
    majority = finetune(folder, steps=finetune_steps, seed=seed)
    announce('5/5 tiled prediction of a scene not trained on', started=started)
    scene = data / 'holdout' / 'scene.tif'
    predict_geotiff(folder / 'finetune.ckpt', scene, folder / 'prediction.tif', size=256)
    truth = read_pixels(data / 'holdout' / 'mask.tif')[0]
    predicted = read_pixels(folder / 'prediction.tif')[0]
    mean_iou = mean_intersection(predicted, truth)
    draw_report(
        folder / 'report.png',
        scene=read_pixels(scene),
        truth=truth,
        predicted=predicted,
        class_names=CLASS_NAMES,
        class_colors=CLASS_COLORS,
        pretraining=read_curves(
            folder / 'pretrain-log', 'train_contrastive_loss_step', 'train_supervised_loss_step'
        ),
        finetuning=read_curves(folder / 'finetune-log', 'train_loss', 'val_loss'),
        chance=log(1 + QUEUE),
        title=f'mIoU {mean_iou:.2f} on a scene not trained on',
    )
    return DemoReport(
        folder=folder,
        mean_iou=mean_iou,
        majority_iou=mean_intersection(np.full_like(truth, majority), truth),
        seconds=time.monotonic() - started,
    )


def clear_folder(folder: Path, *, overwrite: bool) -> None:
    """Make an empty folder that is marked as ours; only such a folder is ever replaced."""
    if folder.exists() and any(folder.iterdir()):
        if not overwrite or not (folder / MARK).exists():
            raise FileExistsError(
                f'{folder} exists and is not empty; give another folder'
                + (', or --overwrite' if (folder / MARK).exists() else '')
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()


def announce(step: str, *, started: float) -> None:
    """Head the next step on the terminal, with the time that has passed."""
    sys.stdout.write(f'\n[{time.monotonic() - started:4.0f} s] {step}\n')
    sys.stdout.flush()


def make_trainer(folder: Path, *, name: str, steps: int) -> Trainer:
    """Make a Trainer that logs losses to a CSV file."""
    return Trainer(
        accelerator='auto',
        max_steps=steps,
        max_epochs=count_epochs(steps),
        logger=CSVLogger(folder, name=f'{name}-log', version=''),
        log_every_n_steps=max(1, steps // 60),
        enable_checkpointing=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[RichProgressBar(), PreprocessingRecord()],
        plugins=[AtomicCheckpointIO()],
    )


def count_epochs(steps: int) -> int:
    """Divide a run into epochs of about 60 steps, after each of which the schedule moves."""
    return max(1, round(steps / 60))


def pretrain(folder: Path, *, steps: int, seed: int) -> None:
    """Pre-train a ResNet-18 on the scenes and the natural images."""
    data = folder / 'sample-data'
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
    trainer = make_trainer(folder, name='pretrain', steps=steps)
    trainer.fit(task, datamodule=module)
    trainer.save_checkpoint(folder / 'pretrain.ckpt')


def finetune(folder: Path, *, steps: int, seed: int) -> int:
    """Fine-tune torchgeo's segmentation task from the exported backbone.

    Returns:
        The most frequent class of the training masks.
    """
    data = folder / 'sample-data'
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
        weights=str(folder / 'backbone.ckpt'),
        num_classes=len(CLASS_NAMES),
        labels=list(CLASS_NAMES),
        ignore_index=255,
        lr=1e-3,
    )
    trainer = make_trainer(folder, name='finetune', steps=steps)
    trainer.fit(task, datamodule=module)
    trainer.save_checkpoint(folder / 'finetune.ckpt')
    counts = np.zeros(len(CLASS_NAMES), dtype=np.int64)
    for mask in sorted((data / 'masks').glob('*.tif')):
        counts += np.bincount(read_pixels(mask)[0].ravel(), minlength=len(CLASS_NAMES))
    return int(counts.argmax())


def read_pixels(path: Path) -> np.ndarray:
    """Read a whole raster, shape (bands, rows, cols)."""
    with open_reader(path) as src:
        pixels: np.ndarray = src.read()
    return pixels


def mean_intersection(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Mean intersection over union of two class maps, in [0, 1]."""
    return multiclass_jaccard_index(
        torch.from_numpy(predicted.astype(np.int64)),
        torch.from_numpy(truth.astype(np.int64)),
        num_classes=len(CLASS_NAMES),
    ).item()


def read_curves(folder: Path, *names: str) -> dict[str, tuple[list[int], list[float]]]:
    """Read logged values by step.

    Args:
        folder: Holds the CSV logger's metrics.csv.
        *names: Columns wanted.

    Returns:
        Steps and values of each column.
    """
    with (folder / 'metrics.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    return {
        name: (
            [int(row['step']) for row in rows if row.get(name)],
            [float(row[name]) for row in rows if row.get(name)],
        )
        for name in names
    }
