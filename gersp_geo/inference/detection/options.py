"""The options of detection, checked as far as neither model nor scene is needed."""

from dataclasses import dataclass
from typing import Any, Self

from ...suppression import Match, Suppressor
from ..options import CUTTING, PredictionOptions

# options that only detection has
_OWN = ('score_threshold', 'iou_threshold', 'match')


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionOptions:
    """The keyword arguments of :func:`gersp_geo.inference.detection.detect_objects`."""

    cutting: PredictionOptions
    """Those that prediction has too."""

    score_threshold: float = 0.5
    iou_threshold: float = 0.5
    match: Match = 'iou'

    @classmethod
    def of(cls, arguments: dict[str, Any]) -> Self:
        """Take the options among the arguments of a function.

        Raises:
            ValueError: If an option is not known, not for objects, or out of range.
        """
        return cls(
            cutting=PredictionOptions.of(arguments, shared=CUTTING, own=_OWN, made='objects'),
            **{name: arguments[name] for name in _OWN if name in arguments},
        )

    def __post_init__(self) -> None:
        """Check what depends on neither model nor raster.

        Raises:
            ValueError: If a value is out of range.
        """
        if not 0 <= self.score_threshold <= 1:
            raise ValueError(f'score_threshold must be in [0, 1], got {self.score_threshold}')
        # raises on its own for match
        if not 0 <= self.iou_threshold <= 1:
            raise ValueError(f'iou_threshold must be in [0, 1], got {self.iou_threshold}')
        Suppressor(threshold=self.iou_threshold, match=self.match)
