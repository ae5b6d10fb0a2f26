"""How far a model looks, in which steps it moves, and what it holds per pixel: measured, not known.

Pixels near the side of a patch see what a network puts outside of it, as a rule zeros. How far that
reaches is found by cutting an image in two: where the halves and the whole agree, the model did not
look across the cut.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .load import LoadedModel

SIDE = 1024
"""Side of the images on which the radius is measured: a quarter is the largest that is found."""

COST = 4 * 512**2
"""Pixels that are forwarded for one such image."""

# Change of a score, in [0, 1], or of a value in standard deviations, on average over the pixels at
# one distance. In maps of patches that meet there, fewer than 1 of 10,000 pixels changes its class.
TOLERANCE = 1e-3

# rows of the strips that are cut in two
_STRIP = 256

# pixels that groups of pixels have as a rule, where layers cannot be looked at
_USUAL_STEP = 32

# bytes per pixel where layers cannot be looked at
_USUAL_BYTES = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """What the layers of a model say about patches of it."""

    step: int
    """Shift of an image in pixels that shifts what the model returns, and changes nothing else."""

    pixel_bytes: int
    """Bytes that it holds per pixel while it is run, about."""


def measure_layers(loaded: LoadedModel, images: Tensor) -> Layers:
    """Run a model, and look at the sizes of what its layers return.

    Args:
        loaded: The model, in evaluation mode, without gradients.
        images: Shape (B, C, H, W), square.

    Returns:
        What they say; usual numbers for functions and graphs, into which nobody can look.
    """
    module = loaded.forward
    if not isinstance(module, nn.Module) or not list(module.children()):
        return Layers(step=_USUAL_STEP, pixel_bytes=_USUAL_BYTES)
    side, pixels = images.shape[-1], images.shape[0] * images.shape[-2] * images.shape[-1]
    steps, held = {1}, [_bytes_of(images)]
    with _watching(module) as layers:
        loaded.score(images)
    for given, found in layers:
        held.append(given + _bytes_of(found))
        # one pixel is all that is left of a whole patch, and says nothing about a step
        if found.ndim == 4 and 1 < found.shape[-1] < side:
            is_even = side % found.shape[-1] == 0
            steps.add(side // found.shape[-1] if is_even else _USUAL_STEP)
    # as much again is kept for later layers, or by what computes a layer
    return Layers(step=max(steps), pixel_bytes=-(-2 * max(held) // pixels))


def measure_radius(score: Callable[[Tensor], Tensor], images: Tensor) -> int | None:
    """Find the distance from the sides of patches beyond which a model does not see the sides.

    A strip of the image is forwarded whole and as two halves, and the same for a strip of its
    columns. Outer sides are the same in both; what differs is due to the cut.

    Args:
        score: From images (B, C, H, W) to probabilities, or values in standard deviations, of shape
            (B, K, H, W).
        images: Shape (B, C, SIDE, SIDE).

    Returns:
        Pixels: from there on, what differs stays below :data:`TOLERANCE` on average. None if it
        does not within a quarter of the image.
    """
    middle = slice((SIDE - _STRIP) // 2, (SIDE + _STRIP) // 2)
    changes = torch.stack(
        [_change(score, images[..., middle, :], dim=3), _change(score, images[..., middle], dim=2)]
    ).amax(dim=0)
    # also if it were NaN, which is no more than any number
    beyond = (~(changes <= TOLERANCE)).nonzero()
    radius = 0 if len(beyond) == 0 else int(beyond[-1]) + 1
    return radius if radius <= SIDE // 4 else None


def _change(score: Callable[[Tensor], Tensor], strip: Tensor, *, dim: int) -> Tensor:
    """Say how much scores change on average if a strip is cut: by distance from the cut."""
    halves = [half.contiguous() for half in strip.chunk(2, dim=dim)]
    # what a model returns may lie where its next answer will
    whole = score(strip.contiguous()).clone().chunk(2, dim=dim)
    first, second = (
        # the largest of the channels, then the mean over images and what is beside
        (score(half) - part).abs().amax(dim=1).mean(dim=(0, 4 - dim))
        for half, part in zip(halves, whole, strict=True)
    )
    return (first.flip(0) + second) / 2


@contextmanager
def _watching(module: nn.Module) -> Iterator[list[tuple[int, Tensor]]]:
    """List the bytes that each layer without layers is given, and a stand-in of what it returns."""
    seen: list[tuple[int, Tensor]] = []

    def note(_: nn.Module, given: tuple[Any, ...], found: Any) -> None:
        if isinstance(found, Tensor):
            total = sum(_bytes_of(each) for each in given if isinstance(each, Tensor))
            seen.append((total, found.detach().to('meta')))

    hooks = [
        layer.register_forward_hook(note)
        for layer in module.modules()
        if not list(layer.children())
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _bytes_of(tensor: Tensor) -> int:
    """Count the bytes of the values of a tensor."""
    return tensor.numel() * tensor.element_size()
