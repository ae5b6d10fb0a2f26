"""What workers tell who started them."""

from dataclasses import dataclass

from ..scenes import Done


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A scene has begun."""

    scene: int
    """Its place in the list of scenes."""

    pixels: int
    """Pixels of all its parts."""

    pixels_before: int
    """Pixels of the parts that are done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartDone:
    """A part is finished."""

    scene: int
    """Of which it is one."""

    pixels: int
    """Pixels that it settles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFailed:
    """An attempt at a part, or at a step of a scene, has failed, and may be repeated elsewhere."""

    scene: int
    """Of which it is one."""

    part: str
    """Its number, or the name of the step."""

    reason: str
    """What was wrong, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneDone:
    """All that was asked for of a scene is made."""

    scene: int
    """The scene."""

    done: Done
    """What became of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneFailed:
    """A scene is given up."""

    scene: int
    """The scene."""

    reason: str
    """What was wrong, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStopped:
    """A worker has ended, of itself or not."""

    reason: str | None
    """What was wrong; None where it had nothing left to do."""

    is_dead: bool = False
    """Whether it was killed, and another one should take its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """A worker has something to say to the user."""

    text: str
    """In one line."""


type Event = Begun | PartDone | PartFailed | SceneDone | SceneFailed | Warned | WorkerStopped
"""Whatever a worker tells."""
