"""Which patches a scene is cut into: as few pixels forwarded as what the model sees allows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isqrt

from ...tiling import plan_tile

SIZE, OVERLAP = 512, 64
"""Side of a patch, and pixels that neighbours share, where nothing is measured."""

# Side of a patch at most. Larger ones save little, and hold more memory. It is one for all devices, so
# that their maps are alike.
_LARGEST = 1536

# times as many pixels as with the usual patches that may be forwarded so that there are no seams
_DEARER = 1.25

# sides are multiples of it, which rows of memory and runtimes like
_GRAIN = 32

# of a scene whose patches are counted one by one, fewer sizes are looked at
_COARSE = 256

# sizes of which patches are counted, at most: those that are best if every patch is forwarded
_COUNTED = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """How a scene is cut into patches, and why."""

    size: int
    """Side of a patch."""

    overlap: int
    """Pixels that neighbours share."""

    margin: int = 0
    """Pixels at the sides of a patch that see them, and are not taken."""

    step: int = 1
    """Patches begin at multiples of it."""

    reason: str | None = None
    """What was found, in a few words; None where nothing was measured."""


def list_sizes(*, step: int, pixel_bytes: int, memory_bytes: int, is_counted: bool) -> range:
    """List the sides that patches may have.

    Args:
        step: The model's.
        pixel_bytes: Bytes that the model holds per pixel.
        memory_bytes: Bytes that it may hold.
        is_counted: Whether patches are counted one by one, which takes longer.

    Returns:
        Multiples of the step from 512 on, at most 1536; more than 512 only where memory allows it.
    """
    grain = _grain(step) * (max(1, _COARSE // _grain(step)) if is_counted else 1)
    largest = min(_LARGEST, isqrt(memory_bytes // pixel_bytes))
    first = -(-SIZE // grain) * grain
    return range(first, max(largest, first) + 1, grain)


def needed_overlap(radius: int, *, step: int) -> int:
    """Say how many pixels neighbours have to share so that no pixel that is taken sees a side.

    Args:
        radius: How far the model looks.
        step: The model's.

    Returns:
        Twice the radius, rounded up to the step.
    """
    return step * -(-2 * radius // step)


def choose_cut(
    sizes: Sequence[int],
    radius: int | None,
    *,
    height: int,
    width: int,
    overlap: int | None = None,
    step: int,
    margin: int,
    forwarded: Callable[[Cut], float],
    usual_pixels: float,
) -> Cut:
    """Choose the patches of a scene.

    Args:
        sizes: Sides to choose from; one where that is given.
        radius: How far the model looks; None where that has no end.
        height: Rows of the scene.
        width: Its columns.
        overlap: Pixels that neighbours share, where that is given.
        step: The model's.
        margin: What is asked for at least.
        forwarded: Says how many pixels are forwarded; infinity where patches cannot be cut so.
        usual_pixels: Those of the usual patches: a map does not become much slower so that it has no
            seams.

    Returns:
        Patches that overlap as much as the model needs, of the size with the fewest pixels. If
        these are too many, or the model looks anywhere, they overlap as ever.
    """

    def cheapest(overlap: int, margin: int, reason: str | None) -> tuple[float, Cut] | None:
        cuts = [
            Cut(size=size, overlap=overlap, margin=margin, reason=reason,
                step=step if (size - overlap) % step == 0 else 1)
            for size in sizes
            if size > overlap
        ]  # fmt: skip
        cuts.sort(key=lambda cut: (_pixels(cut, height, width), cut.size))
        costs = [(forwarded(cut), cut) for cut in cuts[:_COUNTED]]
        return min(costs, key=lambda each: (each[0], each[1].size), default=None)

    usual = min(OVERLAP, sizes[0] // 2)
    if overlap is not None:
        best = cheapest(overlap, margin, None)
        return best[1] if best else Cut(size=sizes[0], overlap=overlap, margin=margin)
    if radius is None:
        reason = 'the model looks as far as a patch reaches, and sizes make a difference'
        return Cut(size=sizes[0], overlap=usual, margin=margin, reason=reason)
    needed = needed_overlap(radius, step=step)
    reason = f'the model looks {radius} px far'
    best = cheapest(needed, max(radius, margin), reason) if needed >= 2 * margin else None
    if best is not None and best[0] <= _DEARER * usual_pixels:
        return best[1]
    times = 'more' if best is None else f'{best[0] / usual_pixels:.1f} times as many'
    reason += f'; an overlap of {needed} leaves no seams, and forwards {times} pixels'
    best = cheapest(usual, margin, reason)
    assert best is not None  # half of the smallest size fits
    return best[1]


def _grain(step: int) -> int:
    """Say of what sides are multiples."""
    return step * -(-_GRAIN // step)


def _pixels(cut: Cut, height: int, width: int) -> int:
    """Count the pixels of all patches of a scene."""
    tiles = plan_tile(height, width, size=cut.size, overlap=cut.overlap, step=cut.step)
    return len(tiles) * cut.size**2
