"""When a pixel is an observation: what follows from what a file says of its bands."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from rasterio.enums import MaskFlags

from .reader import Reader, common_type

type Observed = Literal['auto', 'any', 'all']
"""What a user may ask for: a pixel is an observation where any of its bands is, or where all are.

'auto' is 'any' for bands of 8 bits without masks of their own, and 'all' for all others.
"""

type Rule = Literal['picture', 'any', 'all']
"""What follows for some bands of a file: where a pixel is an observation.

'all': where every band is there. 'any': where any is; the others are missing there. 'picture': as
'any', but the value of one band alone says nothing: a 0 in one band of a picture is data.
"""

type Flags = frozenset[MaskFlags]
_EIGHT_BITS = frozenset({'uint8', 'int8'})

# types that hold NaN
_FLOATS = frozenset({
    'float16', 'float32', 'float64', 'complex64', 'complex128', 'complex_int16', 'complex_int32',
})  # fmt: skip

# GDAL's flag of a band that has a mask of its own is none
OWN: Flags = frozenset()
TAGGED: Flags = frozenset({MaskFlags.nodata})

# rasterio gives values of tags as floats, which do not hold these
WIDE = frozenset({'int64', 'uint64'})


@dataclass(frozen=True, slots=True)
class BandFacts:
    """What a raster says of the bands that are read; to ask GDAL takes as long as reading."""

    bands: tuple[int, ...]
    dtypes: tuple[str, ...]
    tags: tuple[float | None, ...]
    flags: tuple[Flags, ...]

    @classmethod
    def of(cls, src: Reader, bands: Sequence[int]) -> Self:
        """Ask once."""
        dtypes, tags, flags = src.dtypes, src.nodatavals, src.mask_flag_enums
        return cls(
            bands=tuple(bands),
            dtypes=tuple(dtypes[band - 1] for band in bands),
            tags=tuple(tags[band - 1] for band in bands),
            flags=tuple(frozenset(flags[band - 1]) for band in bands),
        )

    def rule(self, observed: Observed) -> Rule:
        """Say what follows."""
        is_picture = OWN not in self.flags and _EIGHT_BITS.issuperset(self.dtypes)
        if observed == 'all' or (observed == 'auto' and not is_picture):
            return 'all'
        return 'picture' if is_picture else 'any'

    @property
    def is_masked(self) -> bool:
        """Whether GDAL's masks say it all, as those of whole numbers do, also of tagged values."""
        return all(
            dtype not in _FLOATS and (tag is None or flags == TAGGED)
            for dtype, tag, flags in zip(self.dtypes, self.tags, self.flags, strict=True)
        )


def find_rule(src: Reader, bands: Sequence[int], observed: Observed = 'auto') -> Rule:
    """Say where pixels of a file are observations.

    Args:
        src: An open raster, as it is stored.
        bands: 1-based indices of the bands that are read.
        observed: What a user asks for.
    """
    return BandFacts.of(src, bands).rule(observed)


def is_of_all(flags: Flags) -> bool:
    """Say whether a mask counts for all bands of a file, and is no transparency."""
    return MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags


def is_float(dtype: str) -> bool:
    """Say whether pixels of a type, as rasterio names it, may be NaN."""
    return dtype in _FLOATS


def mask_flags(src: Reader, bands: Sequence[int]) -> dict[int, Flags]:
    """Say, per band that is read, what GDAL's mask of it follows.

    Where rasterio cannot give the tagged value of a type, GDAL's mask is taken for one of the
    band's own.
    """
    every, dtypes = src.mask_flag_enums, src.dtypes
    found = {band: frozenset(every[band - 1]) for band in bands}
    return {
        band: OWN if flags == TAGGED and dtypes[band - 1] in WIDE else flags
        for band, flags in found.items()
    }


def tag_as_stored(value: float | None, dtype: str) -> np.generic | None:
    """Give a nodata value as pixels have it: GDAL compares in the type of the band.

    Args:
        value: What the tag says; None if there is none.
        dtype: Type of the band, as rasterio names it.

    Returns:
        A value of that type; None where no pixel equals it, as for NaN.
    """
    if value is None or np.isnan(value):
        return None
    kind = common_type([dtype])
    if kind.kind in 'fc':
        # -3.4e38 as text is not quite the smallest float; beyond the largest lies infinity
        with np.errstate(over='ignore'):
            stored: np.generic = kind.type(value)
        return stored
    limits = np.iinfo(kind)
    fits = bool(np.isfinite(value)) and limits.min <= value <= limits.max
    return kind.type(int(value)) if fits else None


def given_as_stored(value: float | None, dtype: str) -> np.generic | None:
    """Give a nodata value of a user as pixels have it: none equals 7.5 where all are whole."""
    stored = tag_as_stored(value, dtype)
    is_whole = stored is None or stored.dtype.kind in 'fc' or float(stored) == value
    return stored if is_whole else None
