"""LightningCLI over torchgeo's and our classes."""

import os
from collections.abc import Sequence

import torchgeo.datamodules
import torchgeo.tasks
from lightning.pytorch.cli import LightningCLI
from torchgeo.datamodules import BaseDataModule
from torchgeo.tasks import BaseTask

from . import __version__, datamodules, models, tasks
from .callbacks import PreprocessingRecord

# Settings for reading many small windows, from https://github.com/pangeo-data/cog-best-practices
GDAL = {'GDAL_DISABLE_READDIR_ON_OPEN': 'EMPTY_DIR', 'GDAL_MAX_RAW_BLOCK_CACHE_SIZE': '200000000'}


# importing these packages makes their classes known by name alone, and registers our weights
NAMED = (datamodules, models, tasks, torchgeo.datamodules, torchgeo.tasks)


def train_from_arguments(arguments: Sequence[str]) -> None:
    """Run ``fit``, ``validate`` or ``test``.

    Args:
        arguments: The command and its options, as LightningCLI reads them. Class names of torchgeo
            work as in torchgeo's own command, and every checkpoint records how its input was
            prepared.
    """
    os.environ.update(GDAL)
    LightningCLI(
        model_class=BaseTask,
        datamodule_class=BaseDataModule,
        seed_everything_default=0,
        parser_kwargs={'version': __version__},
        subclass_mode_model=True,
        subclass_mode_data=True,
        save_config_kwargs={'overwrite': True},
        trainer_defaults={'callbacks': [PreprocessingRecord()]},
        args=list(arguments),
    )
