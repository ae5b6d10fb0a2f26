"""From pixels as stored to scores: normalisation, the model, what its output means."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from ...normalization import standardize
from ...preprocessing import Preprocessing
from ..options import Averaging, Precision
from .load import Forward
from .signature import Scores

type View = tuple[tuple[int, ...], bool]
"""Axes to flip, and whether to transpose afterwards."""

_FLIPS: tuple[tuple[int, ...], ...] = ((), (2,), (3,), (2, 3))
VIEWS: dict[Averaging, tuple[View, ...]] = {
    'none': (((), False),),
    'flips': tuple((axes, False) for axes in _FLIPS),
    'rotations': tuple((axes, transposed) for transposed in (False, True) for axes in _FLIPS),
}


def turn_views(views: Sequence[View], first: View) -> tuple[View, ...]:
    """Look in other views at what was flipped and transposed before.

    Args:
        views: As of :data:`VIEWS`.
        first: What is done before each.

    Returns:
        Both at once.
    """
    flipped, transposed = first

    def join(view: View) -> View:
        # an axis that is flipped after a transposition is the other one before it
        axes = {5 - axis if transposed else axis for axis in view[0]}
        return tuple(sorted(axes ^ set(flipped))), transposed != view[1]

    return tuple(join(view) for view in views)


def computing(device: str, precision: Precision) -> AbstractContextManager[object]:
    """Compute on a device in the precision asked for."""
    # int8 is a matter of the model
    if precision != 'bfloat16':
        return nullcontext()
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16)


class Views:
    """Turns batches of patches as stored into images that a model looks at, on one device.

    Values are scaled and standardised per band; pixels without an observation, and bands that are
    missing in one, become the mean of their band, so that a nodata value does not spread into its
    surroundings.
    """

    def __init__(
        self,
        preprocessing: Preprocessing,
        *,
        device: str,
        precision: Precision = 'float32',
        channels_last: bool = False,
        averaging: Averaging = 'none',
        turn: View = ((), False),
        dates: int = 1,
    ) -> None:
        """Set up.

        Args:
            preprocessing: Per band of one date: scale, mean and deviation.
            device: Where the model runs.
            precision: 'bfloat16' computes in mixed precision.
            channels_last: Lay images out with bands last, which convolutions on accelerators like.
            averaging: Views of each patch that the model looks at.
            turn: How each patch is flipped and transposed before.
            dates: Of a place, in each image.
        """
        self.views = turn_views(VIEWS[averaging], turn)
        self.device = device
        self.precision = precision
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.scale, self.mean, self.std = (
            torch.tensor(values * dates, dtype=torch.float32, device=device)[:, None, None]
            for values in (preprocessing.scale, preprocessing.mean, preprocessing.std)
        )
        self._images, self._bands = torch.empty(0), torch.empty(0)

    def look[Found](
        self, forward: Callable[[Tensor], Found], pixels: Tensor, valid: Tensor | None
    ) -> Iterator[tuple[View, Found]]:
        """Let a model look at every view of a batch.

        Args:
            forward: The model, from images (B, C, H, W).
            pixels: As stored, shape (B, C, H, W), on any device.
            valid: Where there is an observation, shape (B, H, W), or of each band, shape (B, C, H,
                W); None means everywhere.

        Yields:
            The view, and what the model returned for it.
        """
        images = self.normalise(pixels, valid)
        for view in self.views:
            with computing(self.device, self.precision):
                found = forward(_look(images, view))
            yield view, found

    def normalise(self, pixels: Tensor, valid: Tensor | None) -> Tensor:
        """Scale and standardise into memory that all batches share: fresh pages would cost more.

        Args:
            pixels: As in :meth:`look`.
            valid: As in :meth:`look`.

        Returns:
            Shape (B, C, H, W), float32, on the device; the next call overwrites it.
        """
        if self._images.shape[1:] != pixels.shape[1:] or len(self._images) < len(pixels):
            self._images = torch.empty(
                pixels.shape, dtype=torch.float32, device=self.device, memory_format=self.layout
            )
        images = self._images[: len(pixels)]
        # moved in the file's type, which is smaller
        moved = pixels.to(self.device, non_blocking=pixels.is_pinned())
        known = None if valid is None else valid.to(self.device, non_blocking=valid.is_pinned())
        if known is not None and known.ndim == 3:
            known = known[:, None].expand(images.shape)
        # Nodata may be NaN or as large as floats go, and would spoil every pixel that sees it.
        # Of two dates, what one lacks is left out of both, as it would look like a change.
        if images.device.type == 'cpu':
            for number, (image, stored) in enumerate(zip(images, moved, strict=True)):
                self._fill_in_cache(image, stored, None if known is None else known[number])
            return images
        # as in training
        standardize(images.copy_(moved), scale=self.scale, mean=self.mean, std=self.std)
        return images if known is None else images.masked_fill_(~known, 0)

    def _fill_in_cache(self, image: Tensor, stored: Tensor, known: Tensor | None) -> None:
        """Standardise one patch, which stays in the cache of a CPU."""
        bands = image
        if not image.is_contiguous():
            # operations on values of one band that do not lie side by side take four times as long
            if self._bands.shape != image.shape:
                self._bands = torch.empty(image.shape)
            bands = self._bands
        standardize(bands.copy_(stored), scale=self.scale, mean=self.mean, std=self.std)
        if known is not None:
            # all bits of what is known, and none of others: a tenth of the time of filling in
            bands.view(torch.int32).bitwise_and_(known.to(torch.int32).neg_())
        if bands is not image:
            image.copy_(bands)


class PixelPredictor:
    """Turns batches of patches as stored into scores per pixel."""

    def __init__(
        self, forward: Forward, views: Views, *, scores: Scores, as_logits: bool = False
    ) -> None:
        """Set up.

        Args:
            forward: From images (B, C, H, W) to logits or values (B, K, H, W), on the device; of
                several dates, bands lie side by side.
            views: Prepare the images.
            scores: What *forward* returns.
            as_logits: Leave logits as they are: enough where only the largest matters.
        """
        self.forward = forward
        self.views = views
        self.activate = _activation(scores, as_logits=as_logits and len(views.views) == 1)

    def __call__(self, pixels: Tensor, valid: Tensor | None) -> Tensor:
        """Score one batch.

        Args:
            pixels: As in :meth:`Views.look`.
            valid: As in :meth:`Views.look`.

        Returns:
            Shape (B, K, H, W), float32, on the device; may be overwritten by the next call.

        Raises:
            ValueError: If the model returns another shape.
        """
        total: Tensor | None = None
        for view, scores in self.views.look(self.forward, pixels, valid):
            activated = self.activate(check_scores(scores, pixels).float())
            seen = look_back(activated, view)
            total = seen if total is None else total + seen
        assert total is not None  # there is always a view
        count = len(self.views.views)
        return total if count == 1 else total / count


def _activation(scores: Scores, *, as_logits: bool) -> Callable[[Tensor], Tensor]:
    """Choose what turns the model's output into what is blended."""
    if scores == 'values' or as_logits:
        return _unchanged
    if scores == 'labels':
        return torch.sigmoid
    return to_probabilities


def _unchanged(scores: Tensor) -> Tensor:
    """Return what is given."""
    return scores


def to_probabilities(scores: Tensor) -> Tensor:
    """Turn logits of classes into probabilities; one logit means two classes."""
    return scores.sigmoid() if scores.shape[1] == 1 else scores.softmax(dim=1)


def check_scores(scores: object, images: Tensor) -> Tensor:
    """Refuse scores of another shape than (B, K, H, W).

    Args:
        scores: What the model returned.
        images: For what, shape (B, C, H, W).

    Returns:
        *scores*.

    Raises:
        ValueError: If they are of another shape, or no tensor.
    """
    found: Sequence[int] | str = type(scores).__name__
    if isinstance(scores, Tensor):
        found = tuple(scores.shape)
        if len(found) == 4 and found[0] == len(images) and found[2:] == tuple(images.shape[2:]):
            return scores
    sides = f'{images.shape[2]}, {images.shape[3]}'
    raise ValueError(
        f'the model must return scores of shape ({len(images)}, K, {sides}) for images of shape '
        f'{tuple(images.shape)}, got {found}'
        + ('; pass the whole segmentation model, or --task embed' if len(found) == 2 else '')
    )


def _look(images: Tensor, view: View) -> Tensor:
    """Flip, then transpose."""
    axes, transposed = view
    flipped = images.flip(axes) if axes else images
    return flipped.transpose(2, 3) if transposed else flipped


def look_back(scores: Tensor, view: View) -> Tensor:
    """Bring what was found in a view to the pixels of the patch.

    Args:
        scores: Shape (B, K, H, W).
        view: How the model looked at the patch.

    Returns:
        Transposed back, then flipped back; the shape stays where patches are square.
    """
    axes, transposed = view
    straight = scores.transpose(2, 3) if transposed else scores
    return straight.flip(axes) if axes else straight
