"""How sure a model is of its class, pixel by pixel."""

import math

import torch
from torch import Tensor

BANDS = ('entropy', 'margin')
"""What a map of it holds, each in [0, 1]: 0 and 1 where one class is certain, 1 and 0 where all
classes are as likely as each other."""

# Pixels that are looked at together, so that little is held besides the scores.
_TOGETHER = 2**18


def measure_uncertainty(scores: Tensor) -> Tensor:
    """Measure how sure probabilities are.

    Args:
        scores: Probabilities of classes that sum to 1, shape (K, rows, cols); of a single one, it
            is that of the second of two classes.

    Returns:
        Shape (2, rows, cols): the entropy over that of K equal probabilities, log K; and by how
        much the largest probability exceeds the second largest.
    """
    rows, cols = scores.shape[1:]
    found = scores.new_empty((2, rows, cols))
    step = max(1, _TOGETHER // max(cols, 1))
    for start in range(0, rows, step):
        place = slice(start, start + step)
        found[:, place] = _measure(scores[:, place])
    return found


def _measure(scores: Tensor) -> Tensor:
    """Measure some rows, class by class."""
    classes = [1 - scores[0], scores[0]] if len(scores) == 1 else list(scores)
    entropy = torch.zeros_like(classes[0])
    best = torch.zeros_like(entropy)
    second = torch.zeros_like(entropy)
    for probability in classes:
        entropy += torch.special.entr(probability)
        second = torch.maximum(second, torch.minimum(best, probability))
        best = torch.maximum(best, probability)
    # weights of neighbours sum to 1 but for rounding
    return torch.stack([entropy / math.log(len(classes)), best - second]).clamp_(0, 1)
