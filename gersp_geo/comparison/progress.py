"""Show how far an evaluation is."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class EvaluationProgress:
    """Two bars: of all that is judged, and of the images or epochs at hand."""

    def __init__(self, *, shown: bool) -> None:
        """Set up; nothing is shown yet.

        Args:
            shown: Whether to show anything.
        """
        self._bar = Progress(
            TextColumn('{task.description}'),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not shown,
        )
        self._all = self._bar.add_task('judged', total=None, visible=False)
        self._now = self._bar.add_task('', total=None, visible=False)

    def __enter__(self) -> Self:
        """Begin to show."""
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave what is shown as it is."""
        self._bar.update(self._now, visible=False)
        self._bar.stop()

    def expect(self, rows: int) -> None:
        """Begin with so many rows of the table."""
        self._bar.update(self._all, total=rows, visible=True)

    def judged(self) -> None:
        """Count a row of the table."""
        self._bar.advance(self._all)

    def begin(self, text: str, total: int) -> Callable[[int], None]:
        """Begin something that takes a while.

        Args:
            text: What.
            total: Number of its parts.

        Returns:
            To be told of more parts.
        """
        self._bar.reset(self._now, total=total, description=text, visible=True)
        return lambda more: self._bar.advance(self._now, more)
