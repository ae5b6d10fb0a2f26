"""The preprocessing record in every checkpoint."""

import json
import sys
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torchgeo.datamodules import BaseDataModule

from ..records import Preprocessing
from .probing import probe_datamodule

KEY = 'gersp_geo'
"""Where checkpoints carry the record."""


class PreprocessingRecord(Callback):
    """Write into each checkpoint how file values become model input, and what classes mean.

    ``predict_geotiff`` needs it. Data modules of this package describe themselves; of others the
    evaluation transform is probed. Whatever cannot be told is an error when training starts, not
    a guess.
    """

    def __init__(self, preprocessing: Preprocessing | str | PathLike[str] | None = None) -> None:
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
                band.
        """
        if stage == 'fit':
            self.record = self.find_record(trainer, pl_module)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the record under the key ``gersp_geo``, as plain dictionaries and lists."""
        record = self.record or self.find_record(trainer, pl_module)
        checkpoint[KEY] = replace(record, task_class=import_path(type(pl_module))).to_dict()

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


def import_path(task: type) -> str:
    """Find the shortest path that a class can be imported by: modules move, packages stay."""
    parts = task.__module__.split('.')
    for depth in range(1, len(parts)):
        package = '.'.join(parts[:depth])
        if getattr(sys.modules[package], task.__qualname__, None) is task:
            return f'{package}.{task.__qualname__}'
    return f'{task.__module__}.{task.__qualname__}'
