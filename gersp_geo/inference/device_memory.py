"""Fit batches into the memory of an accelerator, before the first part and by trying."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from .model.load import evaluating

if TYPE_CHECKING:
    from .plan import PredictionPlan


def free_bytes(device: str) -> int | None:
    """Count the bytes that are free on a device, and held for later by torch; None of a CPU."""
    if torch.device(device).type != 'cuda':
        return None
    held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + held


def fit_batch(plan: 'PredictionPlan') -> 'PredictionPlan':
    """Lower the number of patches of a batch until an accelerator has memory for one.

    Args:
        plan: With the model on its device. What was asked for stays, and so does what an
            interrupted call or another shard has begun with, as the last bits depend on it.

    Returns:
        The plan, with a batch that was forwarded.

    Warns:
        UserWarning: If the usual batch is too large.

    Raises:
        ValueError: If not even one patch fits.
    """
    is_settled = plan.options.batch_size != 'auto' or plan.runtime is not None
    return plan if plan.device == 'cpu' or is_settled else halve_batch(plan)


def halve_batch(plan: 'PredictionPlan') -> 'PredictionPlan':
    """Halve the batch of a plan as long as memory runs out, as :func:`fit_batch`."""
    costs, size = plan.costs, plan.tiles.size
    shape = (plan.loaded.in_channels, size, size)
    predict = plan.output.predictor(plan)

    def forward(count: int) -> None:
        # rows that stay on the device come later
        kept = torch.empty(costs.device_rows_bytes, dtype=torch.uint8, device=plan.device)
        predict(torch.zeros((count, *shape), dtype=torch.uint8), None)
        del kept

    with naming_shortage(replace(plan, batch_size=1)), evaluating(plan.loaded.forward):
        count = largest_batch(forward, most=plan.batch_size)
    if count == plan.batch_size:
        return plan
    warnings.warn(
        f'{plan.device} has too little memory for batches of {plan.batch_size} patches of {size} '
        f'px; they are made of {count} (--batch-size)',
        stacklevel=2,
    )
    batch_bytes = costs.device_bytes - costs.device_rows_bytes
    needed = costs.device_rows_bytes + batch_bytes * count // plan.batch_size
    return replace(plan, batch_size=count, costs=replace(costs, device_bytes=needed))


def largest_batch(forward: Callable[[int], object], *, most: int) -> int:
    """Find the largest of *most*, its half, its quarter and so on that memory is there for.

    Args:
        forward: Forwards some patches.
        most: Patches to begin with.

    Returns:
        How many were forwarded.

    Raises:
        torch.OutOfMemoryError: If not even one can be.
    """
    count = most
    while True:
        try:
            forward(count)
        except torch.OutOfMemoryError:
            if count == 1:
                raise
        else:
            return count
        # only here has the error let go of what it was raised among
        if torch.accelerator.is_available():
            torch.accelerator.empty_cache()
        count //= 2


@contextmanager
def naming_shortage(plan: 'PredictionPlan') -> Iterator[None]:
    """Say in one line what to do where the memory of an accelerator runs out.

    Raises:
        ValueError: If it does.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        count = plan.batch_size
        raise ValueError(
            f'{plan.device} has too little memory for {count} {"patch" if count == 1 else "patches"}'
            f' of {plan.tiles.size} px at a time; lower batch_size (--batch-size) or memory_limit '
            '(--memory-limit) and begin anew (--overwrite), or use another device (--device)'
        ) from error
