"""Decide everything about a prediction before a pixel is read."""

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike, fspath
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..geoio.alignment import open_scene
from ..geoio.areas import Area
from ..geoio.blocks import stored_blocks
from ..geoio.cog import OverviewResampling
from ..geoio.grids import Grid
from ..geoio.padding import padded_window
from ..geoio.places import advise_place, describe_lack, describe_place
from ..geoio.reading import RasterHeader, describe_reader, open_reader
from ..geoio.rules import Rule, find_rule
from ..geoio.truncation import check_whole
from ..geoio.vectors import read_area
from ..records import Panel, Window
from ..stitching import Weighting, axis_weights, crop_weights, weigh_axis
from ..tiling import TilePlan, cut_panels, keep_ranges, plan_tile
from .after import AfterScene, check_dates, find_after
from .calibration import measure_costs
from .costs import Rows, check_parts, count_costs, reading_threads
from .destinations import check_apart, check_destination
from .journal import is_begun, read_header, work_folder
from .loading import Forward, LoadedModel, evaluating, load_model
from .onnx import OnnxGraph
from .options import PredictionOptions, parse_shard
from .outputs import OVERVIEW_RESAMPLING, Output, layout_map
from .plan import MapPlan, PredictionPlan, SceneGrid
from .selection import check_blending, check_type, name_change, nodata_beside, select_bands
from .watching import SourceWatch

# Pixels per batch for batch_size='auto': 16 patches of 512 px keep an accelerator busy; on a CPU,
# whose cores share the work within a patch, 4 do.
AUTO_PIXELS = {'accelerator': 2**22, 'cpu': 2**20}


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
                path, sources=(source, options.after), suffixes=('.tif', '.tiff'), holds='a map',
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
    # asked of the file itself: resampled, it says what it was opened with
    with open_reader(source) as src:
        own = describe_reader(src)
        check_type(own, loaded.preprocessing, source=fspath(source))
        bands = select_bands(own, loaded.preprocessing, bands=options.bands, source=fspath(source))
        rule = find_rule(src, bands, options.observed)
    nodata = nodata_beside(own, loaded.preprocessing, options.nodata)
    with open_scene(
        source, crs=options.crs, res=options.res, nodata=nodata, bands=bands, rule=rule
    ) as src:
        header = describe_reader(src)
        blocks = stored_blocks(src, range(1, src.count + 1))
        blocks = None if blocks is None or blocks.all() else blocks
    check_blending(own, header, bands, source=fspath(source))
    after = find_after(source, header, loaded.preprocessing, options, dtype=own.dtype)
    loaded = place_model(loaded, device=device, options=options)
    channels = _count_channels(loaded, size=options.size, device=device)
    if after is not None and loaded.scores == 'classes' and options.output != 'values':
        loaded = replace(loaded, preprocessing=name_change(loaded.preprocessing, channels=channels))
    return loaded, _plan(
        source, destination, options, loaded=loaded, header=header, blocks=blocks, bands=bands,
        nodata=nodata, rule=rule, channels=channels, device=device, after=after, watch=watch, own=own,
    )  # fmt: skip


def _plan(
    source: str | PathLike[str],
    destination: str | PathLike[str],
    options: PredictionOptions,
    *,
    loaded: LoadedModel,
    header: RasterHeader,
    blocks: NDArray[np.bool_] | None,
    bands: tuple[int, ...],
    nodata: float | None,
    rule: Rule,
    channels: int,
    device: str,
    after: AfterScene | None,
    watch: SourceWatch,
    own: RasterHeader,
) -> PredictionPlan:
    """Put the plan together."""
    record = loaded.preprocessing
    tiles = plan_tile(header.height, header.width, size=options.size, overlap=options.shared)
    weighting = weigh_patches(tiles, blend=options.blend, margin=options.margin)
    maps = _plan_maps(loaded, header, fspath(destination), options, channels=channels)
    area = read_area_of(options, header, source=fspath(source))
    rows = Rows.of(
        header, tiles, maps=[made.layout for made in maps], bands=loaded.in_channels, channels=channels,
        blended=options.blend == 'hann', on_host=device == 'cpu', per_band=rule == 'any',
    )  # fmt: skip
    panels = cut_panels(
        weighting.cols.spans,
        panel_cuts(tiles, exclusive=weighting.exclusive),
        length=header.width,
        max_width=rows.widest_panel(options.memory_bytes),
    )
    batch_size, torch_threads = _recall(destination, options, device=device)
    part_rows = options.part_pixels // (
        max(panel.width for panel in panels) * (tiles.size - tiles.overlap)
    )
    check_parts(-(-len(tiles.row_offs) // max(1, part_rows)) * len(panels), source=fspath(source))
    return PredictionPlan(
        source=fspath(source),
        grid=SceneGrid(crs=options.crs, res=options.res),
        header=header,
        georeference=own.georeference,
        place=describe_place(own, header),
        tiles=tiles,
        weighting=weighting,
        panels=panels,
        rows_per_part=max(1, part_rows),
        bands=bands,
        band_names=record.bands,
        nodata=nodata,
        observed=options.observed,
        rule=rule,
        stored=blocks,
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
            blocks=blocks,
            patches=count_patches(tiles, panels, header, stored=blocks, area=area),
        ),
        shard=None if options.shard is None else parse_shard(options.shard),
        merge=options.merge,
        overwrite=options.overwrite,
        watch=watch,
    )


def weigh_patches(plan: TilePlan, *, blend: str, margin: int) -> Weighting:
    """Weigh the patches of a plan.

    Args:
        plan: The plan.
        blend: 'hann', see :func:`axis_weights`, or 'crop', see :func:`crop_weights`.
        margin: For 'hann': pixels at the sides of patches without weight.

    Returns:
        The weights.
    """

    def weigh(offsets: Sequence[int], length: int) -> NDArray[np.float64]:
        if blend == 'crop':
            keeps = keep_ranges(offsets, size=plan.size, length=length)
            return crop_weights(offsets, keeps, size=plan.size)
        return axis_weights(offsets, size=plan.size, length=length, margin=margin)

    axes = [
        weigh_axis(offsets, size=plan.size, length=length, weigh=weigh)
        for offsets, length in ((plan.row_offs, plan.height), (plan.col_offs, plan.width))
    ]
    return Weighting(rows=axes[0], cols=axes[1], exclusive=blend == 'crop')


def find_device(device: str) -> str:
    """Choose an accelerator if there is one; refuse a device that is not there."""
    if device != 'auto':
        try:
            torch.empty(0, device=device)
        # AssertionError is what builds of torch without CUDA raise
        except (RuntimeError, AssertionError) as error:
            reason = str(error).partition('\n')[0]
            raise ValueError(f'device {device!r} cannot be used: {reason}') from error
        kind = torch.device(device).type
        if kind == 'meta':
            raise ValueError(
                "device 'meta' holds no numbers; pass cpu, cuda, or another one that computes"
            )
        # of the one processor, whatever number it is given
        return 'cpu' if kind == 'cpu' else device
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return 'cpu' if accelerator is None else accelerator.type


def place_model(loaded: LoadedModel, *, device: str, options: PredictionOptions) -> LoadedModel:
    """Move a model to its device, and compile it if asked for."""
    forward = loaded.forward
    if isinstance(forward, nn.Module):
        forward.to(device)
        if options.channels_last:
            forward.to(memory_format=torch.channels_last)
    # a graph of ONNX is compiled by its own runtime
    compiles = options.compile and not isinstance(forward, OnnxGraph)
    return replace(loaded, forward=torch.compile(forward)) if compiles else loaded


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
    # to fill a budget of pixels
    budget = AUTO_PIXELS['cpu' if device == 'cpu' else 'accelerator']
    size = _sensible(begun.get('batch_size')) or max(1, budget // options.size**2)
    threads = _sensible(begun.get('torch_threads')) or torch.get_num_threads()
    return (size if options.batch_size == 'auto' else options.batch_size), threads


def _sensible(count: object) -> int | None:
    """Take a number of patches or threads; what is none is refused when the journal is opened."""
    if isinstance(count, bool) or not isinstance(count, int):
        return None
    return count if 1 <= count <= _MOST_RECALLED else None


_MOST_RECALLED = 2**16


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


def panel_cuts(tiles: TilePlan, *, exclusive: bool) -> list[int]:
    """List the columns of pixels at which panels may meet with the least forwarded twice."""
    starts = [start for start, _ in tiles.keep_cols] if exclusive else tiles.col_offs
    return [start for start in starts if 0 < start < tiles.width]


def count_patches(
    tiles: TilePlan,
    panels: Sequence[Panel],
    header: RasterHeader,
    *,
    stored: NDArray[np.bool_] | None,
    area: Area | None,
) -> int:
    """Count the patches that may hold something of interest; those of two panels count twice."""
    times = np.zeros(len(tiles.col_offs), dtype=np.int64)
    for panel in panels:
        times[panel.patches.start : panel.patches.stop] += 1
    if stored is None and area is None:
        return len(tiles.row_offs) * int(times.sum())
    col_offs = np.asarray(tiles.col_offs)
    height, width = header.block_shape
    # columns of blocks that each column of patches reads, mirrored at the sides
    firsts, stops = _touched(tiles.col_offs, size=tiles.size, length=tiles.width, block=width)
    tops, bottoms = _touched(tiles.row_offs, size=tiles.size, length=tiles.height, block=height)
    total = 0
    for row_off, top, bottom in zip(tiles.row_offs, tops, bottoms, strict=True):
        wanted = np.ones(len(col_offs), dtype=np.bool_)
        if stored is not None:
            until = np.concatenate([[0], np.cumsum(stored[top:bottom].any(axis=0))])
            wanted = until[stops] > until[firsts]
        if area is not None and wanted.any():
            rows = (row_off, row_off + tiles.size)
            wanted &= area.touched(header.transform, rows, col_offs, width=tiles.size)
        total += int(times[wanted].sum())
    return total


def _touched(
    offsets: Sequence[int], *, size: int, length: int, block: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """List the first block that each patch along an axis touches, and one past the last."""
    firsts, stops = np.empty((2, len(offsets)), dtype=np.int64)
    for place, offset in enumerate(offsets):
        start, stop = offset, offset + size
        if start < 0 or stop > length:
            window = Window(row_off=0, col_off=offset, height=1, width=size)
            _, _, inside = padded_window(window, height=1, width=length)
            start, stop = inside.col_off, inside.col_stop
        firsts[place], stops[place] = start // block, -(-stop // block)
    return firsts, stops


def read_area_of(options: PredictionOptions, header: RasterHeader, *, source: str) -> Area | None:
    """Read the area of interest in the coordinates of the scene."""
    if options.area is None and options.area_layer is not None:
        raise ValueError(
            f'area_layer (--area-layer) names a layer of area, got {options.area_layer!r} without area '
            '(--area)'
        )
    if options.area is None:
        return None
    if header.crs is None:
        raise ValueError(
            f'{source} {describe_lack(header)}, so that no area can be found in it; {advise_place(header)}'
        )
    area = read_area(
        options.area, crs=header.crs, layer=options.area_layer, x_range=Grid.of(header).x_range()
    )
    whole = Window(row_off=0, col_off=0, height=header.height, width=header.width)
    if not area.touches(header.transform, whole):
        raise ValueError(
            f'{fspath(options.area)} lies wholly outside {source}; its bounds there are '
            f'{tuple(round(bound, 3) for bound in area.bounds)}'
        )
    return area
