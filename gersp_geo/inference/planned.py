"""What a prediction would do, of one scene or many: text for a terminal, figures for programs."""

from dataclasses import dataclass, field
from typing import Self

from .costs import Costs
from .plan import PredictionPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedScene:
    """What would be made of one scene."""

    scene: str
    """The scene."""

    destination: str
    """The file that would be made of it."""

    was_made: bool
    """Whether it was made before, of the same scene, model and options."""

    height: int
    """Rows of the scene, on the grid of the result."""

    width: int
    """Columns."""

    bands: tuple[int, ...]
    """Its bands, from 1, in the model's order."""

    size: int
    """Side of a patch in pixels."""

    overlap: int
    """Pixels that neighbouring patches share."""

    patches: int
    """In all."""

    panels: int
    """Groups of columns that are finished together."""

    batch_size: int
    """Patches per forward pass."""

    device: str
    """Where the model runs."""

    runtime: str | None
    """The form in which it runs, in one line; None before it is chosen."""

    costs: Costs
    """What it will cost."""

    seconds: float | None
    """Expected time to read and forward; None if not measured."""

    text: str = field(repr=False)
    """All of this, laid out for a terminal."""

    @classmethod
    def of(cls, plan: PredictionPlan, *, destination: str, text: str, was_made: bool) -> Self:
        """Take the figures of a plan."""
        return cls(
            scene=plan.source,
            destination=destination,
            was_made=was_made,
            height=plan.tiles.height,
            width=plan.tiles.width,
            bands=plan.bands,
            size=plan.tiles.size,
            overlap=plan.tiles.overlap,
            patches=len(plan.tiles),
            panels=len(plan.panels),
            batch_size=plan.batch_size,
            device=plan.device,
            runtime=None if plan.runtime is None else str(plan.runtime),
            costs=plan.costs,
            seconds=plan.costs.seconds,
            text=text,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlansSummary:
    """What would be made of some scenes."""

    results: tuple[PlannedScene, ...]
    """Of those that fit."""

    failures: tuple[tuple[str, str], ...]
    """Of the others: scene, and what is wrong with it."""

    def __str__(self) -> str:
        """Lay the plans out for a terminal, failures last."""
        failed = [f'{"failed":<10} {scene}: {reason}' for scene, reason in self.failures]
        return '\n\n'.join([*(planned.text for planned in self.results), *failed])
