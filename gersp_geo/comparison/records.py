"""What is compared, and what was found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

type Protocol = Literal['knn', 'linear', 'few-shot', 'finetune']
type FirstLayer = Literal['scaled', 'repeat', 'mean', 'random']
type Normalization = Literal['data', 'record']
type SplitName = Literal['train', 'val', 'test']


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Something that gives features: weights, random weights, or no network at all."""

    label: str
    """What tables call it; the seeds of one method share it."""

    source: str
    """As given: a path, a name, 'timm:NAME', 'random:NAME', 'mean-colours', 'image-statistics'."""

    seed: int
    """Position among the candidates of this label, counted from the seed of the command; random
    weights are drawn by it."""

    digest: str
    """SHA-256 of the weights, or of what stands for them, 16 hexadecimal digits."""

    first_layer: FirstLayer = 'scaled'
    """How filters of three bands are spread over others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Features of some images."""

    features: Tensor
    """Shape (N, D), float32."""

    labels: Tensor
    """Classes, shape (N,), int64 >= 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSet:
    """Features of all images of a data set by one candidate."""

    train: Split
    val: Split | None
    """None where nothing is held out to choose by."""

    test: Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A figure and where it probably lies."""

    value: float
    low: float
    high: float
    """Bounds of a 95 % interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a protocol found with one candidate."""

    predictions: NDArray[np.int64]
    """Classes of the test images, shape (N,)."""

    chosen: Mapping[str, float] = field(default_factory=dict)
    """What validation chose, such as C or the learning rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One row of results.csv: one candidate by one protocol."""

    candidate: Candidate
    protocol: Protocol
    labels_per_class: int | None
    """Of few-shot; None where all labels of the training split are used."""

    accuracy: Interval
    """Share of test images that are right, in [0, 1]; of few-shot the mean over draws."""

    draws: tuple[float, ...]
    """Accuracy of each draw of few-shot; () otherwise."""

    chosen: Mapping[str, float]
    settings: Mapping[str, str]
    """What else the figure depends on: data, split, bands, size, normalisation, version."""

    predictions: tuple[int, ...]
    """Classes of the test images, of few-shot () ."""

    published: str = ''
    """Value of the benchmark for these weights, as printed there; '' without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedImages:
    """The test images, for pictures and confusion."""

    classes: Sequence[str]
    labels: NDArray[np.int64]
    """True classes of the test images, shape (N,)."""

    thumbnails: NDArray[np.uint8]
    """Of a few test images, shape (T, rows, cols, 3)."""

    shown: Sequence[int]
    """Which test images these are, T positions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureView:
    """What the features of one candidate look like."""

    label: str
    points: NDArray[np.float32]
    """Test images in two dimensions, shape (N, 2)."""

    explained: tuple[float, float] = (float('nan'), float('nan'))
    """Share of the variance of the features along each of the two; NaN where nothing varies."""

    neighbours: NDArray[np.uint8]
    """Nearest training images of the shown test images, shape (T, k, rows, cols, 3)."""

    neighbour_classes: NDArray[np.int64]
    """Their classes, shape (T, k)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Everything a page shows."""

    title: str
    findings: Sequence[Finding]
    differences: Mapping[tuple[str, Protocol, int | None], Interval]
    """Of (label, protocol, labels per class) to the baseline, paired over seeds and draws."""

    baseline: str | None
    images: ComparedImages
    views: Sequence[FeatureView]
    """Of the first seed of each label."""

    settings: Mapping[str, str]
    """What the whole depends on, for the foot of the page."""

    notes: Sequence[str]
    """Sentences, such as why no published value stands beside ours."""
