"""Describe the patches of a scene, and write what was found."""

from collections import Counter
from contextlib import closing
from os import PathLike
from time import perf_counter
from typing import Literal

from lightning.pytorch import LightningModule

from ...geoio.read import Observed
from ...models.weight_sources import PublishedWeights
from ...preprocessing import Preprocessing
from ..model.load import Forward
from ..model.predictor import Precision
from .options import PatchOptions
from .outputs import best_classes, new_outputs
from .preparing import PatchJob, load_patch_model, prepare_patches
from .streaming import describe_patches
from .summary import PatchSummary


def embed_scene(
    model: str | PathLike[str] | PublishedWeights | Forward,
    source: str | PathLike[str],
    destination: str | PathLike[str],
    *,
    raster: str | PathLike[str] | None = None,
    size: int = 224,
    overlap: int = 0,
    batch_size: int | Literal['auto'] = 'auto',
    bands: tuple[int, ...] | None = None,
    preprocessing: Preprocessing | str | PathLike[str] | None = None,
    nodata: float | None = None,
    observed: Observed = 'auto',
    area: str | PathLike[str] | None = None,
    area_layer: str | None = None,
    crs: str | None = None,
    res: float | tuple[float, float] | None = None,
    precision: Precision = 'float32',
    channels_last: bool = False,
    device: str = 'auto',
    memory_limit: int | str = '1GiB',
    threads: int | Literal['auto'] = 'auto',
    overwrite: bool = False,
    progress: bool = True,
) -> PatchSummary:
    """Give every patch of a scene of any size a vector, the output of a backbone.

    Patches start every ``size - overlap`` pixels from the first pixel of the scene; the last row
    and column may hang over, where the scene is reflected. Scenes are read as by
    :func:`gersp_geo.predict_geotiff`, in bounded memory. Patches without any observation of
    interest are left out; else pixels without one enter as the mean of their band.

    Args:
        model: Weights of a backbone: a file of any known format or a folder of timm, an enum member
            or its name; or an ONNX graph, or a module or function from images (B, C, H, W) to
            vectors (B, D). A module is moved to *device*.
        source: Any raster that GDAL reads.
        destination: Table to write, GeoParquet (.parquet): per patch its polygon, ``row`` and
            ``col`` in the grid, ``observed``, the share of its pixels that are observations, and
            ``embedding``. Or a map of one pixel per patch (.tif), with D bands.
        raster: Map to write beside a table.
        size: Side of a patch in pixels.
        overlap: Pixels that neighbouring patches share, in [0, size). A pixel of the map covers
            what is not shared, in the middle of its patch.
        batch_size: As in ``predict_geotiff``.
        bands: As in ``predict_geotiff``.
        preprocessing: Record of how input is prepared, or a JSON file of it; needed unless the
            weights have one, which it replaces.
        nodata: As in ``predict_geotiff``.
        observed: As in ``predict_geotiff``.
        area: Vector file, in any CRS, of polygons; patches that touch none of them are left out.
            Also a folder or an archive, as in :func:`~gersp_geo.inference.predict_geotiff`.
        area_layer: Layer of *area* to take, where several hold features.
        crs: As in ``predict_geotiff``.
        res: As in ``predict_geotiff``.
        precision: As in ``predict_geotiff``.
        channels_last: As in ``predict_geotiff``.
        device: As in ``predict_geotiff``.
        memory_limit: As in ``predict_geotiff``; 64 MiB of the table come on top.
        threads: Threads that read. 'auto' means one per core, 8 at most.
        overwrite: Whether existing files may be replaced.
        progress: Whether to show a progress bar on the standard error stream.

    Returns:
        What was written.

    Raises:
        FileExistsError: If a file exists and *overwrite* is false.
        FileNotFoundError: If the model or the scene does not exist.
        ValueError: If an argument is out of range, the scene of a table has no CRS, the model
            returns no vectors, or bands do not fit.
        OSError: If the scene is damaged somewhere, or the disk is full.
    """
    options = PatchOptions.of(locals())
    loaded = load_patch_model('embed', model, options)
    return run_patches(prepare_patches(loaded, source, destination, options), progress=progress)


def classify_scene(
    model: str | PathLike[str] | Forward,
    source: str | PathLike[str],
    destination: str | PathLike[str],
    *,
    raster: str | PathLike[str] | None = None,
    size: int = 224,
    overlap: int = 0,
    batch_size: int | Literal['auto'] = 'auto',
    bands: tuple[int, ...] | None = None,
    preprocessing: Preprocessing | str | PathLike[str] | None = None,
    nodata: float | None = None,
    observed: Observed = 'auto',
    area: str | PathLike[str] | None = None,
    area_layer: str | None = None,
    crs: str | None = None,
    res: float | tuple[float, float] | None = None,
    precision: Precision = 'float32',
    channels_last: bool = False,
    device: str = 'auto',
    memory_limit: int | str = '1GiB',
    threads: int | Literal['auto'] = 'auto',
    task_class: str | type[LightningModule] | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> PatchSummary:
    """Give every patch of a scene of any size a class, or labels.

    Scenes are cut and read as by :func:`embed_scene`.

    Args:
        model: Lightning checkpoint of a classification task, an ONNX graph, or a module or function
            from images (B, C, H, W) to logits (B, K). One logit means two classes.
        source: As in :func:`embed_scene`.
        destination: Table to write, as in :func:`embed_scene`, with ``class``, ``class_name``,
            ``score`` (the probability of the class), ``probabilities`` of all, and ``embedding`` if
            the network is one of timm. Labels that do not exclude each other have probabilities
            only. Or a map of one pixel per patch (.tif): classes with colours and names, or one
            band of probabilities per label.
        raster: Map to write beside a table.
        size: As in :func:`embed_scene`.
        overlap: As in :func:`embed_scene`.
        batch_size: As in :func:`embed_scene`.
        bands: As in :func:`embed_scene`.
        preprocessing: As in :func:`embed_scene`.
        nodata: As in :func:`embed_scene`.
        observed: As in :func:`embed_scene`.
        area: As in :func:`embed_scene`.
        area_layer: As there.
        crs: As in :func:`embed_scene`.
        res: As in :func:`embed_scene`.
        precision: As in :func:`embed_scene`.
        channels_last: As in :func:`embed_scene`.
        device: As in :func:`embed_scene`.
        memory_limit: As in :func:`embed_scene`.
        threads: As in :func:`embed_scene`.
        task_class: As in ``predict_geotiff``.
        overwrite: As in :func:`embed_scene`.
        progress: As in :func:`embed_scene`.

    Returns:
        What was written.

    Raises:
        FileExistsError: As :func:`embed_scene`.
        FileNotFoundError: As :func:`embed_scene`.
        ValueError: As :func:`embed_scene`; or if the record names another number of classes.
        OSError: As :func:`embed_scene`.
    """
    options = PatchOptions.of(locals())
    loaded = load_patch_model('classify', model, options)
    return run_patches(prepare_patches(loaded, source, destination, options), progress=progress)


def run_patches(job: PatchJob, *, progress: bool) -> PatchSummary:
    """Carry a job out.

    Args:
        job: What is to be done.
        progress: Whether to show a progress bar.

    Returns:
        What was written.

    Raises:
        FileExistsError: If a file exists and may not be replaced.
        ValueError: If the model returns something else than before.
        OSError: If a file cannot be read or written.
    """
    started = perf_counter()
    counts: Counter[int] = Counter()
    forwarded = 0
    described = describe_patches(job, progress=progress)
    # closed after an error too: it has switched off gradients
    with new_outputs(job) as write, closing(described):
        for patches in described:
            write(patches)
            forwarded += len(patches.cols)
            if job.has_classes:
                counts.update(best_classes(patches).tolist())
    tiles = job.plan.tiles
    return PatchSummary(
        destinations=tuple(
            str(path) for path in (job.files.table, job.files.raster) if path is not None
        ),
        rows=len(tiles.row_offs),
        cols=len(tiles.col_offs),
        forwarded=forwarded,
        length=job.model.length,
        pixels=tiles.height * tiles.width,
        seconds=perf_counter() - started,
        class_patches={job.class_names[index]: counts[index] for index in sorted(counts)},
        values=job.plan.values,
        place=job.plan.place,
    )
