"""The options of detection, checked as far as neither model nor scene is needed."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from ...geoio.frames import FRAME_SUFFIXES
from ...suppression import Match, Suppressor
from ..options import PredictionOptions

OWN = ('score_threshold', 'iou_threshold', 'match')
"""Options that only detection has."""

# those of prediction that detection has too
_SHARED = {
    'size', 'overlap', 'batch_size', 'bands', 'preprocessing', 'nodata', 'area', 'crs', 'res', 'device',
    'memory_limit', 'threads', 'task_class', 'overwrite',
}  # fmt: skip


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
        """Take the options among the arguments of a function."""
        return cls(
            cutting=PredictionOptions.of(arguments),
            **{name: arguments[name] for name in OWN if name in arguments},
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
        for option in fields(self.cutting):
            value = getattr(self.cutting, option.name)
            if option.name not in _SHARED and value != option.default:
                raise ValueError(
                    f'{option.name} is for maps, and detection makes none; got {value!r}, leave it out'
                )


def check_destination(destination: Path, *, overwrite: bool) -> None:
    """Refuse a file that objects cannot be written to, before anything is done.

    Raises:
        FileExistsError: If it exists and may not be replaced.
        ValueError: If its ending names no format.
    """
    if destination.suffix.lower() not in FRAME_SUFFIXES:
        raise ValueError(
            f'{destination} must end in {", ".join(FRAME_SUFFIXES)}: objects are vectors'
        )
    if destination.exists() and not overwrite:
        raise FileExistsError(
            f'{destination} exists; pass another path, or overwrite (--overwrite)'
        )
