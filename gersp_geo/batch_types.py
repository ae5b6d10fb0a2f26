"""Types of the samples and batches of pre-training."""

from typing import TypedDict

from torch import Tensor


class ImageSample(TypedDict):
    """One unlabelled image."""

    image: Tensor
    """(C, H, W)."""


class LabelledSample(TypedDict):
    """One image with its class."""

    image: Tensor
    """(3, H, W), uint8."""

    label: Tensor
    """(), int64."""


class ImageBatch(TypedDict):
    """Unlabelled images."""

    image: Tensor
    """(B, C, H, W), or two dates as (B, 2 * C, H, W) or (B, 2, C, H, W)."""


class LabelledBatch(TypedDict):
    """Images with one class each."""

    image: Tensor
    """(B, 3, H, W)."""

    label: Tensor
    """(B,), int64."""


class JointBatch(TypedDict, total=False):
    """What GeRSPTask trains on."""

    remote_sensing: ImageBatch
    natural: LabelledBatch
    """Absent when the supervised weight is 0."""

    unreadable: tuple[str, ...]
    """Files in whose place others were taken; the loader takes it out."""
