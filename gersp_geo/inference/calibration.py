"""Measure what a plan cannot know: how long the model takes, and how fast blocks are decoded."""

from dataclasses import replace
from time import perf_counter
from typing import Any

import torch

from ..geoio.read import plan_cells
from .device_memory import fit_batch, free_bytes
from .model.load import evaluating
from .model.runtimes.trials import synchronize
from .plan import PredictionPlan
from .resume.identity import identify
from .runtime import choose_runtime

# cells that are decoded to learn how long one takes
CALIBRATION_CELLS = 32

# the first batch is slower: memory is laid out, kernels are chosen
_WARM_UP, _MEASURED = 1, 2


def measure_costs(plan: PredictionPlan, *, calibrate: bool) -> PredictionPlan:
    """Add what only a trial tells to the costs of a plan.

    Args:
        plan: The plan; of a batch that an accelerator has no memory for, half or less is left.
        calibrate: Whether to decode pieces of the scene too.

    Returns:
        The plan, with times.

    Raises:
        OSError: If a scene is damaged where it is decoded.
    """
    plan = fit_batch(plan)
    free = free_bytes(plan.device)
    # a trial takes as long as it is worth to the job, and a plan has to be quick
    key = identify(plan)['model_sha256']
    plan = choose_runtime(plan, key=key, progress=False, tries=calibrate)
    costs = replace(plan.costs, device_free=free, **_measure_forward(plan))
    if calibrate:
        costs = replace(costs, **_measure_reading(plan))
    return replace(plan, costs=costs)


def _measure_forward(plan: PredictionPlan) -> dict[str, Any]:
    """Forward batches of zeros; gives ``patch_seconds`` and ``model_bytes`` of the costs."""
    predict = plan.output.predictor(plan)
    shape = (plan.batch_size, plan.loaded.in_channels, plan.tiles.size, plan.tiles.size)
    pixels = torch.zeros(shape, dtype=torch.uint8)
    seconds = []
    with evaluating(plan.loaded.forward):
        before = _peak_bytes(plan.device, reset=True)
        for _ in range(_WARM_UP + _MEASURED):
            started = perf_counter()
            predict(pixels, None)
            synchronize(plan.device)
            seconds.append(perf_counter() - started)
        after = _peak_bytes(plan.device, reset=False)
    used = None if before is None or after is None else max(after - before, 0)
    return {'patch_seconds': min(seconds[_WARM_UP:]) / plan.batch_size, 'model_bytes': used}


def _measure_reading(plan: PredictionPlan) -> dict[str, Any]:
    """Decode some cells, spread over the scene, of both dates if there are two.

    This gives ``read_bytes_per_second`` of the costs, of all threads together.
    """
    grid = plan_cells(plan.header)
    rows, cols = len(grid.rows(0, plan.tiles.height)), len(grid.cols(0, plan.tiles.width))
    places = [(row, col) for row in range(rows) for col in range(cols)]
    stored = plan.stored
    if stored is not None:
        places = [p for p in places if stored[grid.blocks(grid.window(*p))].any()]
    chosen = places[:: -(-len(places) // CALIBRATION_CELLS) or 1]
    count, seconds = 0, 0.0
    for source in plan.sources:
        with source.open(grid) as file:
            started = perf_counter()
            for place in chosen:
                pixels, _ = source.read(file, grid.window(*place))
                count += pixels.nbytes
            seconds += perf_counter() - started
    return {'read_bytes_per_second': plan.threads * count / max(seconds, 1e-9)}


def _peak_bytes(device: str, *, reset: bool) -> int | None:
    """Read the most memory that was occupied; None where the system does not say."""
    if device != 'cpu':
        if reset:
            torch.accelerator.reset_peak_memory_stats(device)
            return torch.accelerator.memory_allocated(device)
        return torch.accelerator.max_memory_allocated(device)
    try:
        if reset:
            # Linux: forget the peak so far
            with open('/proc/self/clear_refs', 'w', encoding='ascii') as switch:
                switch.write('5')
        with open('/proc/self/status', encoding='ascii') as status:
            peak = next(line for line in status if line.startswith('VmHWM:'))
    except (OSError, StopIteration):
        return None
    return int(peak.split()[1]) * 1024
