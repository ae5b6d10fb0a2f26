"""What every summary says of the run over a scene, whatever was made of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..plan import PredictionPlan
    from .output import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a run over a scene came to."""

    complete: bool
    """Whether the files are made; shards leave that to whoever merges them."""

    pixels: int
    """Pixels of the scene."""

    pixels_now: int
    """Those that were predicted now, not by an earlier run or by other shards."""

    valid_pixels: int
    """Those with an observation of interest."""

    patches: int
    """Patches that may hold something; those that two panels need count twice."""

    forwarded: int
    """Patches given to the model; the others hold no observation of interest."""

    parts: int
    """Parts that were predicted now."""

    parts_before: int
    """Parts that an earlier run, or other shards, had finished."""

    seconds: float
    """Time from the first read to the finished files."""

    values: str | None = None
    """What the scene tags its values with, and nobody applies, in one line; None without a tag."""

    place: str | None = None
    """Where the result lies, in one line; None for a scene with a CRS and a transform alone."""

    dates: str | None = None
    """Of two dates: how they lie on each other, in one line."""

    runtime: str | None = None
    """The form in which the model ran, and what it was chosen from, in one line."""

    trained: str | None = None
    """On which much smaller patches the model was trained, in one line; None unless it was."""

    @property
    def unmerged(self) -> str:
        """Says after the name of a file that it is not made yet; empty once it is."""
        return '' if self.complete else ' (parts only, not merged yet)'

    @property
    def parts_lines(self) -> list[str]:
        """Says how many parts were done before, if any were."""
        before = self.parts_before
        return [f'parts    {self.parts} now, {before} done before'] if before else []

    @property
    def counts_lines(self) -> list[str]:
        """Says how much was read and forwarded."""
        return [
            f'pixels   {self.pixels:,} ({self.valid_pixels:,} with an observation)',
            f'patches  {self.patches:,} ({self.forwarded:,} forwarded)',
            *([] if self.trained is None else [f'trained  {self.trained}']),
        ]

    @property
    def runtime_lines(self) -> list[str]:
        """Says in which form the model ran."""
        if self.runtime is None:
            return []
        return [f'runtime  {self.runtime}'.replace('; ', f'\n{"":<9}')]

    @property
    def time_line(self) -> str:
        """Says how long it took."""
        speed = self.pixels_now / 1e6 / max(self.seconds, 1e-9)
        return f'time     {self.seconds:.1f} s ({speed:.2f} Mpx/s)'


def facts_of(plan: 'PredictionPlan', result: 'Result') -> dict[str, Any]:
    """Gather what every summary says of a run, by the names of its fields."""
    return {
        'complete': result.is_complete,
        'pixels': plan.pixels,
        'pixels_now': result.pixels_now,
        'valid_pixels': result.counts.valid_pixels,
        'patches': plan.costs.patches,
        'forwarded': result.counts.forwarded,
        'parts': result.parts,
        'parts_before': result.parts_before,
        'seconds': result.seconds,
        'values': plan.values,
        'place': plan.place,
        'trained': plan.trained,
        'runtime': None if plan.runtime is None else str(plan.runtime),
        'dates': None if plan.after is None else plan.after.describe_overlap(plan.source),
    }
