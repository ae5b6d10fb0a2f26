"""Callbacks of training.

- ``preprocessing_record`` writes into every checkpoint how inputs were prepared, and
  ``plain_content`` keeps checkpoints free of code;
- ``exact_resume`` lets a resumed run take the steps of one that was not stopped
  (``stop_between_steps`` ends it between steps, and ``atomic_checkpoint`` writes checkpoints that
  are whole or absent);
- ``collapse_monitor`` warns when embeddings stop telling images apart;
- ``views`` draws the first batch beside its augmented views;
- ``epoch_metrics`` spares torchgeo's tasks the metrics of single batches, and
  ``fused_optimizer`` passes over parameters once;
- ``epoch_lines`` says in a log how far a training is, where no bar can be drawn;
- ``report`` logs metrics per class by name, and writes tables and pictures of validation and test;
- ``warm_up`` raises the learning rate over the first steps;
- ``data_wait`` measures how long training waits for data;
- ``knn`` measures how well frozen features tell the classes of labelled images apart.
"""

# torchgeo knows our weights by name from then on, as with our tasks
from ..models import weights as _weights  # noqa: F401
from .collapse_monitor import CollapseMonitor
from .data_wait import DataWait
from .epoch_lines import EpochLines
from .epoch_metrics import EpochMetrics
from .exact_resume import ExactResume
from .fused_optimizer import FusedOptimizer
from .online_knn import OnlineKNN
from .preprocessing_record import PreprocessingRecord
from .report import ValidationReport
from .view_pairs import ViewPairs
from .warm_up import WarmUp

__all__ = (
    'CollapseMonitor',
    'DataWait',
    'EpochLines',
    'EpochMetrics',
    'ExactResume',
    'FusedOptimizer',
    'OnlineKNN',
    'PreprocessingRecord',
    'ValidationReport',
    'ViewPairs',
    'WarmUp',
)
