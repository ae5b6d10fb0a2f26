"""Decide everything about a detection before a pixel is read."""

from dataclasses import dataclass, replace
from functools import partial
from os import PathLike, fspath
from pathlib import Path

import torch

from ...geoio.formats import FEATURE_SUFFIXES
from ...geoio.vector import check_format
from ...geoio.warp import advise_place, describe_lack
from ...tiling import plan_tile
from ..cutting import CuttingPlan, plan_cutting
from ..model.detector import Detector
from ..model.device import find_device, place_model
from ..model.load import Forward, LoadedModel, evaluating, load_model
from ..output_paths import check_destination
from .options import DetectionOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """A detection that is ready to run."""

    loaded: LoadedModel
    """The model on its device, with its record."""

    detector: Detector
    """The same, checking its output."""

    plan: CuttingPlan
    """How the scene is read and cut."""

    destination: Path
    """The file of objects."""

    options: DetectionOptions
    """Thresholds."""


def prepare_detection(
    model: str | PathLike[str] | Forward | LoadedModel,
    source: str | PathLike[str],
    destination: str | PathLike[str],
    options: DetectionOptions,
) -> Detection:
    """Load the model, read the header of the scene, and check that all fits together.

    Args:
        model: As in :func:`.engine.detect_objects`, or loaded already.
        source: As there.
        destination: As there.
        options: The other arguments.

    Returns:
        What is to be done.

    Raises:
        FileExistsError: As there.
        FileNotFoundError: As there.
        ValueError: As there.
    """
    cutting = options.cutting
    final = check_destination(
        destination, sources=(source,), suffixes=FEATURE_SUFFIXES, holds='a file of objects',
        overwrite=cutting.overwrite,
    )  # fmt: skip
    device = find_device(cutting.device)
    loaded = (
        model
        if isinstance(model, LoadedModel)
        else load_model(model, preprocessing=cutting.preprocessing, task_class=cutting.task_class)
    )
    plan = plan_cutting(
        source,
        loaded.preprocessing,
        cutting,
        device=device,
        cut=partial(plan_tile, size=cutting.size, overlap=cutting.shared),
    )
    if plan.header.crs is None:
        raise ValueError(
            f'{fspath(source)} {describe_lack(plan.header)}, and objects without a CRS lie '
            f'nowhere; {advise_place(plan.header)}'
        )
    check_format(final, crs=plan.header.crs)
    loaded = place_model(loaded, device=device, options=cutting)
    detector = _probe(loaded, size=cutting.size, device=device)
    return Detection(
        loaded=loaded, detector=detector, plan=plan, destination=final, options=options
    )


def _probe(loaded: LoadedModel, *, size: int, device: str) -> Detector:
    """Forward one patch of zeros, to learn whether boxes are oriented, and to fail early."""
    detector = Detector.of(loaded)
    shape = (1, len(loaded.preprocessing.bands), size, size)
    with evaluating(loaded.forward):
        found = detector(torch.zeros(shape, device=device))
    return replace(detector, columns=int(found[0]['boxes'].shape[1]))
