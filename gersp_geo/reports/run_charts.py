"""Which curves of a run are drawn together, and what to do to have those that are missing."""

import re
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from .charts import Curves, curve_chart


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartPlan:
    """One chart."""

    title: str
    """Above it."""

    names: re.Pattern[str]
    """Of what is logged: all of the name."""

    limits: tuple[float, float] | None = None
    """Of the values."""

    missing: str = ''
    """What to do to have it; empty where it cannot be had in every run."""

    pretraining: bool = False
    """Whether only pre-training has it."""


def _plan(title: str, names: str, **more: object) -> ChartPlan:
    return ChartPlan(title=title, names=re.compile(names), **more)  # type: ignore[arg-type]


SHARES = (0.0, 1.0)
PLANS = (
    _plan('Losses', r'(train_|val_|loss_)?\w*loss\w*'),
    _plan(
        'Accuracy of neighbours of frozen features (k-NN)', r'val_knn_accuracy', limits=SHARES,
        pretraining=True, missing='add the callback OnlineKNN, with a folder of labelled images',
    ),
    _plan(
        'Effective rank of embeddings', r'train_effective_rank', pretraining=True,
        missing='add the callback CollapseMonitor',
    ),
    _plan('Standard deviation of features', r'train_ssl_std'),
    _plan('Accuracy on natural images', r'train_supervised_acc\d+', limits=SHARES),
    _plan('Validation', r'val_(IoU|F1|Accuracy|AP|AP50|MaskAP|MaskAP50|R2)', limits=SHARES),
    _plan('Errors of validation', r'val_(RMSE|MAE|Bias)'),
    _plan('Learning rate', r'lr(-.+)?', missing='add Lightning’s callback LearningRateMonitor'),
    _plan(
        'Time waiting for data, share of an epoch', r'train_data_wait', limits=SHARES,
        missing='add the callback DataWait, as gersp-geo fit does',
    ),
)  # fmt: skip

_PRETRAINING = 'train_contrastive_loss'


def draw_charts(logged: Curves) -> tuple[list[Element], list[str]]:
    """Draw what was logged.

    Args:
        logged: Steps and values by name.

    Returns:
        The charts, and sentences about those that are missing.
    """
    merged = merge_spellings(logged)
    is_pretraining = any(name.startswith(_PRETRAINING) for name in logged)
    charts, missing = [], []
    for plan in PLANS:
        chosen = {name: curve for name, curve in merged.items() if plan.names.fullmatch(name)}
        # the axis has the same end where nothing reaches it
        chart = curve_chart(chosen, title=plan.title, across='step', limits=plan.limits)
        if chart is not None:
            charts.append(chart)
        elif plan.missing and (is_pretraining or not plan.pretraining):
            missing.append(f'{plan.title}: not logged; {plan.missing}.')
    return charts, missing


def merge_spellings(logged: Curves) -> Curves:
    """Take the steps of what is logged for both steps and epochs, under the name without either."""
    merged = {}
    for name, curve in logged.items():
        plain = re.sub(r'_(step|epoch)$', '', name)
        if name.endswith('_epoch') and f'{plain}_step' in logged:
            continue
        merged[plain if plain not in logged else name] = curve
    return merged


def last_and_best(logged: Curves) -> list[tuple[str, ...]]:
    """Write the last, lowest and highest value of all that was logged."""
    rows = []
    for name, (_, values) in sorted(logged.items()):
        finite = [value for value in values if abs(value) < float('inf')]
        ends = (min(finite), max(finite)) if finite else (values[-1], values[-1])
        cells = (f'{value:.5g}' for value in (values[-1], *ends))
        rows.append((name, *cells, f'{len(values):,}'))
    return rows
