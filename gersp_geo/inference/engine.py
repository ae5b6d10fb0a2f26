"""Carry a plan out: parts, and the finished maps."""

import warnings
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack, closing
from os import PathLike
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

from lightning.pytorch import LightningModule

from .. import __version__
from ..geoio.gdal import gdal_cache
from ..geoio.pixel_area import area_factor
from ..geoio.read import Observed, read_tags
from ..geoio.write import OverviewResampling, finish_map, publish, sync_folder, write_qml
from ..preprocessing import Preprocessing
from .disk_space import advising, check_room
from .estimate import GDAL_CACHE
from .model.load import Forward, LoadedModel, evaluating
from .model.predictor import Averaging, Precision
from .options import Blend, PredictionOptions
from .outputs.map_counts import add_counts
from .outputs.map_values import Output, PredictionSummary
from .plan import PredictionPlan
from .preparing import prepare
from .progress import progress_bar, waiting
from .resume.identity import FINGERPRINT_TAG, fingerprint, identify, layout_of_parts, running
from .resume.journal import Entry, Journal, is_begun, remove_leftover, work_folder
from .resume.parts import (
    PartWriter,
    PlannedPart,
    damaged_files,
    known_entries,
    list_parts,
    locate,
    runs_of,
)
from .streaming import make_scorer, stitch_panel, torch_threads


def predict_geotiff(
    model: str | PathLike[str] | Forward,
    source: str | PathLike[str],
    destination: str | PathLike[str],
    *,
    size: int = 512,
    overlap: int | None = None,
    blend: Blend = 'hann',
    margin: int = 0,
    batch_size: int | Literal['auto'] = 'auto',
    after: str | PathLike[str] | None = None,
    bands: tuple[int, ...] | None = None,
    preprocessing: Preprocessing | str | PathLike[str] | None = None,
    nodata: float | None = None,
    observed: Observed = 'auto',
    area: str | PathLike[str] | None = None,
    area_layer: str | None = None,
    crs: str | None = None,
    res: float | tuple[float, float] | None = None,
    output: Output | Literal['auto'] = 'auto',
    probabilities: str | PathLike[str] | None = None,
    probability_type: Literal['float32', 'uint8'] = 'float32',
    overviews: OverviewResampling | Literal['auto'] = 'auto',
    precision: Precision = 'float32',
    channels_last: bool = False,
    compile: bool = False,
    averaging: Averaging = 'none',
    device: str = 'auto',
    memory_limit: int | str = '1GiB',
    threads: int | Literal['auto'] = 'auto',
    task_class: str | type[LightningModule] | None = None,
    shard: str | None = None,
    merge: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> PredictionSummary:
    """Make a seamless map of a scene of any size, on the grid of the scene, in bounded memory.

    The scene is cut into overlapping patches; outside its borders it is reflected, so that pixels
    there see as much as all others. Probabilities (not logits) are blended with weights that sum to
    1 at every pixel. Patches without any observation are not forwarded, and pixels without one
    enter the model as the mean of their band and leave as nodata. The map is a Cloud Optimized
    GeoTIFF with the scene's CRS and transform, and appears only when complete; a map of classes
    carries names and colours, and a style for QGIS beside it.

    Finished parts lie in a hidden folder beside the map until it is complete. After a stop, even by
    a power cut, the same call goes on where it was, and the map is the same to the byte. A call
    that differs is refused.

    Args:
        model: Lightning checkpoint of a task, ONNX graph, or a module or function from images
            (B, C, H, W) to logits or values (B, K, H, W). One logit means two classes. A module is
            moved to *device*. One patch of zeros is forwarded first, to learn K and to fail early.
        source: Any raster that GDAL reads. Blocks that a sparse local GeoTIFF does not store hold
            no observation, also those of zeros that ``SPARSE_OK`` left out.
        destination: GeoTIFF to write (.tif), on a local disk.
        size: Side of a patch in pixels.
        overlap: Pixels that neighbouring patches share, in [0, size). None means 64, or half of
            *size* if that is less. Twice the receptive radius of the model makes the result
            independent of how the scene is cut.
        blend: 'hann' fades over what neighbours share, 'crop' cuts in the middle.
        margin: With 'hann', pixels at the sides of a patch that get no weight, in
            [0, overlap / 2].
        batch_size: Patches per forward pass. 'auto' takes as many as make 4 megapixels on an
            accelerator, 1 on a CPU (2**22 and 2**20), at least one.
        after: The scene of a later date, for a model that compares two: *source* is the earlier one
            and gives the grid, onto which this one is resampled bilinearly where it lies on
            another. What either lacks is nodata. A module or function gets images (B, 2, C, H, W),
            the earlier date first.
        bands: 1-based bands of the scene in the model's order. None selects them by the names in
            the scene; without names there, all in order if their number is right. Of two scenes,
            they hold for both; names are looked up in each.
        preprocessing: Record of how input is prepared, or a JSON file of it; needed unless the
            checkpoint has one, which it replaces.
        nodata: Value that means "no observation", besides what the scene says itself. None takes
            that of the record where the scene has none.
        observed: Where a pixel is an observation: 'any', where any of its bands is there; 'all',
            where all are; 'auto' means 'any' for bands of 8 bits without masks of their own, else
            'all'. A band that is missing in an observation enters as its mean; with 8 bits, the
            value of one band alone says nothing, and enters as it is.
        area: Vector file, in any CRS, of the polygons to predict; what lies outside is nodata, and
            read only as far as patches reach over. Also a folder (a file geodatabase, shapefiles),
            or a zip archive or a file in it, as ``a.zip!b.shp`` or ``/vsizip/a.zip/b.shp``.
        area_layer: Layer of *area* to take, where several hold features.
        crs: Coordinate reference system to predict in; None means the scene's own. The scene is
            resampled bilinearly.
        res: Pixel size to predict at, in units of that system; None means the scene's own.
        output: 'classes' (unsigned integers), 'probabilities' (one band per class) or 'values'
            (what the model returns, such as a regression). 'auto' means values for a pixelwise
            regression, probabilities for a multi-label task, else classes.
        probabilities: A second GeoTIFF to write, of probabilities, beside a map of classes.
        probability_type: Store probabilities as 'float32', or as 'uint8' in steps of 1 / 254.
        overviews: How overviews are made: 'nearest', 'mode' (of classes) or 'average' (of
            quantities). 'auto' means mode for classes and average for quantities.
        precision: 'bfloat16' computes in mixed precision.
        channels_last: Whether images lie in memory with bands last.
        compile: Whether to compile the model.
        averaging: Average over 4 'flips' of each patch, or over these and their transposes
            ('rotations').
        device: 'auto' takes an accelerator if there is one; else a name that torch knows.
        memory_limit: Memory for what grows with the width of the scene, as bytes or as text such as
            '512MiB', on the host and on an accelerator each. Wider scenes are cut into panels, with
            the same result. Batches, what the model itself needs, and some 200 MiB for GDAL and
            buffers come on top.
        threads: Threads that read, and that compress. 'auto' means one per core, 8 at most.
        task_class: Class of the checkpoint's task, or its import path, where the record lacks it
            or names one outside torchgeo and this package.
        shard: Predict a share of the parts only, such as '0/3', the first of three; processes on
            one file system may work on different shards at a time.
        merge: Make the map of the parts that shards have finished, and predict nothing.
        overwrite: Whether existing maps may be replaced, and an interrupted prediction begun anew.
        progress: Whether to show a progress bar on the standard error stream.

    Returns:
        What was produced, with the area of every class.

    Raises:
        FileExistsError: If a map exists and *overwrite* is false.
        FileNotFoundError: If a file does not exist.
        ValueError: If an argument is out of range, a file is of another kind, or bands, classes or
            shapes do not fit.
        OSError: If the scene is damaged somewhere, or the disk is full.
    """
    options = PredictionOptions.of(locals())
    loaded, plan = prepare(model, source, destination, options)
    return run_plan(loaded, plan, progress=progress)


def run_plan(loaded: LoadedModel, plan: PredictionPlan, *, progress: bool) -> PredictionSummary:
    """Carry a plan out, from where an earlier run was stopped.

    Args:
        loaded: The model that was planned for.
        plan: The plan.
        progress: Whether to show a progress bar.

    Returns:
        What was produced.

    Raises:
        FileExistsError: If the map exists and may not be replaced.
        ValueError: If there are parts of another prediction, or shards that are not done.
        OSError: If a file cannot be read or written.
    """
    started = perf_counter()
    check_room(plan)
    planned, identity = list_parts(plan), identify(loaded, plan)
    if not plan.overwrite:
        _refuse_existing(plan, identity)
    name = 'parts' if plan.shard is None else f'shard-{plan.shard[0]}-of-{plan.shard[1]}'
    if plan.merge and not is_begun(work_folder(plan.destination)):
        raise ValueError(f'no shard of {plan.destination} has begun; nothing can be merged')
    # a merge forwards nothing: any device will do
    how = layout_of_parts(plan) if plan.merge else running(plan)
    folder, begins_anew = work_folder(plan.destination), plan.overwrite and not plan.merge
    with (
        advising(plan),
        Journal.open(folder, identity | how, name=name, overwrite=begins_anew) as journal,
    ):
        before = _sound_entries(plan, planned, journal)
        try:
            if not plan.merge:
                _predict(loaded, plan, _share(planned, plan, before), journal, progress=progress)
        finally:
            entries = known_entries(plan, planned, journal)
            if not entries and plan.shard is None and not plan.merge:
                # nothing that another call could go on from; shards may still be at work
                journal.remove()
        predicted = perf_counter()
        if plan.shard is None:
            with waiting('overviews and the final file', shown=progress):
                _finish(plan, planned, journal, entries, _provenance(loaded, plan, identity))
            journal.remove()
    now = perf_counter()
    return _summarize(
        plan, planned, before, entries, seconds=now - started, seconds_finishing=now - predicted
    )


def _summarize(
    plan: PredictionPlan,
    planned: Sequence[PlannedPart],
    before: Mapping[int, Entry],
    entries: Mapping[int, Entry],
    *,
    seconds: float,
    seconds_finishing: float,
) -> PredictionSummary:
    """Sum up what was done, and what had been done before."""
    counts = add_counts(plan, [entry.counts for entry in entries.values()])
    return PredictionSummary(
        destination=plan.destination,
        complete=plan.shard is None,
        pixels=plan.tiles.height * plan.tiles.width,
        pixels_now=sum(part.pixels for part in planned if part.number in entries.keys() - before),
        valid_pixels=counts.valid_pixels,
        patches=plan.costs.patches,
        forwarded=counts.forwarded,
        seconds=seconds,
        seconds_finishing=seconds_finishing,
        parts=len(entries) - len(before),
        parts_before=len(before),
        class_names=plan.layout.class_names,
        class_pixels=counts.class_pixels,
        class_areas_m2=counts.class_areas_m2 or None,
        area_factor=area_factor(plan.header),
        overlap=None if plan.after is None else plan.after.describe_overlap(plan.source),
        place=plan.place,
        values=plan.values,
    )


def _sound_entries(
    plan: PredictionPlan, planned: Sequence[PlannedPart], journal: Journal
) -> dict[int, Entry]:
    """Read what is done, without parts whose files are damaged: these are made anew.

    Raises:
        ValueError: If parts are merged, and so are not made here.
    """
    entries = known_entries(plan, planned, journal)
    damaged = damaged_files(_share(planned, plan, ()), entries, journal)
    if not damaged:
        return entries
    number, name = next(iter(damaged.items()))
    text = (
        f'{len(damaged)} of {len(entries)} finished parts of {plan.destination} are damaged, the '
        f'first is number {number}, {journal.folder / name}'
    )
    if plan.merge:
        raise ValueError(f'{text}; run {journal.writer_of(number)} again, then merge')
    warnings.warn(f'{text}; they are made anew', stacklevel=2)
    return {number: entry for number, entry in entries.items() if number not in damaged}


def _share(
    planned: Sequence[PlannedPart], plan: PredictionPlan, done: Collection[int]
) -> list[PlannedPart]:
    """Choose the parts that are to be predicted."""
    index, count = plan.shard or (0, 1)
    # neighbours belong together: rows between them need not be forwarded twice
    mine = planned[index * len(planned) // count : (index + 1) * len(planned) // count]
    return [part for part in mine if part.number not in done]


def _predict(
    loaded: LoadedModel,
    plan: PredictionPlan,
    parts: Sequence[PlannedPart],
    journal: Journal,
    *,
    progress: bool,
) -> None:
    """Predict parts."""
    with ExitStack() as stack:
        stack.enter_context(gdal_cache(GDAL_CACHE))
        stack.enter_context(evaluating(loaded.forward))
        stack.enter_context(torch_threads(plan.torch_threads))
        pixels = sum(part.pixels for part in parts)
        advance = stack.enter_context(progress_bar(pixels, shown=progress))
        writer = stack.enter_context(PartWriter(plan, journal))
        scorer = make_scorer(loaded, plan)
        for run in runs_of(parts):
            of_row = {row: part for part in run for row in part.rows}
            rows = range(run[0].rows.start, run[-1].rows.stop)
            with closing(stitch_panel(scorer, plan, run[0].panel, rows)) as finished:
                for some in finished:
                    writer.add(of_row[some.row], some)
                    advance(some.height * run[0].panel.width)


def _finish(
    plan: PredictionPlan,
    planned: Sequence[PlannedPart],
    journal: Journal,
    entries: dict[int, Entry],
    tags: dict[str, str],
) -> None:
    """Turn parts into maps, which appear when all are complete."""
    if missing := len(planned) - len(entries):
        raise ValueError(
            f'{missing} of {len(planned)} parts of {plan.destination} are not there yet; let every '
            'shard finish, then merge again'
        )
    journal.clear_fragments()
    finished = [journal.folder / f'map-{number}.tif' for number in range(len(plan.maps))]
    for number, (made, path) in enumerate(zip(plan.maps, finished, strict=True)):
        finish_map(
            locate(planned, entries, journal, number),
            path,
            made.layout,
            tags,
            overview_resampling=made.overviews,
            work=journal.folder,
            overwrite=True,
            threads=plan.threads,
        )
    for made, path in zip(plan.maps, finished, strict=True):
        if made.output == 'classes':
            write_qml(made.destination, made.layout.class_names, made.layout.class_colors)
        publish(path, Path(made.destination))
        # parts are removed next: a power cut must not take both
        sync_folder(Path(made.destination).parent)


def is_made(plan: PredictionPlan, identity: Mapping[str, Any]) -> bool:
    """Say whether all maps of a plan are there, made of the same scene by the same model and options.

    Args:
        plan: The plan.
        identity: Of the prediction.

    Returns:
        Whether they are.
    """
    return all(_is_ours(made.destination, identity) for made in plan.maps)


def _is_ours(path: str, identity: Mapping[str, Any]) -> bool:
    """Say whether a map was made by the same prediction."""
    try:
        return read_tags(path).get(FINGERPRINT_TAG) == fingerprint(identity)
    except (OSError, ValueError):
        return False


def _refuse_existing(plan: PredictionPlan, identity: Mapping[str, Any]) -> None:
    """Refuse to replace maps, but those that an interrupted call has made."""
    complete = is_made(plan, identity)
    if complete:
        # all that was left to do when the last call was stopped
        remove_leftover(work_folder(plan.destination), identity)
    for made in plan.maps:
        final = Path(made.destination)
        if final.exists() and (complete or not _is_ours(made.destination, identity)):
            advice = 'remove it' if plan.shard else 'overwrite (--overwrite)'
            raise FileExistsError(f'{final} exists; pass another path, or {advice}')


def _provenance(
    loaded: LoadedModel, plan: PredictionPlan, identity: Mapping[str, Any]
) -> dict[str, str]:
    """Say in the map how it was made."""
    tags = {
        'TIFFTAG_SOFTWARE': f'gersp_geo {__version__}',
        'MODEL': loaded.name,
        'PATCH_SIZE': str(plan.tiles.size),
        'PATCH_OVERLAP': str(plan.tiles.overlap),
        'PATCH_MARGIN': str(plan.margin),
        'BLEND': plan.blend,
        'INPUT_BANDS': ','.join(map(str, plan.bands)),
        FINGERPRINT_TAG: fingerprint(identity),
    }
    if plan.observed != 'auto':
        tags['OBSERVED'] = plan.observed
    if plan.after is not None:
        tags['BEFORE'], tags['AFTER'] = Path(plan.source).name, Path(plan.after.path).name
        tags['AFTER_BANDS'] = ','.join(map(str, plan.after.bands))
    return tags if loaded.sha256 is None else tags | {'MODEL_SHA256': loaded.sha256}
