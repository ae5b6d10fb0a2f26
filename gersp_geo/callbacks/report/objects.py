"""Average precision of boxes and masks."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision

from .summary import Summary, mean_of_known
from .tallies import Sum, average

MOST = 10_000
"""Detections of an image that count at most. COCO's 100 are fewer than what a scene may hold."""

_NAMES = {'bbox': '', 'segm': 'Mask'}


class ObjectTally:
    """Boxes, and masks in a compressed form, of all images of a validation.

    torchgeo's own metric is the mean over batches of what each batch gives, which is not the
    average precision of all images.
    """

    def __init__(self, names: Mapping[int, str], *, with_masks: bool, device: torch.device) -> None:
        """Initialize a new ObjectTally instance.

        Args:
            names: By label.
            with_masks: Whether there are masks.
            device: Where outputs are.
        """
        self.names = dict(names)
        self.kinds = ('bbox', 'segm') if with_masks else ('bbox',)
        self.metric = MeanAveragePrecision(
            iou_type=self.kinds,  # type: ignore[arg-type]
            # COCO's; its own are rounded to float32, and a recall of 0.4 does not reach 0.4 any more
            iou_thresholds=np.linspace(0.5, 0.95, 10).tolist(),
            rec_thresholds=np.linspace(0, 1, 101).tolist(),
            max_detection_thresholds=[1, 100, MOST],
            # its own summary is for 100 detections alone, whatever is asked for
            extended_summary=True,
        ).to(device)

    def update(self, output: Sequence[Mapping[str, Tensor]], batch: Mapping[str, Any]) -> None:
        """Keep what was found in each image, and what is there."""
        masks = 'segm' in self.kinds
        found = [
            # of half precision where training is
            {key: one[key].detach().float() for key in ('boxes', 'scores')}
            | {'labels': one['labels']}
            | ({'masks': binary_masks(one['masks'])} if masks else {})
            for one in output
        ]
        there = [
            {'boxes': boxes, 'labels': labels}
            | ({'masks': batch['mask'][i].to(torch.uint8)} if masks else {})
            for i, (boxes, labels) in enumerate(
                zip(batch['bbox_xyxy'], batch['label'], strict=True)
            )
        ]
        self.metric.update(found, there)

    def summary(self, add: Sum) -> Summary:
        """Compute AP and AP50 of each class."""
        counts = torch.zeros(max(self.names) + 1, dtype=torch.int64, device=self.metric.device)
        for labels in self.metric.groundtruth_labels:
            counts += labels.to(counts.device).bincount(minlength=len(counts))[: len(counts)]
        counted = add(counts).tolist()
        # the metric collects the objects of all processes itself
        result = self.metric.compute()
        known = [int(label) for label in result['classes'].reshape(-1)]
        classes: dict[str, dict[str, float]] = {name: {} for name in self.names.values()}
        for kind in self.kinds:
            key = 'precision' if len(self.kinds) == 1 else f'{kind}_precision'
            # of each threshold, recall and label, for objects of any size and most detections
            precision = result[key][..., 0, -1]
            for label, name in self.names.items():
                values = precision[..., known.index(label)] if label in known else None
                classes[name] |= {
                    f'{_NAMES[kind]}AP': mean_precision(values),
                    f'{_NAMES[kind]}AP50': mean_precision(None if values is None else values[0]),
                }
        return Summary(
            unit='objects',
            counts={name: counted[label] for label, name in self.names.items()},
            classes=classes,
            overall=average(classes),
            notes={'most_detections_per_image': MOST},
        )


def binary_masks(masks: Tensor) -> Tensor:
    """Bring masks of a detector to (n, H, W), uint8: torchgeo changes them in place after a step."""
    if masks.ndim == 4:
        masks = masks.squeeze(1) > 0.5
    return masks.detach().to(torch.uint8)


def mean_precision(values: Tensor | None) -> float:
    """Average precision over all recalls and thresholds; NaN where nothing is true."""
    # -1 stands for a class that no image has
    return math.nan if values is None else mean_of_known(
        math.nan if value < 0 else value for value in values.flatten().tolist()
    )  # fmt: skip
