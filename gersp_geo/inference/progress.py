"""Show how far a prediction is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn


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


class ScenesProgress:
    """Shows how far several workers are with several scenes."""

    def __init__(self, scenes: int, *, workers: int, shown: bool) -> None:
        """Set up; nothing is shown yet.

        Args:
            scenes: Number of scenes.
            workers: Number of workers.
            shown: Whether to show anything.
        """
        self._scenes, self._started = scenes, perf_counter()
        columns: list[ProgressColumn] = [
            TextColumn('{task.fields[done]:,.1f}/{task.fields[whole]:,.1f} Mpx'),
            BarColumn(),
        ]
        if scenes > 1:
            columns.append(TextColumn('{task.fields[settled]}/{task.fields[scenes]} scenes'))
        columns.append(TextColumn('{task.fields[speed]:.2f} Mpx/s'))
        columns.append(TextColumn(f'{workers} worker{"s" * (workers != 1)}'))
        self._bar = Progress(
            *columns, TimeRemainingColumn(), console=Console(stderr=True), disable=not shown
        )
        self._task = self._bar.add_task(
            '', total=None, done=0.0, whole=0.0, speed=0.0, settled=0, scenes=scenes
        )

    def __enter__(self) -> Self:
        """Begin to show."""
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Leave what is shown as it is."""
        self._bar.stop()

    def show(self, pixels: int, done: int, before: int, settled: int) -> None:
        """Show how far all is.

        Args:
            pixels: Those of the scenes that have begun.
            done: Pixels that were finished now.
            before: Pixels that were finished before.
            settled: Scenes that are made, or given up.
        """
        speed = done / 1e6 / max(perf_counter() - self._started, 1e-9)
        self._bar.update(
            self._task,
            # of scenes that have not begun, the size is not known
            total=pixels if pixels and self._scenes == 1 else self._scenes,
            completed=min(done + before, pixels) if pixels and self._scenes == 1 else settled,
            done=min(done + before, pixels) / 1e6,
            whole=pixels / 1e6,
            speed=speed,
            settled=settled,
        )
