"""Show how far a prediction is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress_bar(pixels: int, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """Show how many of some pixels are done; yield a function that is told of more."""
    started = perf_counter()
    done = 0
    bar = Progress(
        TextColumn('{task.fields[done]:,.1f}/{task.fields[whole]:,.1f} Mpx'),
        BarColumn(),
        TextColumn('{task.fields[speed]:.2f} Mpx/s'),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not shown,
    )
    with bar:
        task = bar.add_task('', total=pixels, done=0.0, whole=pixels / 1e6, speed=0.0)

        def advance(more: int) -> None:
            nonlocal done
            done += more
            speed = done / 1e6 / max(perf_counter() - started, 1e-9)
            bar.update(task, completed=done, done=done / 1e6, speed=speed)

        yield advance


@contextmanager
def waiting(text: str, *, shown: bool) -> Iterator[None]:
    """Show that something takes a while, where nobody knows how far it is."""
    if not shown:
        yield
        return
    with Console(stderr=True).status(text):
        yield
