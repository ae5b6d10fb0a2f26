"""Judging logits, embeddings and frozen features without training anything."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LOCK = Lock()

_EVALUATED: WeakKeyDictionary[nn.Module, tuple[int, bool]] = WeakKeyDictionary()
"""By how many each module is held in evaluation mode, and the mode to which it goes back."""


@contextmanager
def evaluation_mode(model: object) -> Iterator[None]:
    """Put a module and all inside it into evaluation mode, and afterwards each back into its own.

    Where several threads evaluate a module, that is after the last of them.

    Args:
        model: A function, which has no modes, stays as it is.
    """
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    with _LOCK:
        for module in modules:
            holders, mode = _EVALUATED.get(module, (0, module.training))
            _EVALUATED[module] = holders + 1, mode
            module.training = False
    try:
        yield
    finally:
        with _LOCK:
            for module in modules:
                holders, mode = _EVALUATED.pop(module)
                if holders > 1:
                    _EVALUATED[module] = holders - 1, mode
                else:
                    module.training = mode


def knn_accuracy(
    features: Tensor, labels: Tensor, *, bank: Tensor, bank_labels: Tensor, k: int = 20
) -> float:
    """Share of features whose nearest neighbours vote for the right class.

    Each of the *k* nearest bank features by cosine similarity has one vote; of tied classes the
    smallest index wins. The protocol of InstDisc (https://arxiv.org/abs/1805.01978) without its
    temperature.

    Args:
        features: Features to classify, shape (N, D).
        labels: Their classes, shape (N,), int64 >= 0.
        bank: Labelled features to search, shape (M, D), M >= *k*.
        bank_labels: Classes of the bank, shape (M,), int64 >= 0.
        k: Number of neighbours, >= 1.

    Returns:
        Accuracy in [0, 1].

    Raises:
        ValueError: If the bank has fewer than *k* features, or there is nothing to classify.
    """
    if not 1 <= k <= len(bank):
        raise ValueError(f'k must be in [1, bank size={len(bank)}], got {k}')
    if len(features) == 0:
        raise ValueError('features must have at least one row, got 0')
    classes = int(torch.maximum(labels.max(), bank_labels.max())) + 1
    bank = F.normalize(bank, dim=1)
    correct = 0
    for rows, truth in zip(features.split(1024), labels.split(1024), strict=True):
        similarity = F.normalize(rows, dim=1) @ bank.T  # (n, M)
        neighbours = bank_labels[similarity.topk(k, dim=1).indices]  # (n, k)
        votes = F.one_hot(neighbours, classes).sum(dim=1)  # (n, classes)
        correct += int((votes.argmax(dim=1) == truth).sum())
    return correct / len(features)


def top_k_accuracy(logits: Tensor, label: Tensor, *, k: int) -> Tensor:
    """Share of images whose class is among the *k* highest logits.

    Args:
        logits: Shape (B, classes).
        label: Shape (B,), int64.
        k: Number of guesses; all classes where there are fewer.

    Returns:
        Accuracy in [0, 1], shape ().
    """
    # torchmetrics' multiclass_accuracy gives the same in 20 times the time
    best = logits.topk(min(k, logits.shape[1]), dim=1).indices
    return (best == label[:, None]).any(dim=1).float().mean()


def effective_rank(embeddings: Tensor) -> Tensor:
    """Count the dimensions that embeddings use: RankMe.

    exp of the Shannon entropy of the singular values, divided by their sum (Garrido et al., 2023,
    https://arxiv.org/abs/2210.02885). One dimension that holds nearly everything counts as 1, as
    many equal ones as there are. Embeddings are not centred, and only their scale does not matter.

    Args:
        embeddings: Shape (N, D), any floating point type.

    Returns:
        Shape (), float64, in [1, min(N, D)]; 0 where all embeddings are 0, NaN where one is not
        finite.

    Raises:
        ValueError: If *embeddings* are not a matrix of at least one row and one column.
    """
    if embeddings.ndim != 2 or embeddings.numel() == 0:
        raise ValueError(f'embeddings must have shape (N, D), got {tuple(embeddings.shape)}')
    matrix = embeddings.detach().double()
    if not matrix.isfinite().all():
        return matrix.new_full((), torch.nan)
    if len(matrix) > matrix.shape[1]:
        # R has the singular values of the whole, in D rows; Q^T Q = 1 loses no digits of small
        # ones, which the square root of eigenvalues of the D x D Gram matrix would
        matrix = torch.linalg.qr(matrix, mode='r').R
    values: Tensor = torch.linalg.svdvals(matrix)
    total = values.sum()
    entropy: Tensor = torch.special.entr(values / total).sum()
    return entropy.exp() if total > 0 else total
