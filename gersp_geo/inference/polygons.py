"""Polygons of the components of a class map."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from os import PathLike, fspath
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from ..geoio.gdal import gdal_cache
from ..geoio.polygons import (
    ClassMap,
    Outlines,
    areas_above,
    describe_map,
    join_outlines,
    read_strips,
    simplify_polygons,
    to_polygons,
    trace_outlines,
)
from ..geoio.read import RasterHeader, open_reader, read_header
from ..geoio.vector import Features, check_suffix, new_features
from ..geoio.warp import advise_place, describe_lack
from ..geoio.write import check_writable, write_symbols
from .output_paths import refuse_inputs
from .polygons_summary import PolygonsSummary
from .preview import check_picture
from .preview.polygons import PolygonClass, Sketch
from .progress import progress_bar, waiting
from .scene.watch import SourceWatch

MAX_SIMPLIFIED = 250_000
"""Polygons that are held in memory at once, as simplification has to see all borders."""

MAX_SIMPLIFIED_SEGMENTS = 5_000_000
"""The same, of half their vertices."""

# Polygons and vertices that are written at a time: a file is opened anew for each
_BATCH_POLYGONS = 50_000
_BATCH_SEGMENTS = 500_000

# strips come one after the other, so that no block is needed again
_CACHE_BYTES = 64 * 1024**2


def polygonize(
    source: str | PathLike[str],
    destination: str | PathLike[str],
    *,
    classes: Sequence[str | int] | None = None,
    min_area: float = 0.0,
    simplify: float | None = None,
    preview: str | PathLike[str] | None = None,
    scene: str | PathLike[str] | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> PolygonsSummary:
    """Write one polygon per component of a class map, in bounded memory.

    A component is a set of pixels of one class that are connected over their sides. Polygons follow
    the pixels exactly, keep their holes, and do not depend on how the map is read. What is held in
    memory is some rows of the map and the outlines of components that go on below them.

    Attributes are the class (``class``), its name (``class_name``) and the area of the pixels
    (``area_m2``). A QGIS style in the colours of the map lies beside the file.

    Args:
        source: Class map: one band of whole numbers in [0, 65535], any raster with a CRS.
        destination: File to make; see :func:`.write.new_features`.
        classes: Names or numbers of the classes that are wanted; None means all.
        min_area: Smaller polygons are left out, in square metres; their place stays empty.
        simplify: Tolerance of :func:`.geometry.simplify_polygons` in units of the CRS; None follows
            the pixels. The areas are those of the pixels all the same.
        preview: PNG file to write: the polygons, the largest if they are too many to be seen.
        scene: Raster that is drawn below them, of any grid; None draws paper.
        overwrite: Replace existing files.
        progress: Whether to show a progress bar.

    Returns:
        What was written.

    Raises:
        FileExistsError: If a file exists and *overwrite* is False.
        FileNotFoundError: If there is no such map or scene.
        ValueError: If *source* is no class map or has no CRS, an option is out of range, the suffix
            of *destination* or *preview* is unknown, or there are too many polygons for GeoJSON or
            *simplify*.
        OSError: If the map is damaged, or the file cannot be written.
    """
    started = perf_counter()
    check_writable(destination)
    final = Path(destination)
    check_suffix(final)
    _check(min_area=min_area, simplify=simplify)
    picture = _check_picture(preview, scene, overwrite=overwrite)
    refuse_inputs([final, picture], inputs=[source, scene])
    watch = SourceWatch.of([source])
    with gdal_cache(_CACHE_BYTES), open_reader(source) as src:
        described = describe_map(src)
        header = described.header
        wanted = None if classes is None else described.find(classes)
        tally = _Tally(header, min_area=min_area)
        sketch = None if picture is None else Sketch(header)
        with new_features(final, crs=header.crs, overwrite=overwrite) as write:

            def keep(outlines: Outlines, polygons: NDArray[np.object_]) -> None:
                tally.left_out += write(tally.describe(outlines, polygons, described))
                if sketch is not None:
                    sketch.add(polygons, outlines.values - 1)

            with progress_bar(tally.pixels, shown=progress) as advance:
                strips = _told(read_strips(src, header, classes=wanted), advance)
                chosen = tally.sift(trace_outlines(strips))
                if simplify is None:
                    for outlines in _in_batches(chosen):
                        keep(outlines, to_polygons(outlines, header.transform))
                else:
                    outlines = _hold(chosen)
            if simplify is not None:
                with waiting('simplifying', shown=progress):
                    transform = header.transform
                    keep(outlines, simplify_polygons(outlines, transform, tolerance=simplify))
            watch.check()
            named = described.named if wanted is None else wanted
            _write_style(final, described, sorted({*named, *tally.counts}))
        if sketch is not None and picture is not None:
            with waiting('the picture', shown=progress):
                legend, names = tally.explain(described), [Path(source).name, final.name]
                sketch.save(picture, legend, names=names, scene=scene, overwrite=overwrite)
    return tally.summarize(final, described, picture=picture, seconds=perf_counter() - started)


def _check(*, min_area: float, simplify: float | None) -> None:
    """Refuse what is out of range."""
    if not 0 <= min_area < np.inf:
        raise ValueError(f'min_area must be >= 0 m2, got {min_area}')
    if simplify is not None and not 0 < simplify < np.inf:
        raise ValueError(f'simplify must be > 0, in units of the CRS, got {simplify}')


def _check_picture(
    preview: str | PathLike[str] | None, scene: str | PathLike[str] | None, *, overwrite: bool
) -> Path | None:
    """Refuse a picture that could not be drawn, before anything is done."""
    if preview is None:
        if scene is not None:
            raise ValueError(
                f'the scene {fspath(scene)} is for a picture; pass preview (--preview)'
            )
        return None
    check_picture(Path(preview), overwrite=overwrite)
    if scene is not None and (header := read_header(scene)).crs is None:
        raise ValueError(
            f'{fspath(scene)} {describe_lack(header)}, so that nobody knows what lies over it; '
            f'{advise_place(header, has_option=False)}'
        )
    return Path(preview)


class _Tally:
    """Counts what comes by."""

    def __init__(self, header: RasterHeader, *, min_area: float) -> None:
        self.pixels = header.height * header.width
        self.min_area = min_area
        self.counts: dict[int, int] = {}
        self.areas_m2: dict[int, float] = {}
        self.dropped = 0
        self.dropped_m2 = 0.0
        self.left_out = 0
        self.above = areas_above(header)
        if self.above is None and min_area > 0:
            raise ValueError(f'min_area needs a CRS that tells areas, {header.crs} does not')

    def measure(self, outlines: Outlines) -> NDArray[np.float64]:
        """Measure the area of each component in m2; NaN if the CRS does not tell."""
        if self.above is None:
            return np.full(len(outlines), np.nan)
        return outlines.sum_up(self.above)

    def sift(self, parts: Iterable[Outlines]) -> Iterator[Outlines]:
        """Leave small components out, and count the others."""
        for outlines in parts:
            areas = self.measure(outlines)
            is_small = areas < self.min_area
            self.dropped += int(is_small.sum())
            self.dropped_m2 += float(areas[is_small].sum())
            chosen = outlines.select(~is_small) if is_small.any() else outlines
            values, place = np.unique(chosen.values, return_inverse=True)
            counts = np.bincount(place, minlength=len(values)).tolist()
            sums = np.bincount(place, weights=areas[~is_small], minlength=len(values)).tolist()
            for value, count, area in zip((values - 1).tolist(), counts, sums, strict=True):
                self.counts[value] = self.counts.get(value, 0) + count
                self.areas_m2[value] = self.areas_m2.get(value, 0.0) + area
            yield chosen

    def describe(
        self, outlines: Outlines, polygons: NDArray[np.object_], described: ClassMap
    ) -> Features:
        """Add attributes to polygons."""
        values = outlines.values - 1
        known, place = np.unique(values, return_inverse=True)
        names = np.array([described.name(value) for value in known.tolist()], dtype=object)
        return Features(
            polygons=polygons,
            columns={
                'class': values,
                'class_name': names[place],
                'area_m2': self.measure(outlines),
            },
        )

    def explain(self, described: ClassMap) -> dict[int, PolygonClass]:
        """Say what came by of each class."""
        return {
            value: PolygonClass(
                name=described.name(value),
                color=described.color(value),
                count=count,
                area_m2=None if self.above is None else self.areas_m2[value],
            )
            for value, count in sorted(self.counts.items())
        }

    def summarize(
        self, destination: Path, described: ClassMap, *, picture: Path | None, seconds: float
    ) -> PolygonsSummary:
        """Say what came by."""
        found = sorted(self.counts)
        is_known = self.above is not None
        return PolygonsSummary(
            destination=fspath(destination),
            pixels=self.pixels,
            names=tuple(described.name(value) for value in found),
            counts=tuple(self.counts[value] for value in found),
            areas_m2=tuple(self.areas_m2[value] for value in found) if is_known else None,
            dropped=self.dropped,
            dropped_m2=self.dropped_m2,
            left_out=self.left_out,
            picture=None if picture is None else fspath(picture),
            seconds=seconds,
        )


def _told(
    strips: Iterable[NDArray[np.integer]], advance: Callable[[int], None]
) -> Iterator[NDArray[np.integer]]:
    """Tell of every strip that is done."""
    for strip in strips:
        yield strip
        advance(strip.size)


def _in_batches(parts: Iterable[Outlines]) -> Iterator[Outlines]:
    """Put small parts together."""
    held: list[Outlines] = []
    polygons = segments = 0
    for outlines in parts:
        held.append(outlines)
        polygons += len(outlines)
        segments += len(outlines.segments)
        if polygons > _BATCH_POLYGONS or segments > _BATCH_SEGMENTS:
            yield join_outlines(held)
            held, polygons, segments = [], 0, 0
    if polygons:
        yield join_outlines(held)


def _hold(parts: Iterable[Outlines]) -> Outlines:
    """Keep all polygons, if they are not too many."""
    held = []
    count = segments = 0
    for outlines in parts:
        held.append(outlines)
        count += len(outlines)
        segments += len(outlines.segments)
        if count > MAX_SIMPLIFIED or segments > MAX_SIMPLIFIED_SEGMENTS:
            raise ValueError(
                f'simplification holds up to {MAX_SIMPLIFIED:,} polygons and '
                f'{2 * MAX_SIMPLIFIED_SEGMENTS:,} vertices in memory, the map has more: {count:,} '
                f'and {2 * segments:,} so far; leave small ones out (--min-area), choose '
                '--classes, cut the map, or do without --simplify'
            )
    return join_outlines(held)


def _write_style(destination: Path, described: ClassMap, values: Sequence[int]) -> None:
    """Write the style of some classes."""
    names = [described.name(value) for value in values]
    write_symbols(destination, 'class', values, names, [described.color(value) for value in values])
