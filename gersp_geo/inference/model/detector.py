"""What a detector is, what its labels mean, and whether its output is what it must be."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor

from ...preprocessing import Preprocessing
from .load import LoadedModel
from .object_graph import ObjectFacts, ObjectGraph
from .predictor import View, Views, look_back

type Found = Mapping[str, Tensor]
"""Of one image: boxes (n, 4) or (n, 5), labels (n,), scores (n,), and maybe masks."""

type Detect = Callable[[Tensor], Sequence[Found]]
"""From images (B, C, H, W) to what was found in each."""

# where torchvision's detectors live; only `models` and `tasks` import them
_TORCHVISION = 'torchvision.models.detection'

# where they keep numbers, by kind of detector
_CLASSES = (
    'roi_heads.box_predictor.cls_score.out_features',
    'head.classification_head.num_classes',
    'head.classification_head.num_columns',
)
_MOST = ('roi_heads.detections_per_img', 'detections_per_img')

_EXPECTED = 'the model must return, per image, a dictionary of boxes, labels and scores'


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """A model whose output is checked."""

    forward: Detect
    """The model itself."""

    has_background: bool
    """Whether label 0 means that there is nothing."""

    names: Mapping[int, str] | None
    """Names of labels; None where there are none."""

    most: int | None
    """Boxes that it returns per image at most; None where that is not known."""

    columns: int | None = None
    """Numbers per box: 4, or 5 for oriented ones; None accepts both."""

    @classmethod
    def of(cls, loaded: LoadedModel) -> 'Detector':
        """Say what a loaded model's labels mean.

        Args:
            loaded: The model with its record.

        Returns:
            The detector.

        Raises:
            ValueError: If the record names another number of classes than the model has.
        """
        forward: Any = loaded.forward
        if isinstance(forward, ObjectGraph):
            return cls._of_graph(loaded, forward.facts)
        known = is_detector(forward)
        names = name_labels(loaded.preprocessing, classes=count_classes(forward) if known else None)
        # where names begin at label 1, nothing was called 0 in training
        unnamed = names is not None and 0 not in names
        return cls(
            forward=cast('Detect', loaded.score),
            has_background=known and (unnamed or _has_background(forward)),
            names=names,
            most=_look_up(forward, _MOST) if known else None,
        )

    @classmethod
    def _of_graph(cls, loaded: LoadedModel, facts: ObjectFacts) -> 'Detector':
        """Take what the file of a graph says."""
        return cls(
            forward=cast('Detect', loaded.score),
            has_background=facts.has_background,
            names=name_labels(loaded.preprocessing, classes=facts.classes),
            most=facts.most,
        )

    def run_by(self, loaded: LoadedModel) -> 'Detector':
        """Run another form of the same model, of which less can be told."""
        return replace(self, forward=cast('Detect', loaded.score))

    def __call__(self, images: Tensor) -> list[Found]:
        """Detect, and refuse anything but detections.

        Args:
            images: Shape (B, C, H, W).

        Returns:
            Per image.

        Raises:
            ValueError: If the model returns something else.
        """
        returned = self.forward(images)
        is_list = isinstance(returned, Sequence)
        if not is_list or not all(isinstance(found, Mapping) for found in returned):
            raise ValueError(f'{_EXPECTED}, got {_describe(returned)}')
        if len(returned) != len(images):
            raise ValueError(f'{_EXPECTED}, got {len(returned)} for {len(images)} images')
        for found in returned:
            self._check(found, images)
        seen = list(returned) if images.device.type == 'cpu' else bring_to_host(returned)
        if self.names is not None:
            for found in seen:
                self._check_labels(found['labels'], self.names)
        return seen

    def _check(self, found: Found, images: Tensor) -> None:
        """Check what was found in one image."""
        if missing := [key for key in ('boxes', 'labels', 'scores') if key not in found]:
            raise ValueError(f'{_EXPECTED}, got one without {" and ".join(missing)}')
        boxes, labels, scores = (torch.as_tensor(found[k]) for k in ('boxes', 'labels', 'scores'))
        count = len(scores) if scores.ndim == 1 else -1
        known = (4, 5) if self.columns is None else (self.columns,)
        if labels.shape != scores.shape or tuple(boxes.shape) not in [(count, n) for n in known]:
            shapes = ', '.join(
                f'{name} {tuple(values.shape)}'
                for name, values in (('boxes', boxes), ('labels', labels), ('scores', scores))
            )
            wanted = ' or '.join(f'(n, {columns})' for columns in known)
            raise ValueError(f'boxes must be {wanted}, labels and scores (n,), got {shapes}')
        if 'masks' in found:
            _check_masks(found['masks'], count, sides=tuple(images.shape[2:]))

    def _check_labels(self, labels: Tensor, names: Mapping[int, str]) -> None:
        """Check that every label has a name."""
        unnamed = set(torch.as_tensor(labels).unique().tolist()) - set(names)
        unnamed -= {0} if self.has_background else set()
        if unnamed:
            raise ValueError(
                f'the model returned the label {min(unnamed)}, but class_names of the record '
                f'stand for the labels {sorted(names)}'
            )


def bring_to_host(found: Sequence[Found]) -> list[Found]:
    """Bring boxes, labels and scores to the host, those of all images at a time.

    Args:
        found: Per image, on one device, which the host waits for once per kind of value, not once
            per image.

    Returns:
        The same; masks, which are large, stay where they are.
    """
    moved = [dict(one) for one in found]
    for key in ('boxes', 'labels', 'scores'):
        values = torch.cat([one[key].flatten() for one in found]).cpu()
        parts = values.split([one[key].numel() for one in found])
        for one, part in zip(moved, parts, strict=True):
            one[key] = part.view(one[key].shape)
    return [*moved]


class ObjectPredictor:
    """Turns batches of patches as stored into what a detector finds in all views of each."""

    def __init__(self, detector: Detector, views: Views, *, score_threshold: float) -> None:
        """Set up.

        Args:
            detector: The model.
            views: Prepare the images.
            score_threshold: Lowest score of an object.
        """
        self.detector = detector
        self.views = views
        self.score_threshold = score_threshold

    def __call__(self, pixels: Tensor, valid: Tensor | None) -> list[tuple[Found, bool]]:
        """Detect in one batch.

        Args:
            pixels: As in :meth:`.predictor.Views.look`.
            valid: As in :meth:`.predictor.Views.look`.

        Returns:
            Per patch: boxes in its pixels, masks (n, 1, H, W) if there are any; and whether the
            model found as many objects as it returns at most.

        Raises:
            ValueError: If the model returns something else.
        """
        seen: list[list[Found]] = [[] for _ in pixels]
        full = [False] * len(pixels)
        for view, found in self.views.look(self.detector, pixels, valid):
            for place, one in enumerate(found):
                seen[place].append(_look_back(one, view, size=pixels.shape[-1]))
                count = int((one['scores'] >= self.score_threshold).sum())
                full[place] |= self.detector.most is not None and count >= self.detector.most
        return list(zip(map(_together, seen), full, strict=True))


def _look_back(found: Found, view: View, *, size: int) -> Found:
    """Bring what was found in a view to the pixels of the patch, in single precision."""
    axes, transposed = view
    boxes = found['boxes'].float()
    if boxes.shape[1] == 5:
        x, y, width, height, angle = boxes.unbind(dim=1)
        if transposed:
            x, y, angle = y, x, 90 - angle
        for axis in axes:
            x, y, angle = (size - x, y, -angle) if axis == 3 else (x, size - y, -angle)
        boxes = torch.stack([x, y, width, height, angle], dim=1)
    else:
        if transposed:
            boxes = boxes[:, [1, 0, 3, 2]]
        left, top, right, bottom = boxes.unbind(dim=1)
        if 3 in axes:
            left, right = size - right, size - left
        if 2 in axes:
            top, bottom = size - bottom, size - top
        boxes = torch.stack([left, top, right, bottom], dim=1)
    moved = {'boxes': boxes, 'labels': found['labels'], 'scores': found['scores'].float()}
    if 'masks' in found:
        masks = found['masks']
        moved['masks'] = look_back(masks if masks.ndim == 4 else masks[:, None], view)
    return moved


def _together(seen: Sequence[Found]) -> Found:
    """Put what was found in several views of a patch together."""
    # where nothing was found, there may be no masks either
    some = [one for one in seen if len(one['scores'])] or seen[:1]
    return {name: torch.cat([one[name] for one in some]) for name in some[0]}


def is_detector(model: object) -> bool:
    """Say whether a model is a detector of torchvision, or a task around one."""
    network = getattr(model, 'model', model)
    return any(base.__module__.startswith(_TORCHVISION) for base in type(network).__mro__)


def count_classes(model: object) -> int | None:
    """Count the classes of a detector of torchvision, the background included.

    Args:
        model: The detector, or a task around it.

    Returns:
        The number; None where it is not known.
    """
    return _look_up(model, _CLASSES)


def name_labels(record: Preprocessing, *, classes: int | None) -> dict[int, str] | None:
    """Give labels their names.

    Args:
        record: Has names, in the order of labels.
        classes: Of a detector with a background: number of classes, the background included. The
            names may leave the background out; they then begin at label 1.

    Returns:
        Label to name; None without names.

    Raises:
        ValueError: If their number does not fit.
    """
    names = record.class_names
    if not names:
        return None
    if classes is not None and len(names) not in (classes, classes - 1):
        raise ValueError(
            f'the model has {classes} classes with the background, but the record names '
            f'{len(names)}: {", ".join(names)}'
        )
    first = 0 if classes is None else classes - len(names)
    return dict(enumerate(names, start=first))


def _look_up(model: object, places: Sequence[str]) -> int | None:
    """Find a number in a detector of torchvision, or in a task around it."""
    for place in places:
        found: object = getattr(model, 'model', model)
        for name in place.split('.'):
            found = getattr(found, name, None)
        if isinstance(found, int):
            return found
    return None


def _has_background(detector: object) -> bool:
    """Say whether label 0 of a detector of torchvision means that there is nothing."""
    # with it come data modules and metrics, which take seconds to import
    from ...tasks.targets import has_background

    return has_background(getattr(detector, 'model', detector))


def _check_masks(masks: Tensor, count: int, *, sides: tuple[int, ...]) -> None:
    """Check that there is one mask of the size of the image per box."""
    if tuple(masks.shape) not in ((count, *sides), (count, 1, *sides)):
        height, width = sides
        raise ValueError(
            f'masks must be ({count}, {height}, {width}) or ({count}, 1, {height}, {width}), one '
            f'per box, got {tuple(masks.shape)}'
        )


def _describe(found: object) -> str:
    """Say what a model returned instead, and where one that scores pixels belongs."""
    if isinstance(found, Sequence) and not isinstance(found, str):
        return f'a list of {", ".join(sorted({type(one).__name__ for one in found})) or "nothing"}'
    if not isinstance(found, Tensor):
        return type(found).__name__
    advice = '; predict_geotiff is for models that score pixels' if found.ndim == 4 else ''
    return f'a tensor of shape {tuple(found.shape)}{advice}'
