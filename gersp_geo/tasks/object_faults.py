"""Refuse boxes, labels and masks that no object can have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_TO_CORNERS = "torchvision.ops.box_convert(boxes, 'xywh', 'xyxy')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """The labels that objects may have: [*first*, *classes*)."""

    model: str
    """Kind of detector."""

    first: int
    """1 if label 0 is the background, else 0."""

    classes: int
    """As the task was told; counts the background where there is one."""

    @property
    def rule(self) -> str:
        """What must hold, for messages."""
        model, zero = f'{self.model} with num_classes={self.classes}', 'as 0 is the background'
        if self.classes <= self.first:
            return f'{model} knows no object, {zero}'
        span = ' or '.join(map(str, sorted({self.first, self.classes - 1})))
        if self.classes - self.first > 2:
            span = f'in [{self.first}, {self.classes - 1}]'
        return f'labels of {model} must be {span}{", " + zero if self.first else ""}'

    @property
    def fix(self) -> str:
        """What to do, for messages."""
        if self.first:
            return 'number the classes 1, 2, ... and pass their number plus 1 as num_classes'
        return 'number the classes 0, 1, ... and pass their number as num_classes'


def refuse_impossible(
    targets: Sequence[Mapping[str, Tensor]],
    *,
    known: Labels,
    sides: tuple[int, int],
    purpose: str,
    is_loaded: bool,
) -> None:
    """Refuse values that no object can have; name the first image, box and value.

    Args:
        targets: Of each image of a batch; checked by :func:`refuse_misshapen`.
        known: Labels that may be.
        sides: Rows and columns of the images.
        purpose: Of the batch, named in errors.
        is_loaded: Whether the batch is as the data set gave it; boxes outside the image are
            refused only then, as an augmentation may move them out.
    """
    boxes, labels = (
        torch.cat([target[key] for target in targets]) for key in ('bbox_xyxy', 'label')
    )
    faults = find_faults(boxes, labels, known=known, sides=sides)
    if not is_loaded:
        del faults['outside']
    if 'mask' in targets[0]:
        faults['filled'] = torch.cat([(target['mask'] > 1).flatten(1).any(1) for target in targets])
    # all at once, so that the device is asked once per batch
    verdicts = torch.stack([found.any() for found in faults.values()]).tolist()
    kind = next((kind for kind, found in zip(faults, verdicts, strict=True) if found), None)
    if kind is not None:
        place = int(faults[kind].nonzero()[0, 0])
        counts = [len(target['label']) for target in targets]
        image = next(i for i in range(len(counts)) if place < sum(counts[: i + 1]))
        complaint = complain(
            kind, box=boxes[place].tolist(), label=int(labels[place]), known=known, sides=sides
        )
        raise ValueError(f'image {image} of a {purpose} batch: {complaint}')


def find_faults(
    boxes: Tensor, labels: Tensor, *, known: Labels, sides: tuple[int, int]
) -> dict[str, Tensor]:
    """Mark objects that cannot be, by kind of fault.

    Args:
        boxes: Left, top, right, bottom in pixels, shape (n, 4).
        labels: Shape (n,).
        known: Labels that may be.
        sides: Rows and columns of the images.

    Returns:
        Flags, shape (n,) each, in the order in which faults are told.
    """
    height, width = sides
    left, top, right, bottom = boxes.unbind(dim=1)
    shares = ((boxes >= 0) & (boxes <= 1)).all(dim=1)
    return {
        'infinite': ~boxes.isfinite().all(dim=1),
        'turned': (right < left) | (bottom < top),
        # a single object may end at the first pixel
        'shares': shares & shares.all() & (len(boxes) > 1),
        'empty': (right == left) | (bottom == top),
        'outside': (right <= 0) | (bottom <= 0) | (left >= width) | (top >= height),
        'low': labels < known.first,
        'high': labels >= known.classes,
    }


def complain(
    kind: str, *, box: Sequence[float], label: int, known: Labels, sides: tuple[int, int]
) -> str:
    """Say what is wrong with an object, and what to do."""
    height, width = sides
    corners = ', '.join(f'{value:g}' for value in box)
    rule = 'boxes must be left, top, right, bottom in pixels'
    return {
        'infinite': f'boxes must be finite, got [{corners}]',
        'turned': (
            f'{rule}, got [{corners}], which looks like x, y, width, height: convert with '
            f'{_TO_CORNERS}'
        ),
        'shares': (
            f'{rule}, got [{corners}], and no box of the batch goes beyond 1: multiply shares by '
            f'the width {width} and the height {height}'
        ),
        'empty': f'boxes must have an area, got [{corners}]: leave such objects out',
        'outside': (
            f'boxes must lie in the image of {width} x {height} px, at least in part, got '
            f'[{corners}]: cut and resize boxes with their image, and leave out what it does not '
            'show'
        ),
        'low': f'{known.rule}, got {label}: {known.fix}',
        'high': f'{known.rule}, got {label}: {known.fix}',
        'filled': 'masks must be 0 or 1 (one mask per object), got a larger value: pass mask > 0',
    }[kind]
