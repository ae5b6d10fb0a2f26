"""How right a file of objects is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...geoio.write import finite_or_none
from ...messages import align
from .shapes import Compared

type Compare = Literal['auto', 'boxes', 'outlines']
"""What of two objects is compared: the boxes around them, or their outlines; 'auto' tells by what
both files hold."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassObjects:
    """How right the objects of one class are."""

    name: str
    """Of the class."""

    true_positives: int
    """Predicted objects that show one of the reference."""

    false_positives: int
    """Predicted objects that show none, or one that a better one shows."""

    false_negatives: int
    """Objects of the reference that none shows."""

    precision_at_recall: NDArray[np.float64]
    """Highest precision that goes with a recall of at least 0, 0.01, ..., 1, per threshold of IoU
    from 0.50 to 0.95: shape (10, 101). NaN where the reference has no such object."""

    @property
    def references(self) -> int:
        """Count the objects of the reference."""
        return self.true_positives + self.false_negatives

    @property
    def precision(self) -> float:
        """Share of the predicted objects that are right."""
        return _share(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """Share of the objects of the reference that were found."""
        return _share(self.true_positives, self.references)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        wrong = self.false_positives + self.false_negatives
        return _share(2 * self.true_positives, 2 * self.true_positives + wrong)

    @property
    def ap50(self) -> float:
        """Average precision where an IoU of 0.5 is enough."""
        return float(self.precision_at_recall[0].mean())

    @property
    def ap(self) -> float:
        """Average precision, the mean over thresholds of IoU from 0.50 to 0.95."""
        return float(self.precision_at_recall.mean())

    def to_dict(self) -> dict[str, Any]:
        """Write all figures as JSON takes them; None is not known."""
        figures = {
            'precision': self.precision, 'recall': self.recall, 'f1': self.f1,
            'ap50': self.ap50, 'ap50_95': self.ap,
        }  # fmt: skip
        return {
            'name': self.name,
            'true_positives': self.true_positives,
            'false_positives': self.false_positives,
            'false_negatives': self.false_negatives,
        } | {name: finite_or_none(value) for name, value in figures.items()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ObjectAccuracy:
    """How right a file of objects is."""

    predicted: str
    """File that is judged."""

    reference: str
    """File that it is judged by."""

    compared: Compared
    """What IoU was computed of."""

    iou_threshold: float
    """IoU from which on an object shows another, where objects are counted."""

    score_threshold: float | None
    """Score from which on predicted objects are counted; None counts all. Average precision is that
    of all scores."""

    classes: tuple[ClassObjects, ...]
    """Per class of either file."""

    predicted_left_out: int
    """Predicted objects that are neither right nor wrong."""

    references_left_out: int
    """Objects of the reference that need not be found."""

    notes: tuple[str, ...]
    """What has to be said, in sentences."""

    @property
    def total(self) -> ClassObjects:
        """Put the objects of all classes together; average precision is the mean over classes."""
        known = [each.precision_at_recall for each in self.classes if each.references]
        nothing = np.full_like(self.classes[0].precision_at_recall, np.nan)
        return ClassObjects(
            name='all',
            true_positives=sum(each.true_positives for each in self.classes),
            false_positives=sum(each.false_positives for each in self.classes),
            false_negatives=sum(each.false_negatives for each in self.classes),
            precision_at_recall=np.mean(known, axis=0) if known else nothing,
        )

    def to_dict(self) -> dict[str, Any]:
        """Write all figures as JSON takes them; None is not known."""
        return {
            'predicted': self.predicted,
            'reference': self.reference,
            'compared': self.compared,
            'iou_threshold': self.iou_threshold,
            'score_threshold': self.score_threshold,
            'predicted_left_out': self.predicted_left_out,
            'references_left_out': self.references_left_out,
            'total': self.total.to_dict(),
            'classes': [each.to_dict() for each in self.classes],
            'notes': list(self.notes),
        }

    def to_rows(self) -> list[dict[str, Any]]:
        """List the figures of each class and, last, of all: the rows of a CSV file."""
        return [each.to_dict() for each in (*self.classes, self.total)]

    def __str__(self) -> str:
        """Write a table, and what has to be said."""
        head = (
            'class',
            'reference',
            'TP',
            'FP',
            'FN',
            'precision',
            'recall',
            'F1',
            'AP50',
            'AP50:95',
        )
        shown = self.classes if len(self.classes) == 1 else (*self.classes, self.total)
        lines = align([head, *map(_cells, shown)])
        counted = 'all' if self.score_threshold is None else f'>= {self.score_threshold:g}'
        facts: Mapping[str, str] = {
            'objects': self.predicted,
            'reference': self.reference,
            'compared': f'{self.compared}; right from an IoU of {self.iou_threshold:g}, scores: {counted}',
            'left out': f'{self.predicted_left_out:,} predicted, {self.references_left_out:,} of the reference',
        }  # fmt: skip
        told = [*facts.items(), *(('note', note) for note in self.notes)]
        return '\n'.join([*lines, '', *(f'{name:<9} {text}' for name, text in told)])


def _cells(found: ClassObjects) -> tuple[str, ...]:
    """Write the row of a class."""
    counts = (
        found.references, found.true_positives, found.false_positives, found.false_negatives,
    )  # fmt: skip
    shares = (found.precision, found.recall, found.f1, found.ap50, found.ap)
    return (
        found.name,
        *(f'{count:,}' for count in counts),
        *('-' if math.isnan(share) else f'{share:.3f}' for share in shares),
    )


def _share(part: int, whole: int) -> float:
    """Divide; NaN of nothing."""
    return part / whole if whole else math.nan
