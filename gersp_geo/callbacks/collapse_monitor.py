"""A watch for embeddings that stop telling images apart."""

import warnings
from math import sqrt
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from ..batch_types import JointBatch
from ..evaluation import effective_rank
from ..models.backbones import count_features

# Keys of 128 dimensions that point anywhere have an effective rank of 127, those of an untrained
# ResNet-50 about 80, keys that all agree 1. Runs that learn may pass through single digits while
# the queue fills with keys that resemble each other, so that only what is close to 1 is certain.
MINIMUM = 2.0

# Features that point anywhere deviate by 1 / sqrt(num_features) in each dimension (section 4.1 of
# SimSiam, https://arxiv.org/abs/2011.10566), those of a random ResNet by two thirds of it
SHARE_OF_STD = 0.1

ADVICE = (
    'images get nearly the same embedding (collapse). See first whether the augmentation leaves '
    'anything to tell them apart (the picture view_pairs): values that do not suit it, decibels or '
    'digital numbers in a colour jitter, become constant. Then try a lower lr, more negatives '
    '(memory_bank_size, batch size), a lower supervised_weight, or stronger augmentation'
)


class CollapseMonitor(Callback):
    """Log how many dimensions the keys of an epoch use, and warn once when they collapse.

    ``train_effective_rank`` is :func:`~gersp_geo.evaluation.effective_rank` of the newest keys in
    the task's queue: those made in this epoch, as many as it holds. The loss alone does not show
    collapse, as the supervised part goes on falling.
    """

    def __init__(self, minimum: float = MINIMUM) -> None:
        """Initialize a new CollapseMonitor instance.

        Args:
            minimum: Warn below this effective rank, >= 1. Judged from as many keys on as an
                embedding has dimensions, since a few keys cannot use many.

        Raises:
            ValueError: If *minimum* is below 1, which no effective rank is.
        """
        if not minimum >= 1:
            raise ValueError(f'minimum must be >= 1, the lowest effective rank, got {minimum}')
        self.minimum = minimum
        self.keys = 0
        self.has_warned = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Start a run, and refuse a task without a queue of keys."""
        if stage != 'fit':
            return
        if not (hasattr(pl_module, 'queue') and hasattr(pl_module, 'queue_ptr')):
            raise ValueError(
                'CollapseMonitor needs a task with queue and queue_ptr, such as GeRSPTask, '
                f'got {type(pl_module).__name__}'
            )
        self.has_warned = False
        self.keys = 0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start counting keys."""
        self.keys = 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the keys of one batch, of all processes."""
        streams: JointBatch = batch
        self.keys += len(streams['remote_sensing']['image']) * trainer.world_size

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the effective rank of this epoch's keys, and warn if something collapsed."""
        task = cast(Any, pl_module)
        # on the CPU: not every accelerator computes in float64
        keys = newest_keys(task.queue.cpu(), task.queue_ptr, count=self.keys)
        if len(keys) == 0:
            return
        rank = float(effective_rank(keys))
        # the same in every process, as the queue is; Lightning asks for a mean all the same
        pl_module.log('train_effective_rank', rank, sync_dist=trainer.world_size > 1)
        reasons = [
            # a queue shorter than an embedding is judged once it is full
            low_rank(rank, keys, minimum=self.minimum)
            if len(keys) >= min(task.queue.shape)
            else '',
            low_deviation(trainer.callback_metrics.get('train_ssl_std'), pl_module),
        ]
        if any(reasons) and not self.has_warned:
            self.has_warned = True
            if trainer.is_global_zero:
                found = ', and '.join(filter(None, reasons))
                warnings.warn(f'epoch {trainer.current_epoch}: {found}: {ADVICE}', stacklevel=2)


def low_rank(rank: float, keys: Tensor, *, minimum: float) -> str:
    """Say how an effective rank falls below *minimum*, '' if it does not."""
    # not `rank < minimum`: keys that are not finite have none
    if rank >= minimum:
        return ''
    return (
        f'the newest {len(keys)} keys have an effective rank of {rank:.3g} in {keys.shape[1]} '
        f'dimensions, below minimum={minimum:g}'
    )


def low_deviation(deviation: Tensor | None, pl_module: LightningModule) -> str:
    """Say how the features' standard deviation falls below its limit, '' if it does not.

    *deviation* is the epoch's ``train_ssl_std``; it is None where the task does not log it.
    """
    if deviation is None:
        return ''
    features = count_features(cast(Any, pl_module).backbone)
    limit = SHARE_OF_STD / sqrt(features)
    if deviation >= limit:
        return ''
    return f'train_ssl_std is {float(deviation):.3g}, below {SHARE_OF_STD:g} / sqrt({features})'


def newest_keys(queue: Tensor, pointer: Tensor, *, count: int) -> Tensor:
    """Take the latest *count* keys, oldest first, out of a ring buffer of shape (K, D).

    *pointer* is the row where the next key goes, shape (1,). The result has min(K, *count*) rows.
    """
    # the oldest row first, then the last ones of that order
    ordered = queue.roll(-int(pointer), dims=0)
    return ordered[len(queue) - min(len(queue), count) :]
