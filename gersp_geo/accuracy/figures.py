"""What is counted when a map is judged, and what follows from it."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .disagreements import Disagreement

type Design = Literal['stratified', 'simple', 'census', 'unknown']
"""How the reference was chosen: at random within strata, at random from all, everything, or nobody
knows how, which allows for no interval and no area."""

type AreaUnit = Literal['m2', 'pixels']
"""In what areas are given: pixels where the CRS of a map tells no area."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapClass:
    """A class of a map, of its reference, or of both."""

    value: int
    """Value in the map."""

    name: str
    """Name, or a word and the value."""

    color: tuple[int, int, int]
    """Red, green and blue."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SampledCounts:
    """Units of a reference, by stratum, class of the map and class of the reference."""

    design: Design
    """How they were chosen."""

    classes: tuple[MapClass, ...]
    """All K classes of map or reference, by their values."""

    strata: tuple[str, ...]
    """Names of the H strata; one of a sample without strata."""

    counts: NDArray[np.int64]
    """Shape (H, K, K): stratum, class of the map, class of the reference."""

    weights: NDArray[np.float64] | None = None
    """What the units stand for where pixels differ, as in degrees, shape (H, K, K): areas of a census,
    and of a sample shares that sum up to the units of each stratum. None: every unit of a stratum
    stands for as much as any other."""

    stratum_areas: NDArray[np.float64]
    """Areas of the strata, shape (H,)."""

    mapped_areas: NDArray[np.float64]
    """Areas of the classes in the map, shape (K,)."""

    unjudged: NDArray[np.float64] | None = None
    """Units of each stratum that were drawn and lie beyond what is judged, shape (H,); None where
    there are none. They have no part in the areas of the strata."""

    unit: AreaUnit = 'm2'
    """Of all areas."""

    notes: tuple[str, ...] = ()
    """What was found on the way and has to be said, in sentences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure, and how far off it may be."""

    value: float
    """NaN where nothing was sampled that it could follow from."""

    half_width: float | None = None
    """Of the 95 % interval; None where the design gives none, 0 for what is known exactly."""

    is_too_short: bool = False
    """Whether too few units were sampled for the interval to be that wide."""

    @property
    def is_known(self) -> bool:
        """Whether there is a figure."""
        return math.isfinite(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassAccuracy:
    """How right a map is about one class."""

    map_class: MapClass
    """The class."""

    users: Estimate
    """User's accuracy: the share of what is mapped as this class that is of it (precision)."""

    producers: Estimate
    """Producer's accuracy: the share of what is of this class that is mapped as it (recall)."""

    f1: Estimate
    """Twice the right area over the sum of mapped and true area."""

    iou: Estimate
    """The right area over the area that is mapped as this class, or is of it, or both."""

    mapped_area: float
    """Area in the map."""

    area: Estimate | None
    """Error-adjusted area; None where the design does not support one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """Whether classes are right as often as their probabilities say."""

    classes: tuple[MapClass, ...]
    """The K classes that have a probability."""

    edges: NDArray[np.float64]
    """Borders of the B bins of probabilities, shape (B + 1,)."""

    shares: NDArray[np.float64]
    """Share of the reference in each bin, shape (K + 1, B): first by the probability of the most
    probable class, then by that of each class."""

    probabilities: NDArray[np.float64]
    """Mean probability in each bin, shape (K + 1, B); NaN where it is empty."""

    frequencies: NDArray[np.float64]
    """Share of the bin where the reference is of that class, shape (K + 1, B); NaN where it is
    empty."""

    errors: NDArray[np.float64]
    """Expected calibration error, shape (K + 1,): the mean of how far the two lie apart."""

    count: int
    """Units of the reference."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Accuracy:
    """How right a map of classes is."""

    counts: SampledCounts
    """What it follows from."""

    shares: NDArray[np.float64]
    """Error matrix in shares of the area, shape (K, K): class of the map, class of the reference."""

    overall: Estimate
    """Overall accuracy: the share of the area that is mapped right."""

    classes: tuple[ClassAccuracy, ...]
    """Per class."""

    notes: tuple[str, ...]
    """What the design does not support, and where intervals are too short, in sentences."""

    calibration: Calibration | None = None
    """How right probabilities are, where there are some."""

    disagreements: 'tuple[Disagreement, ...]' = ()
    """Places where map and reference differ, those first that count for most."""

    def __str__(self) -> str:
        """Give all figures as tables for the terminal."""
        # the types alone need no files
        from .tables import describe

        return describe(self)

    def as_record(self) -> dict[str, Any]:
        """Give all figures in words of JSON."""
        from .tables import as_record

        return as_record(self)
