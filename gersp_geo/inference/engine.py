"""Predict parts: read, forward, settle and write."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing

from ..geoio.gdal import gdal_cache
from .device_memory import naming_shortage
from .estimate import GDAL_CACHE
from .model.load import evaluating
from .plan import PredictionPlan
from .resume.journal import Journal
from .resume.parts import PartWriter, PlannedPart
from .runtime import torch_threads
from .scene.batches import PatchBatch, read_rows


def predict_parts(
    plan: PredictionPlan,
    runs: Iterable[Iterable[PlannedPart]],
    journal: Journal,
    *,
    advance: Callable[[int], None] | None = None,
    finished: Callable[[PlannedPart], None] | None = None,
) -> None:
    """Predict parts: read, forward, settle and write, row of patches by row of patches.

    Earlier rows of patches that bear upon a part are forwarded once more, so that a panel may be
    begun anywhere, with the same result.

    Args:
        plan: The plan, whose model is in the form in which it runs.
        runs: Parts below each other in a panel. They are asked for one by one, in another thread,
            shortly before they are read.
        journal: Is told of every part that is complete.
        advance: Is told of pixels that are settled.
        finished: Is told of parts that are complete, in another thread.

    Raises:
        OSError: If the scene cannot be read, or a part not written.
        ValueError: If the model returns no numbers.
    """
    output = plan.output
    with ExitStack() as stack:
        stack.enter_context(naming_shortage(plan))
        stack.enter_context(gdal_cache(GDAL_CACHE))
        stack.enter_context(evaluating(plan.loaded.forward))
        stack.enter_context(torch_threads(plan.torch_threads))
        writer = stack.enter_context(PartWriter(plan, journal, finished=finished))
        predict = output.predictor(plan)
        for parts in runs:
            run = _Run(plan, iter(parts))
            open_rows = output.open_rows(plan, run.first.panel, first_row=run.first_row)
            with closing(read_rows(plan, run.first.panel, run.rows())) as events:
                for event in events:
                    if isinstance(event, PatchBatch):
                        open_rows.add(event, predict(event.pixels, event.known))
                        continue
                    settled = open_rows.settle(event)
                    if (part := run.part_of.get(event.row)) is not None:
                        writer.add(part, settled)
                        if advance is not None:
                            advance(settled.height * part.panel.width)


class _Run:
    """Rows of patches for parts below each other, which become known one by one."""

    def __init__(self, plan: PredictionPlan, parts: Iterator[PlannedPart]) -> None:
        """Take the first part."""
        self.first = next(parts)
        self._following = parts
        self.first_row = plan.output.first_row(plan, self.first.rows)
        self.part_of: dict[int, PlannedPart] = {}

    def rows(self) -> Iterator[int]:
        """Yield rows of patches, one after the other."""
        yield from range(self.first_row, self.first.rows.start)
        part: PlannedPart | None = self.first
        while part is not None:
            self.part_of |= dict.fromkeys(part.rows, part)
            yield from part.rows
            part = next(self._following, None)
