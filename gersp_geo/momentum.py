"""The teacher as a moving average of the student, and the queue of its keys."""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, *, momentum: float) -> None:
    """Move each teacher parameter a little towards the student's, in place.

    Eq. 2 of MoCo (https://arxiv.org/abs/1911.05722):
    ``teacher = momentum * teacher + (1 - momentum) * student``. Buffers stay: BatchNorm
    statistics of the teacher come from its own forward passes.

    Args:
        teacher: Changed in place; the same architecture as *student*.
        student: Read only.
        momentum: Share of the teacher that is kept, in [0, 1].
    """
    average = get_ema_multi_avg_fn(momentum)
    average(list(teacher.parameters()), list(student.parameters()), 0)


@torch.no_grad()
def enqueue(queue: Tensor, pointer: Tensor, keys: Tensor) -> None:
    """Replace the oldest keys of a ring buffer by new ones, in place.

    Args:
        queue: Ring buffer of shape (K, D), changed in place.
        pointer: Row of the oldest key, shape (1,), int64 in [0, K), changed in place.
        keys: New keys, oldest first, shape (N, D). N is free: rows wrap around, and of a
            batch larger than the queue the last K keys stay.
    """
    size, total = len(queue), len(keys)
    kept = keys[-size:]
    rows = torch.arange(total - len(kept), total, device=queue.device)
    queue[(pointer + rows) % size] = kept.to(queue.dtype)
    pointer.copy_((pointer + total) % size)
