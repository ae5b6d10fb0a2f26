"""Decide everything about a prediction before a pixel is read."""

from dataclasses import replace
from os import PathLike, fspath
from typing import Any, Literal

import torch

from ..geoio.formats import GEOTIFF_SUFFIXES
from ..geoio.read import RasterHeader, check_whole
from ..geoio.warp import describe_place
from ..geoio.write import OverviewResampling
from ..stitching import Weighting
from ..tiling import TilePlan, cut_panels, plan_tile
from ..windows import Panel
from .calibration import measure_costs
from .estimate import Rows, check_parts, count_costs, reading_threads
from .model.device import find_device, fitting_batch, place_model
from .model.load import Forward, LoadedModel, evaluating, load_model
from .options import PredictionOptions, parse_shard
from .output_paths import check_apart, check_destination
from .outputs.map_values import OVERVIEW_RESAMPLING, Output, layout_map
from .plan import MapPlan, PredictionPlan, SceneGrid
from .resume.journal import is_begun, read_header, work_folder
from .scene.bands import name_change
from .scene.headers import Scene, read_area_of, read_scene
from .scene.second_date import AfterScene, check_dates, find_after
from .scene.tiling import count_patches, panel_cuts, weigh_patches
from .scene.watch import SourceWatch

# patches or threads of an interrupted call, at most: more than that is no number of either
_MOST_RECALLED = 2**16


def plan_prediction(
    model: str | PathLike[str] | Forward | LoadedModel,
    source: str | PathLike[str],
    destination: str | PathLike[str],
    *,
    calibrate: bool = False,
    progress: bool = True,
    **options: Any,
) -> PredictionPlan:
    """Say what :func:`predict_geotiff` would do with the same arguments, and what it would cost.

    Nothing is read but headers, unless *calibrate* is set. The model is run on patches of zeros.

    Args:
        model: As in :func:`predict_geotiff`.
        source: As in :func:`predict_geotiff`.
        destination: As in :func:`predict_geotiff`.
        calibrate: Decode up to 32 cells of the scene, to know how long reading takes.
        progress: Accepted so that one set of arguments serves both; planning is quick.
        **options: As in :func:`predict_geotiff`.

    Returns:
        The plan; ``print(plan)`` shows it as a table.

    Raises:
        FileExistsError: As in :func:`predict_geotiff`.
        FileNotFoundError: As in :func:`predict_geotiff`.
        TypeError: If an option has another name.
        ValueError: As in :func:`predict_geotiff`.
    """
    loaded, plan = prepare(model, source, destination, PredictionOptions(**options))
    return measure_costs(loaded, plan, calibrate=calibrate)


def prepare(
    model: str | PathLike[str] | Forward | LoadedModel,
    source: str | PathLike[str],
    destination: str | PathLike[str],
    options: PredictionOptions,
    *,
    may_exist: bool = False,
) -> tuple[LoadedModel, PredictionPlan]:
    """Load the model, read the header of the scene, and check that all fits together.

    Args:
        model: As in :func:`predict_geotiff`, or loaded already.
        source: As in :func:`predict_geotiff`.
        destination: As in :func:`predict_geotiff`.
        options: The other arguments.
        may_exist: Leave it to the caller what an existing map means.

    Returns:
        The model, on its device, and the plan.

    Raises:
        FileExistsError: As in :func:`predict_geotiff`.
        FileNotFoundError: As in :func:`predict_geotiff`.
        UnreadableFileError: If the scene is cut off, or GDAL cannot read it.
        ValueError: As in :func:`predict_geotiff`.
    """
    check_apart(destination, options.probabilities, holds='probabilities')
    # what an interrupted call has made is judged when it goes on
    may_exist |= options.overwrite or work_folder(destination).exists()
    for path in (destination, options.probabilities):
        if path is not None:
            check_destination(
                path, sources=(source, options.after), suffixes=GEOTIFF_SUFFIXES, holds='a map',
                overwrite=may_exist,
            )  # fmt: skip
    watch = SourceWatch.of([source, options.after])
    check_whole(source)
    device = find_device(options.device)
    loaded = (
        model
        if isinstance(model, LoadedModel)
        else load_model(
            model,
            preprocessing=options.preprocessing,
            task_class=options.task_class,
            dates=options.dates,
        )
    )
    check_dates(loaded, options)
    scene = read_scene(source, loaded.preprocessing, options)
    after = find_after(source, scene.header, loaded.preprocessing, options, own=scene.own)
    loaded = place_model(loaded, device=device, options=options)
    channels = _count_channels(loaded, size=options.size, device=device)
    if after is not None and loaded.scores == 'classes' and options.output != 'values':
        loaded = replace(loaded, preprocessing=name_change(loaded.preprocessing, channels=channels))
    return loaded, _plan(
        source, destination, options, loaded=loaded, scene=scene, channels=channels, device=device,
        after=after, watch=watch,
    )  # fmt: skip


def _plan(
    source: str | PathLike[str],
    destination: str | PathLike[str],
    options: PredictionOptions,
    *,
    loaded: LoadedModel,
    scene: Scene,
    channels: int,
    device: str,
    after: AfterScene | None,
    watch: SourceWatch,
) -> PredictionPlan:
    """Put the plan together."""
    record, header = loaded.preprocessing, scene.header
    tiles = plan_tile(header.height, header.width, size=options.size, overlap=options.shared)
    weighting = weigh_patches(tiles, blend=options.blend, margin=options.margin)
    maps = _plan_maps(loaded, header, fspath(destination), options, channels=channels)
    area = read_area_of(options, header, source=fspath(source))
    rows = Rows.of(
        header, tiles, maps=[made.layout for made in maps], bands=loaded.in_channels, channels=channels,
        blended=options.blend == 'hann', on_host=device == 'cpu', per_band=scene.rule == 'any',
    )  # fmt: skip
    widest = rows.widest_panel(options.memory_bytes)
    panels, rows_per_part = _cut_parts(
        tiles, weighting, widest=widest, part_pixels=options.part_pixels, source=fspath(source)
    )
    batch_size, torch_threads = _recall(destination, options, device=device)
    return PredictionPlan(
        source=fspath(source),
        grid=SceneGrid(crs=options.crs, res=options.res),
        header=header,
        georeference=scene.own.georeference,
        place=describe_place(scene.own, header),
        tiles=tiles,
        weighting=weighting,
        panels=panels,
        rows_per_part=rows_per_part,
        bands=scene.bands,
        band_names=record.bands,
        nodata=scene.nodata,
        observed=options.observed,
        rule=scene.rule,
        stored=scene.stored,
        area=area,
        after=after,
        area_sha256=None if area is None else area.sha256,
        blend=options.blend,
        margin=options.margin,
        batch_size=batch_size,
        device=device,
        precision=options.precision,
        averaging=options.averaging,
        channels_last=options.channels_last,
        compiled=options.compile,
        threads=reading_threads(header, options, source=fspath(source)),
        torch_threads=torch_threads,
        maps=maps,
        channels=channels,
        costs=count_costs(
            rows,
            panels,
            batch_size=batch_size,
            blocks=scene.stored,
            patches=count_patches(tiles, panels, header, stored=scene.stored, area=area),
        ),
        shard=None if options.shard is None else parse_shard(options.shard),
        merge=options.merge,
        overwrite=options.overwrite,
        watch=watch,
    )


def _cut_parts(
    tiles: TilePlan, weighting: Weighting, *, widest: int, part_pixels: int, source: str
) -> tuple[tuple[Panel, ...], int]:
    """Cut a scene into panels, and these into parts.

    Args:
        tiles: How it is cut into patches.
        weighting: Says where panels may meet.
        widest: Columns of a panel, at most.
        part_pixels: Pixels that a part should have.
        source: Name of the scene, for messages.

    Returns:
        The panels, and the rows of patches of a part.

    Raises:
        ValueError: If there are too many parts.
    """
    panels = cut_panels(
        weighting.cols.spans,
        panel_cuts(tiles, exclusive=weighting.exclusive),
        length=tiles.width,
        max_width=widest,
    )
    stride = tiles.size - tiles.overlap
    rows = max(1, part_pixels // (max(panel.width for panel in panels) * stride))
    check_parts(-(-len(tiles.row_offs) // rows) * len(panels), source=source)
    return panels, rows


def _count_channels(loaded: LoadedModel, *, size: int, device: str) -> int:
    """Count the scores per pixel by forwarding one patch of zeros, and check their shape."""
    shape = (1, loaded.in_channels, size, size)
    with evaluating(loaded.forward):
        scores = loaded.score(torch.zeros(shape, device=device))
    found = tuple(scores.shape) if isinstance(scores, torch.Tensor) else type(scores).__name__
    if len(found) != 4 or (found[0], *found[2:]) != (1, size, size):
        raise ValueError(
            f'the model must return scores of shape (1, K, {size}, {size}) for images of shape '
            f'{shape}, got {found}'
            + ('; pass the whole segmentation model, or --task embed' if len(found) == 2 else '')
        )
    return int(found[1])


def _recall(
    destination: str | PathLike[str], options: PredictionOptions, *, device: str
) -> tuple[int, int]:
    """Choose batch size and threads of torch, those of an interrupted call if there is one.

    Both can decide the last bit of a result, and so are no matter of the machine that goes on.
    """
    folder = work_folder(destination)
    begun = {} if options.overwrite or not is_begun(folder) else read_header(folder)
    size = _sensible(begun.get('batch_size')) or fitting_batch(options.size, device=device)
    threads = _sensible(begun.get('torch_threads')) or torch.get_num_threads()
    return (size if options.batch_size == 'auto' else options.batch_size), threads


def _sensible(count: object) -> int | None:
    """Take a number of patches or threads; what is none is refused when the journal is opened."""
    if isinstance(count, bool) or not isinstance(count, int):
        return None
    return count if 1 <= count <= _MOST_RECALLED else None


def _plan_maps(
    loaded: LoadedModel,
    header: RasterHeader,
    destination: str,
    options: PredictionOptions,
    *,
    channels: int,
) -> tuple[MapPlan, ...]:
    """Decide what is written."""
    output = _choose_output(loaded, options.output)
    wanted = [(output, destination)]
    if options.probabilities is not None:
        if output != 'classes':
            raise ValueError(
                f'probabilities go beside a map of classes, and this is one of {output}'
            )
        wanted.append(('probabilities', fspath(options.probabilities)))
    return tuple(
        MapPlan(
            output=kind,
            destination=path,
            layout=layout_map(
                header, loaded.preprocessing, output=kind, channels=channels,
                probability_type=options.probability_type,
            ),
            overviews=_choose_overviews(kind, options),
        )
        for kind, path in wanted
    )  # fmt: skip


def _choose_output(loaded: LoadedModel, output: Output | Literal['auto']) -> Output:
    """Choose the kind of map by what the model returns."""
    if output == 'auto':
        automatic: dict[str, Output] = {'classes': 'classes', 'labels': 'probabilities'}
        return automatic.get(loaded.scores, 'values')
    if output == 'classes' and loaded.scores == 'labels':
        raise ValueError("labels do not exclude each other; pass output='probabilities'")
    if output != 'values' and loaded.scores == 'values':
        raise ValueError(f"a regression has no classes; pass output='values', got {output!r}")
    return output


def _choose_overviews(output: Output, options: PredictionOptions) -> OverviewResampling:
    """Choose how overviews are made: class numbers have no mean."""
    if options.overviews == 'auto':
        return OVERVIEW_RESAMPLING[output]
    if output == 'classes' and options.overviews == 'average':
        raise ValueError("overviews of classes are made by 'mode' or 'nearest', got 'average'")
    return options.overviews
