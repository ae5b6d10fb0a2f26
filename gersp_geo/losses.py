"""Losses as pure functions of tensors."""

import torch
from torch import Tensor
from torch.nn import functional as F


def info_nce(query: Tensor, key: Tensor, queue: Tensor, *, temperature: float) -> Tensor:
    """Contrast each query with its own key against a queue of older keys.

    Eq. 1 of MoCo (He et al., 2020, https://arxiv.org/abs/1911.05722): cross entropy over
    one positive and K negatives, with the positive as the right answer. Computed in the type of the
    queue, under autocast too: divided by a small temperature, the rounding of bfloat16 would show.

    Args:
        query: Student embeddings, shape (N, D), L2-normalised.
        key: Teacher embeddings of another view of the same images, shape (N, D),
            L2-normalised, detached.
        queue: Teacher embeddings of earlier batches, shape (K, D), L2-normalised.
        temperature: Divides the cosine similarities; > 0, smaller is sharper.

    Returns:
        Mean loss over the batch, in nats, shape ().

    Raises:
        ValueError: If *query* and *key* differ in shape, *queue* differs in D, or
            *temperature* is not positive.
    """
    if query.shape != key.shape or query.ndim != 2:
        raise ValueError(
            f'query and key must have one shape (N, D), got {tuple(query.shape)} '
            f'and {tuple(key.shape)}'
        )
    if queue.ndim != 2 or queue.shape[1] != query.shape[1]:
        raise ValueError(f'queue must have shape (K, D={query.shape[1]}), got {tuple(queue.shape)}')
    if temperature <= 0:
        raise ValueError(f'temperature must be > 0, got {temperature}')
    with torch.autocast(query.device.type, enabled=False):
        query, key = query.to(queue.dtype), key.to(queue.dtype)
        positive = (query * key).sum(dim=1, keepdim=True)  # (N, 1)
        negative = query @ queue.T  # (N, K)
        logits = torch.cat([positive, negative], dim=1) / temperature
        target = torch.zeros(len(query), dtype=torch.long, device=query.device)
        return F.cross_entropy(logits, target)
