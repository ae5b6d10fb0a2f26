"""How many values there are, and between which they lie."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, nan
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueCount:
    """Of some finite values."""

    count: int = 0
    """Their number."""

    low: float = inf
    """The lowest."""

    high: float = -inf
    """The highest."""

    total: float = 0.0
    """Their sum."""

    @classmethod
    def of(cls, values: NDArray[np.floating]) -> Self:
        """Count values."""
        if not values.size:
            return cls()
        return cls(
            count=values.size,
            low=float(values.min()),
            high=float(values.max()),
            total=float(values.sum(dtype=np.float64)),
        )

    @classmethod
    def together(cls, parts: Iterable['ValueCount']) -> Self:
        """Count the values of several parts."""
        known = list(parts)
        return cls(
            count=sum(part.count for part in known),
            low=min((part.low for part in known), default=inf),
            high=max((part.high for part in known), default=-inf),
            total=sum(part.total for part in known),
        )

    @property
    def mean(self) -> float:
        """Their mean; NaN if there are none."""
        return self.total / self.count if self.count else nan
