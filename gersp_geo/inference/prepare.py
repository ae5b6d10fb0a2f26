"""Decide everything about a prediction before a pixel is read."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import torch

from ..devices import find_device
from ..geoio.read import check_whole, read_tags
from ..geoio.vector import Area
from ..geoio.warp import describe_place
from ..stitching import Weighting
from ..tiling import TilePlan, cut_panels
from ..windows import Panel
from .estimate import Rows, check_parts, count_costs, reading_threads
from .model.device import fitting_batch, leave_to_cpu
from .model.runtimes.choice import Choice
from .option_values import parse_shard
from .options import MapOptions, PredictionOptions
from .output_paths import FileToMake
from .outputs.output import Maker
from .patch_size import settle_patches, take_fixed_side
from .plan import PredictionPlan
from .resume.journal import is_begun, read_header, work_folder
from .scene.headers import Scene, read_area_of, read_scene
from .scene.second_date import AfterScene, check_dates, find_after
from .scene.shift import warn_of_shift
from .scene.tiling import count_patches, panel_cuts
from .scene.watch import SourceWatch
from .stored_results import target_of

# patches or threads of an interrupted call, at most: more than that is no number of either
_MOST_RECALLED = 2**16

# what of patches may be left open, and is settled by whoever begins
_PATCHES = ('size', 'overlap', 'margin', 'step')
_TAGS = {name: f'PATCH_{name.upper()}' for name in _PATCHES}


def prepare(
    kind: type[Maker],
    model: Any,
    source: str | PathLike[str],
    destination: str | PathLike[str],
    options: PredictionOptions,
    *,
    may_exist: bool = False,
) -> PredictionPlan:
    """Load the model, read the header of the scene, and check that all fits together.

    A few places of the scene are compared with the record, see :func:`.warn_of_shift`.

    Args:
        kind: What is made.
        model: As in the functions of :mod:`.api`, or a maker of that kind, which has loaded it.
        source: As in these functions.
        destination: As in these functions.
        options: Their other arguments.
        may_exist: Leave it to the caller what an existing file means.

    Returns:
        The plan.

    Raises:
        FileExistsError: If a file exists and may not be replaced.
        FileNotFoundError: If a file does not exist.
        UnreadableFileError: If the scene is cut off, or GDAL cannot read it.
        ValueError: If an argument is out of range, a file is of another kind, or bands, classes or
            shapes do not fit.
    """
    files = kind.list_files(destination, options)
    # what an interrupted call has made is judged when it goes on
    may_exist |= options.overwrite or work_folder(destination, options.work).exists()
    for file in files:
        # of what is uploaded, the object counts
        is_stored = target_of(file.path, options.work) is not None
        file.check(sources=(source, options.after), overwrite=may_exist or is_stored)
    watch = SourceWatch.of([source, options.after])
    check_whole(source)
    # of several, each worker has one
    device = find_device(options.devices[0])
    maker = model if isinstance(model, kind) else kind.load(model, options)
    device = leave_to_cpu(maker.loaded, device=device)
    check_dates(maker.loaded, options)
    record = maker.loaded.preprocessing
    scene = read_scene(source, record, options)
    maker.check_header(scene.header, files, fspath(source))
    after = find_after(source, scene.header, record, options, own=scene.own)
    options = take_fixed_side(_resume(options, files[0].path), maker.loaded)
    maker = maker.placed(device, options)
    area = read_area_of(options, scene.header, source=fspath(source))

    def make(files: Sequence[FileToMake], numbers: PredictionOptions) -> PredictionPlan:
        return _plan(
            maker, scene, after, area, files, numbers, source=fspath(source), device=device,
            watch=watch,
        )  # fmt: skip

    plan = settle_patches(options, partial(make, files))
    if not options.merge:
        warn_of_shift(plan)
    variations = maker.vary(plan.options, plan.folder)
    return replace(
        plan, variations=tuple(make(kind.list_files(path, each), each) for path, each in variations)
    )


def _plan(
    maker: Maker,
    scene: Scene,
    after: AfterScene | None,
    area: Area | None,
    files: Sequence[FileToMake],
    options: PredictionOptions,
    *,
    source: str,
    device: str,
    watch: SourceWatch,
) -> PredictionPlan:
    """Put the plan together: how the scene is cut, what is made, and what it costs."""
    header = scene.header
    tiles = maker.cut(header.height, header.width, options)
    weighting = maker.weigh(tiles, options)
    output = maker.plan(header, tiles, files, options)
    rows = Rows.of(
        header, tiles, maps=output.layouts, bands=maker.loaded.in_channels,
        channels=output.channels, blended=output.is_blended, on_host=device == 'cpu',
        per_band=scene.rule == 'any',
    )  # fmt: skip
    panels, rows_per_part = _cut_parts(
        tiles,
        weighting,
        widest=rows.widest_panel(options.memory_bytes),
        part_pixels=options.part_pixels,
        source=source,
    )
    begun = _recall(files[0].path, options)
    batch_size = begun.batch_size or fitting_batch(tiles.size, device=device)
    return PredictionPlan(
        options=options,
        loaded=maker.loaded,
        output=output,
        source=source,
        header=header,
        georeference=scene.own.georeference,
        place=describe_place(scene.own, header),
        tiles=tiles,
        weighting=weighting,
        panels=panels,
        rows_per_part=rows_per_part,
        bands=scene.bands,
        band_names=maker.loaded.preprocessing.bands,
        nodata=scene.nodata,
        rule=scene.rule,
        stored=scene.stored,
        area=area,
        after=after,
        area_sha256=None if area is None else area.sha256,
        batch_size=batch_size,
        runtime=begun.runtime,
        device=device,
        threads=reading_threads(header, options, source=source),
        torch_threads=begun.torch_threads or torch.get_num_threads(),
        costs=count_costs(
            rows,
            panels,
            batch_size=batch_size,
            blocks=scene.stored,
            patches=count_patches(tiles, panels, header, stored=scene.stored, area=area),
        ),
        shard=None if options.shard is None else parse_shard(options.shard),
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begun:
    """What an interrupted call, or another shard, has settled; None where there is none.

    Each can decide the last bit of a result, and so is no matter of the machine that goes on.
    """

    batch_size: int | None
    torch_threads: int | None
    runtime: Choice | None


def _resume(options: PredictionOptions, destination: str | PathLike[str]) -> PredictionOptions:
    """Take patches from another call, where they were left open."""
    is_open = isinstance(options, MapOptions) and 'auto' in (options.size, options.overlap)
    if not is_open or options.overwrite:
        return options
    found = {'step': 1} | _patches_of(destination, options)
    fits = all(
        asked in ('auto', found.get(name))
        for name, asked in (('size', options.size), ('overlap', options.overlap))
    )
    # what is out of range is refused when the journal is opened
    with suppress(ValueError):
        if fits and len(found) == len(_PATCHES):
            return replace(options, **found)
    return options


def _patches_of(destination: str | PathLike[str], options: PredictionOptions) -> dict[str, Any]:
    """Read what an interrupted call or another shard has settled, or the one that made the file."""
    folder = work_folder(destination, options.work)
    if is_begun(folder):
        begun = read_header(folder)
        return {name: begun[name] for name in _PATCHES if isinstance(begun.get(name), int)}
    # measured again, they could be others on another machine, and a finished map not known again
    with suppress(OSError, ValueError):
        tags = read_tags(target_of(Path(destination), options.work) or destination)
        return {name: int(tags[tag]) for name, tag in _TAGS.items() if tag in tags}
    return {}


def _recall(destination: str | PathLike[str], options: PredictionOptions) -> _Begun:
    """Find what was settled before; a batch size that is asked for goes before that."""
    folder = work_folder(destination, options.work)
    begun = {} if options.overwrite or not is_begun(folder) else read_header(folder)
    size = _sensible(begun.get('batch_size'))
    return _Begun(
        batch_size=size if options.batch_size == 'auto' else options.batch_size,
        torch_threads=_sensible(begun.get('torch_threads')),
        runtime=Choice.of(begun.get('runtime'), begun.get('runtime_trials')),
    )


def _sensible(count: object) -> int | None:
    """Take a number of patches or threads; what is none is refused when the journal is opened."""
    if isinstance(count, bool) or not isinstance(count, int):
        return None
    return count if 1 <= count <= _MOST_RECALLED else None
