"""The driver: starts workers, shows how far they are, and says what became of every scene."""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..progress import ScenesProgress
from ..scenes import Done, Jobs
from .events import (
    Begun,
    Event,
    PartDone,
    PartFailed,
    SceneDone,
    SceneFailed,
    Warned,
    WorkerStopped,
)

# times that a worker is replaced without having finished anything
_MOST_DEATHS = 3

# seconds that the driver waits for news at a time
_PATIENCE = 0.2


class Crew(Protocol):
    """Workers, wherever they are."""

    size: int
    """How many there are at the same time."""

    def start(self) -> None:
        """Start all workers."""

    def events(self, timeout: float) -> Sequence[tuple[int, Event]]:
        """Wait for news, for some seconds at most: number of the worker, and what it tells."""

    def replace(self, number: int) -> None:
        """Start another worker in the place of one that is dead."""

    def stop(self) -> None:
        """End all workers, whatever they are doing."""


@dataclass(slots=True, kw_only=True)
class Ledger:
    """What all workers have told so far."""

    scenes: int
    """Number of scenes."""

    begun: dict[int, Begun] = field(default_factory=dict)
    """How much there is to do, by scene."""

    outcomes: dict[int, Done | str] = field(default_factory=dict)
    """What became of scenes: what was made, or why nothing was."""

    pixels_done: int = 0
    """Pixels of the parts that were finished."""

    said: set[str] = field(default_factory=set)
    """What was said to the user."""

    @property
    def is_settled(self) -> bool:
        """Whether it is known of every scene what became of it."""
        return len(self.outcomes) == self.scenes

    def take(self, event: Event, names: Sequence[str]) -> None:
        """Note what a worker tells; several may tell the same.

        Args:
            event: What it tells.
            names: Of the scenes, for messages.

        Warns:
            UserWarning: If a part has failed, or a worker has something to say, once for each text.
        """
        match event:
            case Begun(scene=scene):
                self.begun.setdefault(scene, event)
            case PartDone(pixels=pixels):
                self.pixels_done += pixels
            case PartFailed(scene=scene, part=part, reason=reason):
                self._say(f'{names[scene]}: {reason}; part {part} is tried again')
            case SceneDone(scene=scene, done=done):
                # what a worker made goes before what another one then found there
                if not isinstance(self.outcomes.get(scene), Done) or done.summary is not None:
                    self.outcomes[scene] = done
            case SceneFailed(scene=scene, reason=reason):
                self.outcomes.setdefault(scene, reason)
            case Warned(text=text):
                self._say(text)

    def show(self, bar: ScenesProgress) -> None:
        """Show how far all is."""
        bar.show(
            pixels=sum(begun.pixels for begun in self.begun.values()),
            done=self.pixels_done,
            before=sum(begun.pixels_before for begun in self.begun.values()),
            settled=len(self.outcomes),
        )

    def _say(self, text: str) -> None:
        """Say something to the user, unless it was said."""
        if text not in self.said:
            self.said.add(text)
            warnings.warn(text, stacklevel=4)


def drive(crew: Crew, jobs: Jobs, ledger: Ledger, *, progress: bool) -> None:
    """Have scenes made by workers.

    Args:
        crew: The workers; started here, and stopped.
        jobs: The scenes.
        ledger: Of these scenes; notes what becomes of them.
        progress: Whether to show how far they are.

    Raises:
        OSError: If no worker is left that could go on.
    """
    names = [job.scene for job in jobs.scenes]
    deaths: Counter[int] = Counter()
    ended: dict[int, str | None] = {}
    with ScenesProgress(len(names), workers=crew.size, shown=progress) as bar:
        try:
            crew.start()
            while not ledger.is_settled and len(ended) < crew.size:
                for number, event in crew.events(_PATIENCE):
                    ledger.take(event, names)
                    if isinstance(event, PartDone | SceneDone):
                        deaths[number] = 0
                    elif isinstance(event, WorkerStopped):
                        _replace(crew, number, event, deaths, ended)
                ledger.show(bar)
        finally:
            crew.stop()
    if not ledger.is_settled:
        raise OSError(_explain(ended))
    for number, reason in ended.items():
        if reason is not None:
            warnings.warn(f'worker {number} did not work: {reason}', stacklevel=2)


def _replace(
    crew: Crew,
    number: int,
    event: WorkerStopped,
    deaths: Counter[int],
    ended: dict[int, str | None],
) -> None:
    """Start another worker in the place of a dead one, unless that seems to be of no use."""
    deaths[number] += 1
    if not event.is_dead or deaths[number] > _MOST_DEATHS:
        ended[number] = event.reason
        return
    warnings.warn(f'worker {number} has died ({event.reason}); another one goes on', stacklevel=3)
    crew.replace(number)


def _explain(ended: Mapping[int, str | None]) -> str:
    """Say why no worker is left."""
    reasons = list(dict.fromkeys(reason for reason in ended.values() if reason is not None))
    if len(reasons) == 1:
        return reasons[0]
    return f'all {len(ended)} workers have ended: {"; ".join(reasons) or "for no known reason"}'
