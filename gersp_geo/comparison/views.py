"""How features look: test images in two dimensions, and the training images that are nearest."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..bands import shown_bands
from ..pictures import Limits, find_limits, stretch_values
from .records import FeatureView

# Longer side of a thumbnail, in pixels; the page shows it at this size or below
_SIDE = 64


def choose_shown(labels: NDArray[np.int64], *, most: int = 6, seed: int = 0) -> list[int]:
    """Draw a few test images, of as many classes as possible.

    Args:
        labels: Classes of the test images, shape (N,).
        most: So many at most.
        seed: Of the draw, which knows nothing of what was found.

    Returns:
        Positions in *labels*, by ascending class.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    # of each class the first comes before the second of any, classes in an order of their own
    rounds, ranks = np.zeros(len(labels), dtype=np.int64), dict[int, int]()
    for position in order:
        kind = int(labels[position])
        rounds[position] = ranks[kind] = ranks.get(kind, -1) + 1
    chosen = order[np.argsort(rounds[order], kind='stable')][:most]
    return sorted(chosen.tolist(), key=lambda position: (labels[position], position))


def shown_limits(images: Sequence[NDArray[np.float32]], *, bands: Sequence[str]) -> Limits:
    """Choose the values that are shown darkest and brightest, the same in all thumbnails.

    Args:
        images: Each of shape (C, rows, cols), as read.
        bands: Their names; empty where they are unknown.
    """
    chosen = [image[_places(image, bands)].ravel() for image in images]
    return find_limits(np.concatenate(chosen) if chosen else np.zeros(0))


def paint_thumbnails(
    images: Sequence[NDArray[np.float32]], *, bands: Sequence[str], limits: Limits
) -> NDArray[np.uint8]:
    """Turn images of any bands and values into small pictures.

    Args:
        images: Each of shape (C, rows, cols), all of one size.
        bands: Their names; empty where they are unknown.
        limits: From ``shown_limits``; pictures with other limits cannot be compared.

    Returns:
        Shape (number of images, rows, cols, 3), the longer side 64 at most.
    """
    if not images:
        return np.zeros((0, 1, 1, 3), dtype=np.uint8)
    picked = np.stack([image[_places(image, bands)] for image in images])
    shown = torch.from_numpy(stretch_values(picked, limits))
    rows, cols = shown.shape[-2:]
    if (largest := max(rows, cols)) > _SIDE:
        size = [max(round(side * _SIDE / largest), 1) for side in (rows, cols)]
        shown = F.interpolate(shown, size=size, mode='bilinear', antialias=True)
    small = (shown.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    # one band is shown as grey
    return np.array(np.broadcast_to(small, (*small.shape[:3], 3)))


def _places(image: NDArray[np.float32], bands: Sequence[str]) -> list[int]:
    """Say which bands are shown."""
    return list(shown_bands(bands or [None] * len(image)))


def project(features: Tensor) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Project features onto the two directions in which they vary most.

    Features are centred and not standardised, as neighbours are found without it: two points are
    never further apart in the picture than their features are.

    Args:
        features: Shape (N, D).

    Returns:
        Points of shape (N, 2), and the share of the variance that each direction has; NaN where
        all features are equal.

    Raises:
        ValueError: If a feature is not finite.
    """
    values = features.detach().cpu().double().numpy()
    if not np.isfinite(values).all():
        raise ValueError('features must be finite to be drawn; check the images for NaN')
    count = len(values)
    points, shares = np.zeros((count, 2), dtype=np.float32), [0.0, 0.0]
    centred = values - values.mean(axis=0, keepdims=True) if count else values
    whole = float(np.square(centred).sum())
    if not whole > 0:
        return points, (np.nan, np.nan)
    for i, direction in enumerate(_directions(centred)):
        along = centred @ direction
        points[:, i] = along
        shares[i] = float(np.square(along).sum()) / whole
    return points, (shares[0], shares[1])


def _directions(centred: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Find up to two directions of unit length, by falling variance, with a fixed sign."""
    from scipy.linalg import eigh

    count, size = centred.shape
    wide = size > count
    # the smaller of the two products has the same eigenvalues
    product = centred @ centred.T if wide else centred.T @ centred
    last = len(product) - 1
    values, vectors = eigh(product, subset_by_index=[max(last - 1, 0), last])
    found = []
    for value, vector in zip(values[::-1], vectors.T[::-1], strict=True):
        if value <= 1e-12 * values[-1]:
            break
        direction = centred.T @ vector if wide else vector
        direction /= np.linalg.norm(direction)
        # eigenvectors have no sign of their own, and pages should repeat
        found.append(direction * np.sign(direction[np.abs(direction).argmax()]))
    return found


def view(
    label: str,
    features: Tensor,
    *,
    indices: Tensor,
    bank_labels: Tensor,
    read: Callable[[int], NDArray[np.float32]],
    bands: Sequence[str],
    limits: Limits,
) -> FeatureView:
    """Picture the features of one candidate.

    Args:
        label: Of the candidate.
        features: Of all test images, shape (N, D).
        indices: Nearest training images of the T test images that are shown, nearest first, shape
            (T, k).
        bank_labels: Classes of the training images, shape (M,).
        read: Gives a training image by its position, shape (C, rows, cols), all of one size.
        bands: Names of the bands; empty where they are unknown.
        limits: From ``shown_limits`` of the test images that are shown.

    Raises:
        ValueError: If a feature is not finite.
    """
    points, explained = project(features)
    positions = indices.cpu().numpy()
    # neighbours of several images are often the same
    single, places = np.unique(positions, return_inverse=True)
    images = paint_thumbnails([read(int(i)) for i in single], bands=bands, limits=limits)
    return FeatureView(
        label=label,
        points=points,
        explained=explained,
        neighbours=images[places.reshape(positions.shape)],
        neighbour_classes=bank_labels.cpu().numpy()[positions].astype(np.int64),
    )
