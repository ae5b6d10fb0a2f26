"""Draw a probability sample of the pixels of a class map."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import get_args

import numpy as np

from ...geoio.crs import crs_text, name_crs
from ...geoio.gdal import gdal_cache
from ...geoio.pixel_area import area_factor, pixel_areas_m2
from ...geoio.polygons import ClassMap, describe_map
from ...geoio.read import RasterHeader, Reader, open_decoder, open_reader
from ...geoio.vector import check_format, check_suffix, read_area
from ...geoio.warp import advise_place, describe_lack
from ...geoio.write import check_absent, check_not_read, check_writable, write_point_form
from .allocation import FEWEST, Allocation
from .chips import check_chips, write_chips
from .files import COLUMNS, design_path, write_sample
from .frames import Frame
from .plan import SamplePlan
from .samples import SampleDesign, SamplePoints

# strips come one after the other, so that no block is needed again
_CACHE_BYTES = 64 * 1024**2

# for those of one row of blocks, which cells share
_MOST_CACHE_BYTES = 384 * 1024**2

_ALLOCATIONS = {
    'class': 'in proportion to the area of classes',
    'equal': 'the same number of each class',
    'neyman': 'by area and expected accuracy (Neyman)',
    'simple': 'at random from the whole map',
}

# part by which areas in the plane of a projection may differ from those on the ground unsaid
_DISTORTED = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSummary:
    """What was drawn."""

    destination: str
    """The file."""

    design: SampleDesign
    """How it was drawn."""

    chips: int | None
    """Pictures that were written; None where none were asked for."""

    minimum: int | None = None
    """Points that each class had at least; None where nothing but the allocation told."""

    def __str__(self) -> str:
        """Write a table of the strata."""
        design = self.design
        scale, unit = (1e4, 'ha') if design.unit == 'm2' else (1.0, 'px')
        whole = sum(stratum.area for stratum in design.strata)
        wide = max(len('stratum'), *(len(stratum.name) for stratum in design.strata))
        least = f' and at least {self.minimum} of each' if self.minimum else ''
        how = f'{_ALLOCATIONS[design.allocation]}{least}, seed {design.seed}'
        lines = [
            f'{self.destination}: {design.count} points, {how}',
            '  '.join(
                (
                    f'{"stratum":<{wide}}',
                    f'{f"area ({unit})":>16}',
                    f'{"share":>7}',
                    f'{"pixels":>15}',
                    f'{"points":>7}',
                    f'{"probability":>11}',
                )
            ),
        ]
        lines += [
            f'{each.name:<{wide}}  {each.area / scale:>16,.1f}  {each.area / whole:>7.2%}  '
            f'{each.pixels:>15,}  {each.count:>7,}  {each.count / each.pixels:>11.3g}'
            for each in design.strata
        ]
        lines.append(
            'fill in the column reference with names or numbers of classes (in QGIS: its form), then '
            'run gersp-geo assess'
        )
        if self.chips is not None:
            lines.append(f'{self.chips} pictures of the surroundings of points')
        return '\n'.join([*lines, *design.notes])


def draw_sample(
    source: str | PathLike[str],
    destination: str | PathLike[str],
    *,
    count: int,
    by: Allocation = 'class',
    minimum: int = 50,
    expected: Mapping[str, float] | None = None,
    area: str | PathLike[str] | None = None,
    seed: int = 0,
    chips: str | PathLike[str] | None = None,
    scene: str | PathLike[str] | None = None,
    overwrite: bool = False,
    advance: Callable[[int], None] = lambda pixels: None,
) -> SampleSummary:
    """Draw pixels of a class map at random, for an interpreter to say what is there.

    The map is read strip by strip, and its pixels are counted; then those that were drawn are looked
    up. Pixels of one stratum that have one area have one probability to be drawn; where areas
    differ, as in degrees, it is proportional to area (:func:`.selection.select_pixels`). What is no
    observation is not drawn from. The same seed draws the same pixels, however the map is stored.

    Args:
        source: Class map: one band of whole numbers in [0, 65535], any raster with a CRS.
        destination: File to make: .gpkg, .parquet or .geojson. The design lies beside it as
            ``NAME.design.json``, and a style and form of QGIS as ``NAME.qml``.
        count: Points.
        by: 'class' shares them out among the classes in proportion to area, 'equal' gives each the
            same, 'neyman' heeds *expected*, and 'simple' has no strata.
        minimum: Points of a class at least, unless it has fewer pixels; for 'class' and 'neyman'.
        expected: For 'neyman': user's accuracies in (0, 1) that are expected, by name or number of
            the class, and by :data:`.plan.OTHERS` for all others.
        area: Vector file of polygons; points lie in them.
        seed: Of the random numbers, >= 0.
        chips: Folder to make, with a picture of the surroundings of each point, by its id.
        scene: Raster that the pictures show, of any grid.
        overwrite: Replace existing files.
        advance: Is told of pixels that were counted.

    Returns:
        What was drawn.

    Raises:
        FileExistsError: If a file exists and *overwrite* is False.
        FileNotFoundError: If there is no such map, area or scene.
        ValueError: If *source* is no class map or has no CRS, an option is out of range, there are
            too few points or pixels for what is asked, or the area holds no pixel.
        OSError: If the map is damaged, or a file cannot be written.
    """
    _check(count=count, by=by, minimum=minimum, expected=expected, seed=seed)
    _check_files(destination, read=(source, area, scene), overwrite=overwrite)
    check_chips(chips, scene)
    with gdal_cache(_CACHE_BYTES), open_reader(source) as src:
        described = _describe(src)
        header = described.header
        check_format(destination, crs=header.crs)
        within = None if area is None else read_area(area, crs=header.crs, x_range=header.x_range())
        with open_decoder(src.name, header) as decoder:
            frame = Frame(
                src=src, header=header, area=within, is_whole=by == 'simple', decoder=decoder
            )
            plan = _count(frame, described, most=max(1, count // FEWEST), advance=advance)
            numbers = plan.share_out(count, by=by, minimum=minimum, expected=expected or {})
            drawn = plan.draw(numbers, seed=seed)
            values = np.array(plan.values)[drawn.strata]
            with gdal_cache(_find_cache(header)):
                rows, cols, classes = frame.find(values, drawn.cells, drawn.ranks)
    strata = plan.describe(numbers)
    design = SampleDesign(
        kind='simple' if by == 'simple' else 'stratified',
        allocation=by, seed=seed, unit='pixels' if frame.row_areas is None else 'm2', strata=strata,
        source=Path(source).name, height=header.height, width=header.width,
        crs=crs_text(header.crs), transform=tuple(header.transform)[:6],
        area=None if area is None else Path(area).name,
        notes=(
            *plan.notes(strata, wanted=minimum if by in ('class', 'neyman') else FEWEST),
            *_describe_areas(header),
        ),
    )  # fmt: skip
    # whoever interprets a part of the file, from its beginning, has a random sample of the strata
    order = np.random.default_rng((seed, 0)).permutation(len(cols))
    points = SamplePoints(
        ids=np.arange(1, len(cols) + 1), rows=rows[order], cols=cols[order],
        map_classes=classes[order], strata=drawn.strata[order],
        probabilities=drawn.probabilities[order], weights=drawn.weights[order],
        references=(None,) * len(cols),
    )  # fmt: skip
    shown = None if chips is None or scene is None else write_chips(chips, scene, points, design)
    _write(destination, points, design, described, overwrite=overwrite)
    return SampleSummary(
        destination=fspath(destination), design=design, chips=shown,
        minimum=minimum if by in ('class', 'neyman') else None,
    )  # fmt: skip


def _check(
    *, count: int, by: Allocation, minimum: int, expected: Mapping[str, float] | None, seed: int
) -> None:
    """Refuse what is out of range."""
    if count < FEWEST:
        raise ValueError(f'count must be >= {FEWEST} points (-n), got {count}')
    if minimum < FEWEST:
        raise ValueError(
            f'minimum must be >= {FEWEST} points, from which a variance can be told, got {minimum}'
        )
    if seed < 0:
        raise ValueError(f'seed must be >= 0, got {seed}')
    if by not in get_args(Allocation.__value__):
        known = ', '.join(get_args(Allocation.__value__))
        raise ValueError(f'by must be one of {known}, got {by!r}')
    if (by == 'neyman') != bool(expected):
        raise ValueError(
            "'neyman' needs the user's accuracies that are expected (--expected 0.8 water=0.95), "
            f'and nothing else takes them; got by={by!r} and expected={dict(expected or {})}'
        )
    for name, accuracy in (expected or {}).items():
        if not 0 < accuracy < 1:
            raise ValueError(
                f'an expected accuracy must be in (0, 1), got {accuracy} for {name or "the others"}'
            )


def _check_files(
    destination: str | PathLike[str], *, read: Sequence[str | PathLike[str] | None], overwrite: bool
) -> None:
    """Refuse files that cannot be made, or must not be replaced."""
    check_writable(destination)
    check_suffix(destination)
    made = (Path(destination), design_path(destination))
    check_not_read(made, read=read)
    for path in made:
        check_absent(path, overwrite=overwrite)


def _describe(src: Reader) -> ClassMap:
    """Read what a map says about itself, and refuse one without a place."""
    described = describe_map(src, needs_place=False)
    header = described.header
    if header.crs is None:
        raise ValueError(
            f'{src.name} {describe_lack(header)}, so that nobody knows where its points would lie; '
            f'{advise_place(header, has_option=False)}'
        )
    return described


def _count(
    frame: Frame, described: ClassMap, *, most: int, advance: Callable[[int], None]
) -> SamplePlan:
    """Count the pixels of a map, and refuse one without any."""
    counts = frame.count(most=most, advance=advance)
    if not counts:
        where = '' if frame.area is None else ' within the area'
        raise ValueError(f'{frame.src.name} has no pixel of a class{where}; nothing can be drawn')
    return SamplePlan(
        described=described, values=tuple(counts), counts=list(counts.values()),
        areas=frame.cell_areas, is_simple=frame.is_whole,
    )  # fmt: skip


def _find_cache(header: RasterHeader) -> int:
    """Choose the memory for blocks in which cells beside each other share them."""
    row = header.width * max(header.block_shape[0], 512) * np.dtype(header.dtype).itemsize
    return int(min(max(1.25 * row, _CACHE_BYTES), _MOST_CACHE_BYTES))


def _describe_areas(header: RasterHeader) -> list[str]:
    """Say where areas are not those on the ground."""
    crs = name_crs(header.crs)
    if pixel_areas_m2(header, 0, 1) is None:
        return [f'The grid in {crs} tells no areas: every pixel counts as much as any other.']
    factor = area_factor(header)
    if factor is None or abs(factor - 1) <= _DISTORTED:
        return []
    told = (
        f'Areas are those of {crs}, {factor:.3g} times those on the ground in the middle of the map'
    )
    return [f'{told}; a map in an equal-area CRS gives areas in ha.']


def _write(
    destination: str | PathLike[str],
    points: SamplePoints,
    design: SampleDesign,
    described: ClassMap,
    *,
    overwrite: bool,
) -> None:
    """Write a sample and the form that an interpreter fills."""
    map_names = [described.name(value) for value in points.map_classes.tolist()]
    write_sample(destination, points, design, names=map_names, overwrite=overwrite)
    drawn = {value for stratum in design.strata for value in stratum.classes}
    values = sorted({*described.named, *drawn, *points.map_classes.tolist()})
    names = [described.name(value) for value in values]
    # a name that says which class is meant is easier to read than a number
    written = [
        name if names.count(name) == 1 and value in described.named else str(value)
        for name, value in zip(names, values, strict=True)
    ]
    labels = described.tell_apart(values)
    colors = [described.color(value) for value in values]
    others = [name for name in COLUMNS if name not in ('id', 'reference')]
    write_point_form(destination, written, labels, colors, others=others)
