"""Maps of measurements compared with points or rasters of measurements."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike, fspath

import numpy as np
from numpy.typing import NDArray

from ..geoio.read import RasterHeader, Reader, describe_reader, open_reader, read_reduced
from ..geoio.vector import Area, attribute_texts, read_vectors
from ..messages import name_some
from .reading import lay_windows, read_ahead
from .references.judged_map import lie_inside, measure_rows, read_zone, shown_progress
from .references.opening import (
    check_place,
    choose_attribute,
    is_raster,
    kind_of,
    pixels_of,
    place_features,
)
from .references.point_units import AskedDesign
from .references.rasters import RasterUnderMap
from .value_figures import BandAccuracy, Differences, ValueAccuracy

__all__ = ('BandAccuracy', 'ValueAccuracy', 'assess_values')

# rows and columns from which the range of a scatter is taken
_SAMPLE = (256, 256)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Measured:
    """A raster of measurements."""

    below: RasterUnderMap
    header: RasterHeader
    bands: list[int]

    @classmethod
    def of(cls, src: Reader, header: RasterHeader, *, name: str) -> '_Measured':
        """Prepare all bands but alpha."""
        own = describe_reader(src)
        return cls(
            below=RasterUnderMap(src, header, name=name, bands=own.data_bands),
            header=own,
            bands=own.data_bands,
        )

    @property
    def is_scaled(self) -> bool:
        """Whether it is tagged with a scale or an offset."""
        return self.header.describe_scaling(self.bands) is not None

    def measure(self, pixels: NDArray[np.generic]) -> NDArray[np.float64]:
        """Turn stored values, shape (bands, n), into measurements."""
        scales = np.array([self.header.scales[band - 1] for band in self.bands])
        offsets = np.array([self.header.offsets[band - 1] for band in self.bands])
        return np.asarray(pixels * scales[:, None] + offsets[:, None], dtype=np.float64)

    def limits(self) -> NDArray[np.float64]:
        """Find the range of a sample of its values, shape (bands, 2); NaN where there is none."""
        shape = min(_SAMPLE[0], self.header.height), min(_SAMPLE[1], self.header.width)
        pixels, valid = read_reduced(
            self.below.src, bands=self.bands, shape=shape, resampling='nearest'
        )
        values = self.measure(pixels[:, valid])
        if not values.size:
            return np.full((len(self.bands), 2), np.nan)
        return np.stack([values.min(axis=1), values.max(axis=1)], axis=1)


def assess_values(
    src: Reader,
    reference: str | PathLike[str],
    *,
    attribute: str | None = None,
    layer: str | None = None,
    design: AskedDesign = 'auto',
    area: str | PathLike[str] | None = None,
    progress: bool = True,
) -> ValueAccuracy:
    """Compare a map of measurements with points or a raster, each pixel by its area.

    Args:
        src: The map. Values are scaled as the file is tagged.
        reference: Points of any vector format and CRS, or a raster of as many bands on any grid.
        attribute: Column of the points that holds numbers; None takes those called as the bands, or
            'reference', or the only one.
        layer: Layer of a vector file.
        design: 'auto', 'census' or 'none': there are no intervals.
        area: Vector file of polygons to which all is restricted.
        progress: Whether to show a progress bar.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If map and reference do not fit together, or have no measurement in common.
    """
    if design in ('stratified', 'simple'):
        raise ValueError(
            f"design (--design) '{design}' is of maps of classes, {src.name} holds measurements, "
            'whose figures have no intervals'
        )
    header = describe_reader(src)
    mapped = _Measured.of(src, header, name=src.name)
    zone = read_zone(area, header)
    if is_raster(reference):
        with open_reader(reference) as other:
            measured = _Measured.of(other, header, name=src.name)
            return _compare_raster(mapped, measured, zone, progress=progress)
    return _compare_points(mapped, reference, zone, attribute=attribute, layer=layer)


def _compare_raster(
    mapped: _Measured, measured: _Measured, zone: Area | None, *, progress: bool
) -> ValueAccuracy:
    """Compare all pixels of two rasters."""
    name, other = mapped.below.src.name, measured.below.src.name
    if len(mapped.bands) != len(measured.bands):
        raise ValueError(
            f'{other} must have a band for each of the {len(mapped.bands)} of {name}, got '
            f'{len(measured.bands)}'
        )
    header = mapped.header
    areas, _ = measure_rows(header)
    sums = _begin(np.stack([mapped.limits(), measured.limits()]))
    missing = compared = 0.0
    windows = list(lay_windows(header, is_small=True, area=zone))
    reads = [mapped.below.read, measured.below.read]
    with shown_progress(windows, shown=progress) as shown:
        for window, ((ours, valid), (theirs, known)) in read_ahead(reads, shown):
            chosen = np.ones((window.height, window.width), dtype=np.bool_)
            if zone is not None:
                chosen &= zone.mask(header.transform, window)
            if valid is not None:
                chosen &= valid
            sizes = np.broadcast_to(areas[window.row_off : window.row_stop, None], chosen.shape)
            if known is not None:
                missing += float(sizes[chosen & ~known].sum())
                chosen &= known
            compared += float(sizes[chosen].sum())
            _add(
                sums, mapped.measure(ours[:, chosen]), measured.measure(theirs[:, chosen]),
                sizes[chosen],
            )  # fmt: skip
    notes = [*measured.below.notes]
    if missing and compared:
        share = missing / (missing + compared)
        notes.append(
            f'The reference says nothing of {share:.2%} of the map; all figures are of the rest.'
        )
    return _finish(mapped, sums, other, notes, scaled=mapped.is_scaled or measured.is_scaled)


def _compare_points(
    mapped: _Measured,
    reference: str | PathLike[str],
    zone: Area | None,
    *,
    attribute: str | None,
    layer: str | None,
) -> ValueAccuracy:
    """Compare pixels with the points in them."""
    source, header, name = fspath(reference), mapped.header, mapped.below.src.name
    check_place(header, name=name, needed_by=source)
    frame = read_vectors(reference, layer=layer)
    if kind_of(frame, source=source) != 'points':
        raise ValueError(
            f'measurements are compared at points or with a raster, {source} holds polygons; rasterize '
            'them, or take their centres'
        )
    known = [str(column) for column in frame.columns if column != frame.geometry.name]
    columns = _choose_columns(mapped, attribute, known)
    if not columns:
        columns = [choose_attribute(frame, attribute, source=source)]
    if len(columns) != len(mapped.bands):
        raise ValueError(
            f'{name} has {len(mapped.bands)} bands, and points need a column for each; name columns '
            f'of {source} as the bands are: {name_some(_names(mapped))}'
        )
    placed, owner = place_features(frame, header, name=name, source=source)
    rows, cols = pixels_of(placed, header)
    inside = lie_inside(zone, header, rows, cols)
    theirs = np.stack([_numbers(attribute_texts(frame[c]), c, source) for c in columns])[:, owner]
    pixels, valid = mapped.below.read_at(rows[inside], cols[inside])
    ours, theirs = mapped.measure(pixels), theirs[:, inside]
    chosen = valid & np.isfinite(theirs).all(axis=0)
    ours, theirs = ours[:, chosen], theirs[:, chosen]
    notes = []
    for lost, why in (
        (len(inside) - int(inside.sum()), 'lie outside of the map or its area'),
        (int(inside.sum()) - int(chosen.sum()), 'have no measurement, or the map has none there'),
    ):
        if lost:
            notes.append(f'{lost:,} of {len(inside):,} points {why}, and are left out.')
    limits = np.array([[(min(a), max(a)) if len(a) else (np.nan,) * 2 for a in (*ours, *theirs)]])
    sums = _begin(limits.reshape(2, len(columns), 2))
    _add(sums, ours, theirs, np.ones(ours.shape[1]))
    return _finish(mapped, sums, source, notes, scaled=mapped.is_scaled)


def _choose_columns(mapped: _Measured, attribute: str | None, known: Sequence[str]) -> list[str]:
    """Take the columns that are called as the bands, where all are there and none is asked for."""
    names = _names(mapped)
    return names if attribute is None and set(names) <= set(known) else []


def _names(mapped: _Measured) -> list[str]:
    """Name the bands."""
    descriptions = mapped.header.descriptions
    return [descriptions[band - 1] or f'band {band}' for band in mapped.bands]


def _numbers(texts: Sequence[str | None], column: str, source: str) -> NDArray[np.float64]:
    """Read numbers that may be stored as text; NaN for none.

    Raises:
        ValueError: If a text is no number.
    """
    numbers = np.full(len(texts), np.nan)
    for place, text in enumerate(texts):
        if text is not None:
            try:
                numbers[place] = float(text)
            except ValueError:
                raise ValueError(
                    f'measurements are numbers, {source} holds {text!r} in {column!r}; pass another '
                    'attribute (--attribute)'
                ) from None
    return numbers


def _begin(limits: NDArray[np.float64]) -> list[Differences]:
    """Prepare sums for each band; *limits* of map and reference have the shape (2, bands, 2)."""
    found = []
    for band in range(limits.shape[1]):
        known = limits[:, band][np.isfinite(limits[:, band])]
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
        found.append(Differences(low, high if high > low else low + 1))
    return found


def _add(
    sums: Sequence[Differences],
    ours: NDArray[np.float64],
    theirs: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> None:
    """Add the pairs of all bands, shape (bands, n)."""
    for band, each in enumerate(sums):
        each.add(ours[band], theirs[band], weights)


def _finish(
    mapped: _Measured,
    sums: Sequence[Differences],
    source: str,
    notes: Sequence[str],
    *,
    scaled: bool,
) -> ValueAccuracy:
    """Say how far map and reference lie apart.

    Raises:
        ValueError: If there was nothing to compare.
    """
    name = mapped.below.src.name
    if not sums[0].count:
        raise ValueError(
            f'{source} has no measurement at any observation of {name}; check where both lie, and the '
            'area'
        )
    told = ['Values are scaled as the files are tagged.'] if scaled else []
    units = [mapped.below.src.units[band - 1] or '' for band in mapped.bands]
    return ValueAccuracy(
        bands=tuple(
            each.result(name=band, unit=unit)
            for each, band, unit in zip(sums, _names(mapped), units, strict=True)
        ),
        notes=(*notes, *told),
    )
