"""Options of objects."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .common import PredictionOptions
from .words import PathName, option

if TYPE_CHECKING:
    from ...suppression import Match


@dataclass(frozen=True, kw_only=True)
class ObjectOptions(PredictionOptions):
    """Options of objects."""

    score_threshold: float = option(0.5, 'Lowest score of an object, in [0, 1].', group='objects')
    iou_threshold: float = option(
        0.5,
        'Overlap of two boxes of a class above which they show one object, in [0, 1].',
        group='objects',
    )
    match: 'Match' = option(
        'iou',
        "Overlap is the shared area over that of both boxes together ('iou'), or over that of the"
        " smaller one ('ios'). Oriented boxes are measured as such, masks by their boxes.",
        group='objects',
        choices=Literal['iou', 'ios'],
    )
    preview: PathName | None = option(
        None, 'PNG file to write: the scene with the objects over it.', metavar='PNG'
    )

    def __post_init__(self) -> None:
        """Check what depends on neither model nor raster.

        Raises:
            ValueError: If a value is out of range.
        """
        super().__post_init__()
        for name in ('score_threshold', 'iou_threshold'):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f'{name} must be in [0, 1], got {getattr(self, name)}')
