"""Decide everything about a detection before a pixel is read."""

from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ...geoio.alignment import open_scene
from ...geoio.blocks import stored_blocks
from ...geoio.reading import RasterHeader, describe_reader
from ...tiling import cut_panels, plan_tile
from ..costs import Rows
from ..loading import Forward, LoadedModel, evaluating, load_model
from ..options import PredictionOptions
from ..plan import SceneGrid
from ..preparing import (
    AUTO_PIXELS,
    check_type,
    count_patches,
    find_device,
    panel_cuts,
    place_model,
    read_area_of,
    weigh_patches,
)
from ..selection import select_bands
from .models import Detector
from .options import DetectionOptions, check_destination
from .plan import DetectionPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """A detection that is ready to run."""

    loaded: LoadedModel
    """The model on its device, with its record."""

    detector: Detector
    """The same, checking its output."""

    plan: DetectionPlan
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
    check_destination(Path(destination), overwrite=cutting.overwrite)
    device = find_device(cutting.device)
    loaded = (
        model
        if isinstance(model, LoadedModel)
        else load_model(model, preprocessing=cutting.preprocessing, task_class=cutting.task_class)
    )
    record = loaded.preprocessing
    nodata = record.nodata if cutting.nodata is None else cutting.nodata
    with open_scene(source, crs=cutting.crs, res=cutting.res, nodata=nodata) as src:
        header = describe_reader(src)
        blocks = stored_blocks(src, range(1, src.count + 1))
    if header.crs is None:
        raise ValueError(
            f'{fspath(source)} names no CRS, and objects without one lie nowhere; assign one, for '
            'example with gdal_edit.py -a_srs'
        )
    check_type(header, record, source=fspath(source))
    bands = select_bands(header, record, bands=cutting.bands, source=fspath(source))
    loaded = place_model(loaded, device=device, options=cutting)
    detector = _probe(loaded, size=cutting.size, device=device)
    plan = _plan(
        source, cutting, header=header, bands=bands, device=device, nodata=nodata,
        blocks=None if blocks is None or blocks.all() else blocks,
    )  # fmt: skip
    return Detection(
        loaded=loaded, detector=detector, plan=plan, destination=Path(destination), options=options
    )


def _plan(
    source: str | PathLike[str],
    options: PredictionOptions,
    *,
    header: RasterHeader,
    bands: tuple[int, ...],
    device: str,
    nodata: float | None,
    blocks: NDArray[np.bool_] | None,
) -> DetectionPlan:
    """Plan how the scene is read and cut."""
    tiles = plan_tile(header.height, header.width, size=options.size, overlap=options.overlap)
    rows = Rows.of(
        header, tiles, maps=(), bands=len(bands), channels=0, blended=False,
        on_host=device == 'cpu',
    )  # fmt: skip
    # where patches cut each other, so that each belongs to one panel
    panels = cut_panels(
        tiles.keep_cols,
        panel_cuts(tiles, exclusive=True),
        length=header.width,
        max_width=rows.widest_panel(options.memory_bytes),
    )
    area = read_area_of(options, header, source=fspath(source))
    budget = AUTO_PIXELS['cpu' if device == 'cpu' else 'accelerator']
    fitting = max(1, budget // options.size**2)
    return DetectionPlan(
        source=fspath(source),
        grid=SceneGrid(crs=options.crs, res=options.res),
        header=header,
        tiles=tiles,
        weighting=weigh_patches(tiles, blend='crop', margin=0),
        panels=panels,
        bands=bands,
        nodata=nodata if header.nodata is None else options.nodata,
        stored=blocks,
        area=area,
        batch_size=fitting if options.batch_size == 'auto' else options.batch_size,
        device=device,
        threads=options.thread_count,
        patches=count_patches(tiles, panels, header, stored=blocks, area=area),
        panel_bytes=rows.host_per_column * (max(panel.width for panel in panels) + tiles.size),
    )


def _probe(loaded: LoadedModel, *, size: int, device: str) -> Detector:
    """Forward one patch of zeros, to learn whether boxes are oriented, and to fail early."""
    detector = Detector.of(loaded)
    shape = (1, len(loaded.preprocessing.bands), size, size)
    with evaluating(loaded.forward):
        found = detector(torch.zeros(shape, device=device))
    return replace(detector, columns=int(found[0]['boxes'].shape[1]))
