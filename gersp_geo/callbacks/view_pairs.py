"""A picture of what the network gets to see."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor, nn

from ..bands import RGB
from ..batch_types import JointBatch
from ..geoio.write import new_file
from ..pictures import Picture, draw_blocks, stretch
from ..transforms import ScaleValues
from .random_states import read_states, write_states

NAME = 'view_pairs'


class ViewPairs(Callback):
    """Draw the first images of a run beside their augmented views, into every logger.

    One look shows crops too small to recognise anything, bands in a wrong order, values in a wrong
    unit. The figure is drawn at the first batch of a run, not of a resumed one, and leaves the
    random numbers of the run as they are.
    """

    def __init__(self, count: int = 8) -> None:
        """Initialize a new ViewPairs instance.

        Args:
            count: Number of images of each stream, >= 1; fewer where a batch has fewer.

        Raises:
            ValueError: If *count* is below 1.
        """
        if count < 1:
            raise ValueError(f'count must be >= 1, got {count}')
        self.count = count

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Check the task.

        Raises:
            ValueError: If it does not make pairs of views.
        """
        if stage == 'fit' and not hasattr(pl_module, 'two_views'):
            raise ValueError(
                'ViewPairs needs a task with two_views and natural_view, such as GeRSPTask, '
                f'got {type(pl_module).__name__}'
            )

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Draw the first batch."""
        if trainer.global_step > 0 or batch_idx > 0 or not trainer.is_global_zero:
            return
        if not trainer.loggers:
            return
        # absent when loaders are passed to the trainer directly
        datamodule: Any = getattr(trainer, 'datamodule', None)
        bands = datamodule.describe().bands if hasattr(datamodule, 'describe') else ()
        with same_draws(pl_module.device), torch.no_grad():
            figure = draw_views(pl_module, batch, bands=bands, count=self.count)
        for logger in trainer.loggers:
            send_figure(logger, figure, name=NAME, step=trainer.global_step)


def send_figure(logger: Logger, figure: Figure, *, name: str, step: int) -> None:
    """Hand a figure to a logger, in the way it knows.

    Args:
        logger: One whose experiment has ``add_figure`` (TensorBoard), one with ``log_image``
            (Weights & Biases), else one with a folder, which gets a PNG file; others get nothing.
        figure: The figure.
        name: Its name, also of the PNG file.
        step: Optimiser steps so far.
    """
    known: Any = logger
    if hasattr(known.experiment, 'add_figure'):
        known.experiment.add_figure(name, figure, global_step=step)
    elif hasattr(known, 'log_image'):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        known.log_image(key=name, images=[np.asarray(canvas.buffer_rgba())], step=step)
    elif folder := known.log_dir or known.save_dir:
        # A run that starts anew replaces the picture of the one before.
        with new_file(Path(folder) / f'{name}.png', overwrite=True) as path:
            figure.savefig(path, format='png')


@contextmanager
def same_draws(device: torch.device) -> Iterator[None]:
    """Leave all random generators afterwards as they were before."""
    states = read_states(device)
    try:
        yield
    finally:
        write_states(states)


def draw_views(task: Any, batch: JointBatch, *, bands: Sequence[str], count: int) -> Figure:
    """Draw the first images of a batch as loaded, and as the task augments them.

    Args:
        task: Has ``two_views``, ``natural_view``, their pipelines and hyperparameters as
            :class:`~gersp_geo.tasks.GeRSPTask`.
        batch: Both streams, or the remote-sensing one alone.
        bands: Names of the remote-sensing bands; without them the first three are shown.
        count: Number of images of each stream.
    """
    hparams = task.hparams
    images = batch['remote_sensing']['image'][:count]
    dates = images.flatten(1, -3).split(hparams['in_channels'], dim=1)
    student, teacher = task.two_views(images)
    first, second = task.augmentation1, task.augmentation2
    loaded = {'as loaded': (dates[0], first)}
    if len(dates) == 2:
        loaded = {'first date': (dates[0], first), 'second date': (dates[1], second)}
    blocks = {
        'Remote sensing': make_rows(
            loaded,
            {'student sees': (student, first), 'teacher sees': (teacher, second)},
            bands=bands,
        )
    }
    if 'natural' in batch and hparams['supervised_weight'] > 0:
        images, pipeline = batch['natural']['image'][:count], task.augmentation_natural
        view = task.natural_view(images)[:, list(hparams['rgb_bands'])]
        blocks['Natural images'] = make_rows(
            {'as loaded': (images, pipeline)}, {'student sees': (view, pipeline)}, bands=RGB.bands
        )
    return draw_blocks(blocks)


type Labelled = dict[str, tuple[Tensor, nn.Module]]


def make_rows(
    loaded: Labelled, views: Labelled, *, bands: Sequence[str]
) -> dict[str, list[Picture]]:
    """Bring images and their views to values that can be shown, image by image.

    Args:
        loaded: Per row, images as loaded, shape (B, C, H, W), and the pipeline they will go
            through.
        views: Per row, augmented images, shape (B, C, H', W'), and the pipeline they went through.
        bands: Names of the bands.

    Returns:
        Per row, B pictures. An image and its views share one range of values, so that a change of
        brightness shows, where the normalisation that a pipeline ends with is known; else each
        picture has its own.
    """
    undone = {name: undo_normalization(*row) for name, row in views.items()}
    is_shared = all(images is not None for images in undone.values())
    rows = {name: scale_values(*row) for name, row in loaded.items()}
    rows |= {name: views[name][0] if x is None else x for name, x in undone.items()}
    arrays = {name: images.detach().float().cpu().numpy() for name, images in rows.items()}
    columns = [
        stretch_together(column, bands)
        if is_shared
        else [stretch(image, bands) for image in column]
        for column in zip(*arrays.values(), strict=True)
    ]
    return {name: [column[i] for column in columns] for i, name in enumerate(arrays)}


def stretch_together(images: Sequence[np.ndarray], bands: Sequence[str]) -> list[Picture]:
    """Stretch images of any sizes, each of shape (C, H, W), by the range of all their values."""
    flat = [image.reshape(len(image), 1, -1) for image in images]
    shown = stretch(np.concatenate(flat, axis=2), bands)
    ends = np.cumsum([pixels.shape[2] for pixels in flat])[:-1]
    parts = np.split(shown, ends, axis=1)
    return [p.reshape(*i.shape[1:], 3) for p, i in zip(parts, images, strict=True)]


def scale_values(images: Tensor, pipeline: nn.Module) -> Tensor:
    """Bring file values to the unit in which *pipeline* normalises, if it says how."""
    for step in pipeline.modules():
        if isinstance(step, ScaleValues):
            scaled: Tensor = step(images)
            return scaled
    return images


def undo_normalization(view: Tensor, pipeline: nn.Module) -> Tensor | None:
    """Undo the last normalisation of *pipeline*; None if it has none that is known."""
    for step in reversed(list(pipeline.modules())):
        # where kornia's Normalize keeps its statistics
        flags = getattr(step, 'flags', None) or {}
        if {'mean', 'std'} <= flags.keys():
            mean, std = (flags[key].to(view).reshape(-1, 1, 1) for key in ('mean', 'std'))
            undone: Tensor = view * std + mean
            return undone
    return None
