"""Masks of COCO as outlines: runs of pixels, column by column, plain or as text."""

from collections.abc import Sequence

import numpy as np
import shapely


def outline_runs(counts: Sequence[int], *, height: int, width: int) -> shapely.Geometry:
    """Draw the outline of a mask along the sides of its pixels.

    Args:
        counts: Pixels outside, inside, outside, ... the mask, down one column after the other.
        height: Rows of the mask.
        width: Its columns.

    Returns:
        A valid polygon or multipolygon in (column, row); an empty one of an empty mask.

    Raises:
        ValueError: If the runs do not fill the mask.
    """
    ends = np.cumsum(counts, dtype=np.int64)
    if min(counts, default=0) < 0 or not len(ends) or ends[-1] != height * width:
        filled = int(ends[-1]) if len(ends) else 0
        raise ValueError(
            f'the runs of a mask of {width} x {height} px must add up to {height * width}, got '
            f'{filled}'
        )
    boxes: list[tuple[int, int, int, int]] = []
    for begin, end in zip(ends[0::2].tolist(), ends[1::2].tolist(), strict=False):
        boxes += _cover(begin, end, height=height)
    return shapely.union_all(shapely.box(*np.array(boxes, dtype=np.float64).reshape(-1, 4).T))


def _cover(begin: int, end: int, *, height: int) -> list[tuple[int, int, int, int]]:
    """Cover a run by at most three rectangles: end of a column, whole ones, begin of another."""
    (left, top), (right, bottom) = divmod(begin, height), divmod(end, height)
    if left == right:
        return [(left, top, left + 1, bottom)] if bottom > top else []
    pieces = [(left, top, left + 1, height)]
    if right > left + 1:
        pieces.append((left + 1, 0, right, height))
    if bottom:
        pieces.append((right, 0, right + 1, bottom))
    return pieces


def read_runs(text: str) -> list[int]:
    """Read runs that pycocotools has written as text.

    Five bits per character, the sixth says that more follow; from the third run on, the difference
    to the run before the last is written
    (https://github.com/cocodataset/cocoapi/blob/8c9bcc3/common/maskApi.c#L206).

    Raises:
        ValueError: If the text is no such one.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 50:
            raise ValueError(f'runs of a mask hold the character {character!r}, which none has')
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError('runs of a mask end in the middle of a number')
    return runs
