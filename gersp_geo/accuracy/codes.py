"""Classes of maps as codes, and how often each occurs."""

import numpy as np
from numpy.typing import NDArray

from ..geoio.polygons import encode_classes
from ..geoio.read import Shown

type Codes = NDArray[np.integer]
"""Classes plus 1, and 0 where there is none, shape (rows, cols)."""

# part of the pixels that may differ from the one before, for counting runs to take less time
_CHANGES = 1 / 8


def to_codes(pixels: NDArray[np.generic], valid: Shown, *, name: str) -> Codes:
    """Turn the values of a map into codes.

    Args:
        pixels: Shape (rows, cols); may be changed.
        valid: Where there is an observation, of the same shape; None means everywhere.
        name: The file, for messages.

    Raises:
        ValueError: If a value is no class.
    """
    if pixels.dtype.kind == 'f':
        pixels = _whole(pixels, valid, name=name)
    if pixels.dtype == np.uint8:
        # bytes are counted several times as fast; 255 has no place among them, and becomes 0
        codes: Codes
        if valid is None and int(pixels.max()) < 255:
            codes = np.add(pixels, 1, out=pixels)
            return codes
        if valid is not None:
            codes = np.add(pixels, 1, dtype=np.uint8)
            codes *= valid
            if np.count_nonzero(codes) == np.count_nonzero(valid):
                return codes
    return encode_classes(pixels, valid, name=name)


def _whole(pixels: NDArray[np.generic], valid: Shown, *, name: str) -> NDArray[np.int64]:
    """Turn floats into whole numbers.

    Raises:
        ValueError: If they hold a fraction.
    """
    known = np.isfinite(pixels) if valid is None else valid
    values = np.where(known, pixels, 0)
    whole = np.round(values)
    if (values != whole).any():
        raise ValueError(
            f'classes are whole numbers, {name} holds {values[values != whole][0]:g}; kind (--kind) '
            "'values' compares measurements"
        )
    return np.asarray(whole, dtype=np.int64)


def count_codes(codes: Codes, *, size: int) -> NDArray[np.int64]:
    """Count how often each code occurs, as :func:`numpy.bincount` of all does.

    Pixels next to each other are alike in most maps, so that runs of one code are counted.

    Args:
        codes: In [0, size), any shape.
        size: Number of codes.

    Returns:
        Shape (size,).
    """
    flat = codes.ravel()
    changes = flat[1:] != flat[:-1]
    if np.count_nonzero(changes) > _CHANGES * len(flat):
        return _count_each(flat, size)
    starts = np.flatnonzero(changes)
    starts += 1
    starts = np.concatenate([[0], starts])
    lengths = np.diff(starts, append=len(flat))
    # sums of whole numbers below 2^53 are exact
    return np.bincount(flat[starts], weights=lengths, minlength=size).astype(np.int64)


def _count_each(flat: NDArray[np.integer], size: int) -> NDArray[np.int64]:
    """Count codes one by one, and bytes two at a time, which takes half as long."""
    if flat.dtype != np.uint8:
        return np.asarray(np.bincount(flat, minlength=size), dtype=np.int64)
    even = len(flat) // 2 * 2
    pairs = np.bincount(flat[:even].view(np.uint16), minlength=2**16).reshape(2**8, 2**8)
    found = pairs.sum(axis=0) + pairs.sum(axis=1)
    found[flat[even:]] += 1
    return np.asarray(found[:size], dtype=np.int64)
