"""The preprocessing record in every checkpoint."""

import json
import math
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torchgeo.datamodules import BaseDataModule

from ..datamodules.probing import probe_datamodule
from ..models.loading import LoadReport
from ..preprocessing import Preprocessing
from ..provenance import TRAINING_KEY, software
from .atomic_checkpoint import AtomicCheckpointIO
from .plain_content import check_hyperparameters, check_states, make_checkpoint_plain

KEY = 'gersp_geo'
"""Where checkpoints carry the record."""

# Two measurements of one set of images differ by less than this
TOLERANCE = 0.01

# a message of one line has room for so many names of bands
MOST_NAMES = 6


class PreprocessingRecord(Callback):
    """Write into each checkpoint how file values become model input, and what classes mean.

    ``predict_geotiff`` needs it. Data modules of this package describe themselves; of others the
    evaluation transform is probed. Whatever cannot be told is an error when training starts, not
    a guess.
    """

    def __init__(self, preprocessing: Preprocessing | str | Path | None = None) -> None:
        """Initialize a new PreprocessingRecord instance.

        Args:
            preprocessing: The record, or a JSON file with it, for data modules that cannot be
                probed. Defaults to what the data module says or does.
        """
        self.preprocessing = preprocessing
        self.record: Preprocessing | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Find the record before the first step.

        Raises:
            FileNotFoundError: If the JSON file is missing.
            ValueError: If it holds no record, or the transform of the data module is not affine per
                band; if the task takes another number of bands than there are; if a hyperparameter
                would make checkpoints that cannot be opened safely.
        """
        if stage == 'fit':
            check_hyperparameters(trainer, pl_module)
            writer = trainer.strategy.checkpoint_io
            if isinstance(writer, AtomicCheckpointIO):
                writer.prepare = partial(self.complete, trainer, pl_module)
            self.record = self.find_record(trainer, pl_module)
            data: Any = getattr(trainer, 'datamodule', None)
            if hasattr(data, 'describe') and self.preprocessing is None:
                check_channels(pl_module, self.record, data)
            report: LoadReport | None = getattr(pl_module, 'report', None)
            if report is not None and report.preprocessing is not None:
                warn_of_other_input(self.record, weights=report.preprocessing)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at what else checkpoints will hold, once it is there.

        Raises:
            ValueError: If the state of a callback, schedule, optimiser or data module would make
                checkpoints that cannot be opened safely.
        """
        check_states(trainer)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the record under the key ``gersp_geo``, and what made the checkpoint beside it.

        Both are plain dictionaries and lists, which load with ``weights_only=True``; NumPy's
        numbers and paths elsewhere in the checkpoint become plain as well.
        """
        make_checkpoint_plain(checkpoint)
        record = self.record or self.find_record(trainer, pl_module)
        checkpoint[KEY] = replace(record, task_class=import_path(type(pl_module))).to_dict()
        checkpoint[TRAINING_KEY] = software() | describe_training(trainer, pl_module)

    def complete(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the record to a checkpoint of weights alone, which no callback is asked about."""
        if KEY not in checkpoint:
            self.on_save_checkpoint(trainer, pl_module, checkpoint)

    def find_record(self, trainer: Trainer, pl_module: LightningModule) -> Preprocessing:
        """Take the given record, else ask the data module, else probe it."""
        if isinstance(self.preprocessing, Preprocessing):
            return self.preprocessing
        if self.preprocessing is not None:
            path = Path(self.preprocessing)
            try:
                return Preprocessing.from_dict(json.loads(path.read_text(encoding='utf-8')))
            except (TypeError, ValueError) as error:
                raise ValueError(f'{path} holds no preprocessing record: {error}') from error
        # absent when loaders are passed to the trainer directly
        datamodule: Any = getattr(trainer, 'datamodule', None)
        if hasattr(datamodule, 'describe'):
            record: Preprocessing = datamodule.describe()
            return record
        if isinstance(datamodule, BaseDataModule):
            return probe_datamodule(datamodule, pl_module)
        raise ValueError(
            'no torchgeo data module tells how inputs were prepared; '
            'pass PreprocessingRecord(preprocessing=...)'
        )


def check_channels(task: LightningModule, record: Preprocessing, datamodule: Any) -> None:
    """Refuse a task that takes another number of bands than its data module reads.

    The task says by its hyperparameter ``in_channels`` how many bands of one date it takes; if it
    does not, nothing is checked. The error says how to read a band that was left out as alpha.
    """
    wanted = task.hparams.get('in_channels')
    count = len(record.bands)
    if not isinstance(wanted, int) or wanted == count:
        return
    names = ', '.join(record.bands[:MOST_NAMES]) + (', ...' if count > MOST_NAMES else '')
    hidden: tuple[int, ...] = getattr(datamodule, 'left_out', ())
    advice = f'set in_channels={count}, or other bands'
    if hidden and count + len(hidden) == wanted:
        advice = f'set bands={[*range(1, wanted + 1)]} to read it, or in_channels={count}'
    left = f'; band {hidden[0]} is tagged as alpha and left out' if hidden else ''
    raise ValueError(
        f'in_channels must be the number of bands of the data, {count} ({names}), got '
        f'{wanted}{left}; {advice}'
    )


def describe_training(trainer: Trainer, pl_module: LightningModule) -> dict[str, str]:
    """Name the data module and what it reads, and the weights that training started from, as JSON.

    Neither is there where loaders are passed to the trainer directly, and the task loads none or is
    one of torchgeo's own, which forget them.
    """
    datamodule: Any = getattr(trainer, 'datamodule', None)
    report: LoadReport | None = getattr(pl_module, 'report', None)
    described = {}
    if datamodule is not None:
        sources = datamodule.sources() if hasattr(datamodule, 'sources') else {}
        described['data'] = json.dumps({'datamodule': import_path(type(datamodule)), **sources})
    if report is not None:
        # what identifies them; the rest stands in that file
        known = {
            key: report.provenance.get(key)
            for key in ('weights', 'downloaded_from', 'file', 'sha256', 'part')
        }
        described['started_from'] = json.dumps({k: text for k, text in known.items() if text})
    return described


def warn_of_other_input(record: Preprocessing, *, weights: Preprocessing) -> None:
    """Warn where the data module prepares a band in another way than was done for the weights."""
    for band in weights.bands:
        if band not in record.bands:
            continue
        now, then = (tell_input(r, r.bands.index(band)) for r in (record, weights))
        scaled = weights.dtype in (None, record.dtype) or record.dtype is None
        if not same_input(now, then, scaled=scaled):
            rank_zero_warn(
                f'the data module prepares band {band} with scale, mean, std = {now}, the weights '
                f'were trained with {then}: pass those to the data module, if it reads the same '
                'kind of images'
            )
            return


def tell_input(record: Preprocessing, band: int) -> tuple[float, float, float]:
    """Take scale, mean and standard deviation of one band."""
    return record.scale[band], record.mean[band], record.std[band]


def same_input(
    left: tuple[float, float, float], right: tuple[float, float, float], *, scaled: bool
) -> bool:
    """Say whether two ways of preparing a band agree, to a hundredth of a standard deviation.

    Args:
        left: Scale, mean, standard deviation.
        right: Scale, mean, standard deviation of the other.
        scaled: Whether file values are of one type, so that scales must agree as well; the unit of
            mean and deviation may then differ.
    """
    (scale, mean, std), (other_scale, other_mean, other_std) = left, right
    gains = (scale / std, other_scale / other_std) if scaled else (1 / std, 1 / other_std)
    same_gain = math.isclose(*gains, rel_tol=TOLERANCE)
    return same_gain and math.isclose(mean / std, other_mean / other_std, abs_tol=TOLERANCE)


def import_path(task: type) -> str:
    """Find the shortest path that a class can be imported by: modules move, packages stay."""
    parts = task.__module__.split('.')
    for depth in range(1, len(parts)):
        package = '.'.join(parts[:depth])
        if getattr(sys.modules[package], task.__qualname__, None) is task:
            return f'{package}.{task.__qualname__}'
    return f'{task.__module__}.{task.__qualname__}'
