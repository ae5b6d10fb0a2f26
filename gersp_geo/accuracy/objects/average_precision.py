"""Average precision at 101 recalls, as COCO has it."""

import numpy as np
from numpy.typing import NDArray

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""From loosely to tightly around an object."""

RECALLS = np.linspace(0, 1, 101)
"""At which precision is read."""


def precision_at_recall(
    is_right: NDArray[np.bool_], scores: NDArray[np.float64], references: int
) -> NDArray[np.float64]:
    """Find the highest precision that goes with each recall.

    The same as in COCO (Lin et al., 2014, https://arxiv.org/abs/1405.0312) and its pycocotools, which
    add 2e-16 to the divisor.

    Args:
        is_right: Whether each predicted object shows one of the reference, shape (n,); those that
            are neither right nor wrong are not among them.
        scores: Of the same objects, shape (n,); those of the same score stay in their order.
        references: Objects that are to be found.

    Returns:
        Precision at :data:`RECALLS`, 0 at those that are never reached; NaN where nothing is to be
        found.
    """
    if not references:
        return np.full(len(RECALLS), np.nan)
    order = np.argsort(-scores, kind='stable')
    right = np.cumsum(is_right[order], dtype=np.float64)
    precision = right / np.arange(1.0, len(right) + 1)
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(right / references, RECALLS, side='left')
    return np.asarray(np.append(highest, 0.0)[at])
