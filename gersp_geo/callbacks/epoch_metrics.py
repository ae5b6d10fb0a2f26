"""torchgeo's metrics of an epoch, without those of each batch, which nobody reads."""

from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torchgeo.tasks import ChangeDetection, Classification, SemanticSegmentation
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassConfusionMatrix, MulticlassStatScores

# Steps that hand logits and classes to a collection, and leave what it returns.
STEPS = tuple(
    (f'{part}_metrics', f'{step}_step')
    for part, step in (('train', 'training'), ('val', 'validation'), ('test', 'test'))
)
TASKS = (SemanticSegmentation, Classification, ChangeDetection)


class EpochMetrics(Callback):
    """Count each batch of torchgeo's multiclass tasks once, for all metrics.

    torchgeo logs fifteen metrics at the end of an epoch. Calling them finds the classes of all
    logits fifteen times, sorts the mask as often, and computes values of the batch that are thrown
    away: on a CPU, a third of the time of fine-tuning a U-Net. With this callback all values that
    are logged stay the same, to the last bit.

    For segmentation, classification and change; a task with a step of its own, or with metrics that
    need more than the predicted class, is left as it is.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Replace the collections that are called by steps of torchgeo."""
        if pl_module.hparams.get('task') != 'multiclass':
            return
        for name, step in STEPS:
            metrics = getattr(pl_module, name, None)
            if type(metrics) is MetricCollection and is_theirs(pl_module, step):
                leaves = list_counts(metrics)
                if leaves:
                    setattr(pl_module, name, CountedOnce(metrics, leaves))


class CountedOnce(MetricCollection):
    """A collection whose metrics are updated with classes, and compute nothing until asked."""

    def __init__(self, metrics: MetricCollection, leaves: list[Metric]) -> None:
        """Initialize a new CountedOnce instance.

        Args:
            metrics: Whose metrics are taken over.
            leaves: Those that count, as :func:`list_counts` gives them.
        """
        named = dict(metrics.items(keep_base=True, copy_state=False))
        # torchmetrics 1.9 groups a wrapper with its metric, and then forgets that it was updated
        super().__init__(cast(Any, named), prefix=metrics.prefix, compute_groups=False)
        first = cast(Any, leaves[0])
        self.classes: int = first.num_classes
        self.ignored: int | None = first.ignore_index
        for leaf in leaves:
            # each would sort all classes to count them
            cast(Any, leaf).validate_args = False

    def forward(self, *args: Tensor, **kwargs: Any) -> dict[str, Any]:
        """Count one batch.

        Args:
            *args: Logits of shape (B, classes, ...), and classes of shape (B, ...).
            **kwargs: None are known.

        Returns:
            Nothing of this batch.

        Raises:
            ValueError: If a value is no class.
        """
        logits, target = args
        known = target if self.ignored is None else target[target != self.ignored]
        if known.numel():
            low, high = (int(end) for end in known.aminmax())
            if low < 0 or high >= self.classes:
                other = '' if self.ignored is None else f', or ignore_index={self.ignored}'
                raise ValueError(
                    f'classes must lie in [0, num_classes={self.classes}){other}, got {low} to '
                    f'{high}; set num_classes, or ignore_index for values that are no class'
                )
        # not argmax, which takes seven times as long on a CPU
        self.update(logits.max(dim=1).indices, target)
        return {}


def is_theirs(pl_module: LightningModule, step: str) -> bool:
    """Say whether a step of a task is one of torchgeo's that are known."""
    return getattr(type(pl_module), step) in [getattr(task, step) for task in TASKS]


def list_counts(metrics: MetricCollection) -> list[Metric]:
    """List the metrics of a collection; none unless all follow from counts of class pairs.

    ClasswiseWrapper holds one each.
    """
    leaves = [getattr(one, 'metric', one) for one in metrics.values(copy_state=False)]
    settings = {
        (
            isinstance(leaf, MulticlassStatScores | MulticlassConfusionMatrix),
            getattr(leaf, 'top_k', 1),
            getattr(leaf, 'multidim_average', 'global'),
            getattr(leaf, 'num_classes', None),
            getattr(leaf, 'ignore_index', None),
        )
        for leaf in leaves
    }
    is_one_kind = len(settings) == 1 and next(iter(settings))[:3] == (True, 1, 'global')
    return leaves if is_one_kind else []
