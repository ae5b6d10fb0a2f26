"""Show how far a prediction is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from .plan import PredictionPlan


@contextmanager
def progress_bar(plan: PredictionPlan, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """Show how many patches are done; yield a function that is told of more of them."""
    started = perf_counter()
    done = 0
    bar = Progress(
        TextColumn('{task.completed:,.0f}/{task.total:,.0f} patches'),
        BarColumn(),
        TextColumn('{task.fields[speed]:.2f} Mpx/s'),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not shown,
    )
    with bar:
        task = bar.add_task('', total=len(plan.tiles), speed=0.0)

        def advance(patches: int) -> None:
            nonlocal done
            done += patches
            pixels = plan.pixels_kept * done / len(plan.tiles)
            speed = pixels / 1e6 / max(perf_counter() - started, 1e-9)
            bar.update(task, completed=done, speed=speed)

        yield advance
