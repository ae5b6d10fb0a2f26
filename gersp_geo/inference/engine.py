"""Carry a plan out: every row of pixels, then the finished map."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Literal

import numpy as np
from lightning.pytorch import LightningModule
from numpy.typing import NDArray

from .. import __version__
from ..geoio.cog import create_map, finish_cog, write_rows
from ..geoio.reading import open_reader
from ..geoio.styles import write_qml
from ..records import Preprocessing
from .loading import Forward, LoadedModel, evaluating
from .options import Blend, PredictionOptions
from .outputs import OVERVIEW_RESAMPLING, Output, PredictionSummary, encode_rows, pixel_area_m2
from .plan import PredictionPlan, prepare
from .progress import progress_bar
from .streaming import stitch_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tally:
    """What was counted while a map was filled."""

    valid_pixels: int
    forwarded: int
    class_pixels: NDArray[np.int64]


def predict_geotiff(
    model: str | PathLike[str] | Forward,
    source: str | PathLike[str],
    destination: str | PathLike[str],
    *,
    size: int = 512,
    overlap: int = 64,
    blend: Blend = 'hann',
    margin: int = 0,
    batch_size: int | Literal['auto'] = 'auto',
    bands: tuple[int, ...] | None = None,
    preprocessing: Preprocessing | str | PathLike[str] | None = None,
    nodata: float | None = None,
    output: Output | Literal['auto'] = 'auto',
    device: str = 'auto',
    task_class: str | type[LightningModule] | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> PredictionSummary:
    """Make a seamless map of a scene of any size, on the grid of the scene, in bounded memory.

    The scene is cut into overlapping patches; probabilities (not logits) are blended with weights
    that sum to 1 at every pixel, borders included. Where the scene is narrower than a patch, it is
    reflected. Patches without any observation are not forwarded, and pixels without one enter the
    model as the mean of their band and leave as nodata. The map is a Cloud Optimized GeoTIFF with
    the scene's CRS and transform, and appears only when complete; a map of classes carries names
    and colours, and a style for QGIS beside it.

    Args:
        model: Lightning checkpoint of a task, or a module or function from images (B, C, H, W) to
            logits or values (B, K, H, W). One logit means two classes. A module is moved to
            *device*. One patch of zeros is forwarded first, to learn K and to fail early.
        source: Any raster that GDAL reads.
        destination: GeoTIFF to write.
        size: Side of a patch in pixels.
        overlap: Pixels that neighbouring patches share, in [0, size).
        blend: 'hann' fades over what neighbours share, 'crop' cuts in the middle.
        margin: Pixels at the sides of a patch that get no weight, in [0, overlap / 2], except at
            the border of the scene.
        batch_size: Patches per forward pass. 'auto' takes as many as make 4 megapixels on an
            accelerator, 1 on a CPU (2**22 and 2**20), at least one.
        bands: 1-based bands of the scene in the model's order. None selects them by the names in
            the scene; without names there, all in order if their number is right.
        preprocessing: Record of how input is prepared, or a JSON file of it; needed unless the
            checkpoint has one, which it replaces.
        nodata: Value that means "no observation" if all bands have it, besides what the scene says
            itself. None takes that of the record where the scene has none.
        output: 'classes' (unsigned integers), 'probabilities' (one band per class) or 'values'
            (what the model returns, such as a regression). 'auto' means values for a pixelwise
            regression, probabilities for a multi-label task, else classes.
        device: 'auto' takes an accelerator if there is one; else a name that torch knows.
        task_class: Class of the checkpoint's task, or its import path, where the record lacks it
            or names one outside torchgeo and this package.
        overwrite: Whether an existing map may be replaced.
        progress: Whether to show a progress bar on the standard error stream.

    Returns:
        What was produced, with the area of every class.

    Raises:
        FileExistsError: If *destination* exists and *overwrite* is false.
        FileNotFoundError: If a file does not exist.
        ValueError: If an argument is out of range, a file is of another kind, or bands, classes or
            shapes do not fit.
        OSError: If the scene is damaged somewhere.
    """
    options = PredictionOptions(
        size=size,
        overlap=overlap,
        blend=blend,
        margin=margin,
        batch_size=batch_size,
        bands=bands,
        preprocessing=preprocessing,
        nodata=nodata,
        output=output,
        device=device,
        task_class=task_class,
        overwrite=overwrite,
    )
    loaded, plan = prepare(model, source, destination, options)
    return run_plan(loaded, plan, progress=progress)


def run_plan(loaded: LoadedModel, plan: PredictionPlan, *, progress: bool) -> PredictionSummary:
    """Carry a plan out.

    Args:
        loaded: The model that was planned for.
        plan: The plan.
        progress: Whether to show a progress bar.

    Returns:
        What was produced.
    """
    started = perf_counter()
    final = Path(plan.destination)
    final.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=final.parent, prefix=f'.{final.stem}.', suffix='.partial') as own:
        unfinished = Path(own, 'rows.tif')
        tally = _fill_map(unfinished, loaded, plan, progress=progress)
        finish_cog(
            unfinished,
            final,
            overview_resampling=OVERVIEW_RESAMPLING[plan.output],
            overwrite=plan.overwrite,
        )
    if plan.output == 'classes':
        write_qml(final, plan.layout.class_names, plan.layout.class_colors)
    return PredictionSummary(
        destination=plan.destination,
        pixels=plan.pixels_kept,
        valid_pixels=tally.valid_pixels,
        patches=len(plan.tiles),
        forwarded=tally.forwarded,
        seconds=perf_counter() - started,
        class_names=plan.layout.class_names,
        class_pixels=tuple(int(count) for count in tally.class_pixels),
        pixel_area_m2=pixel_area_m2(plan.header),
    )


def _fill_map(
    unfinished: Path, loaded: LoadedModel, plan: PredictionPlan, *, progress: bool
) -> _Tally:
    """Predict all rows into an intermediate file, and count what they hold."""
    valid_pixels = forwarded = 0
    class_pixels = np.zeros(len(plan.layout.class_names), dtype=np.int64)
    with (
        open_reader(plan.source) as src,
        create_map(unfinished, plan.layout, tags=_provenance(loaded, plan)) as dst,
        evaluating(loaded.forward),
        progress_bar(plan, shown=progress) as advance,
    ):
        for rows in stitch_rows(src, loaded, plan):
            # rows that are never written are nodata
            if rows.scores is not None:
                pixels = encode_rows(
                    rows.scores, rows.valid, output=plan.output, layout=plan.layout
                )
                write_rows(dst, rows.row_off, pixels)
                class_pixels += _count_classes(pixels, classes=len(class_pixels))
            valid_pixels += int(rows.valid.sum())
            forwarded += rows.forwarded
            advance(rows.patches)
    return _Tally(valid_pixels=valid_pixels, forwarded=forwarded, class_pixels=class_pixels)


def _provenance(loaded: LoadedModel, plan: PredictionPlan) -> dict[str, str]:
    """Say in the map how it was made."""
    tags = {
        'TIFFTAG_SOFTWARE': f'gersp_geo {__version__}',
        'MODEL': loaded.name,
        'PATCH_SIZE': str(plan.tiles.size),
        'PATCH_OVERLAP': str(plan.tiles.overlap),
        'PATCH_MARGIN': str(plan.margin),
        'BLEND': plan.blend,
        'INPUT_BANDS': ','.join(map(str, plan.bands)),
    }
    return tags if loaded.sha256 is None else tags | {'MODEL_SHA256': loaded.sha256}


def _count_classes(pixels: NDArray[np.generic], *, classes: int) -> NDArray[np.int64]:
    """Count pixels per class; none if the map holds no classes."""
    if classes == 0:
        return np.zeros(0, dtype=np.int64)
    indices = pixels.ravel().astype(np.intp)
    return np.bincount(indices, minlength=classes)[:classes]
