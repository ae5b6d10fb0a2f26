"""Maps judged by a reference: what `gersp-geo assess` does."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from os import PathLike, fspath
from os.path import samefile
from pathlib import Path
from typing import Literal

import numpy as np

from ..geoio.gdal import gdal_cache
from ..geoio.polygons import describe_map
from ..geoio.read import describe_reader, open_decoder, open_reader
from .calibration import ProbabilityCheck
from .disagreements import choose_disagreements
from .estimators import estimate_accuracy
from .figures import Accuracy
from .references.judged_map import JudgedMap
from .references.legends import Legend
from .references.opening import open_reference
from .references.point_units import AskedDesign, PointUnits, count_points
from .references.sample_units import count_sample
from .references.surface_examples import find_examples
from .references.surface_units import count_surface
from .references.surfaces import PointReference
from .sampling.files import has_design, read_sample
from .values import ValueAccuracy, assess_values

type Kind = Literal['auto', 'classes', 'values']
"""What a map holds."""

# windows come one after the other, and blocks of two rasters that end elsewhere are needed again
_CACHE_BYTES = 128 * 1024**2


def assess_map(
    source: str | PathLike[str],
    reference: str | PathLike[str],
    *,
    attribute: str | None = None,
    layer: str | None = None,
    design: AskedDesign = 'auto',
    kind: Kind = 'auto',
    classes: Mapping[str, Sequence[str | int]] | None = None,
    ignore: Sequence[str | int] = (),
    area: str | PathLike[str] | None = None,
    probabilities: str | PathLike[str] | None = None,
    progress: bool = True,
) -> Accuracy | ValueAccuracy:
    """Compare a map with a reference, in bounded memory.

    Args:
        source: Map of classes, or of measurements in floats.
        reference: A sample of draw-sample that somebody has interpreted, points or polygons of any
            vector format and CRS, or a raster on any grid.
        attribute: Column of a vector file that holds classes, by name or number, or measurements;
            None takes 'reference', or the only one.
        layer: Layer of a vector file; None takes the only one with features.
        design: How the reference was chosen. 'auto' takes the design of a sample that was drawn, a
            raster for a census of what it covers, and of all others that nobody knows. 'none' says
            that nobody knows.
        kind: What the map holds; 'auto' takes floats for measurements.
        classes: Class of the map, by name or number, to the values of the reference that are this
            class; None matches names, or else numbers.
        ignore: Values of the reference that say nothing.
        area: Vector file of polygons to which all is restricted.
        probabilities: Raster of probabilities that are to be compared with the reference: a band
            per class, or one of the second of two.
        progress: Whether to show a progress bar.

    Returns:
        How right the map is, with notes about all that was left out.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If map and reference do not fit together, or the reference does not fit the
            design.
        OSError: If a file is damaged.
    """
    if Path(source).exists() and Path(reference).exists() and samefile(source, reference):
        raise ValueError(f'{source} is both map and reference; pass what is known of the ground')
    with gdal_cache(_CACHE_BYTES), open_reader(source) as src:
        if kind == 'values' or (kind == 'auto' and describe_reader(src).dtype.startswith('float')):
            given = {
                'classes (--classes)': classes, 'ignore (--ignore)': ignore,
                'probabilities (--probabilities)': probabilities,
            }  # fmt: skip
            if wrong := [name for name, value in given.items() if value]:
                raise ValueError(f'{wrong[0]} is of maps of classes, {source} holds measurements')
            return assess_values(
                src, reference, attribute=attribute, layer=layer, design=design, area=area,
                progress=progress,
            )  # fmt: skip
        described = describe_map(src, needs_place=False)
        legend = Legend.of(described, classes=classes, ignore=ignore)
        with ExitStack() as opened:
            decoder = opened.enter_context(open_decoder(src.name, described.header))
            judged = JudgedMap.of(src, described, area=area, decoder=decoder)
            check = opened.enter_context(_open_check(probabilities, judged))
            if has_design(reference):
                return _assess_sample(
                    judged, reference, legend, attribute, design, check, progress=progress
                )
            with open_reference(
                reference, described, name=judged.name, attribute=attribute, layer=layer,
                key=legend.key,
            ) as found:  # fmt: skip
                if isinstance(found, PointReference):
                    units = count_points(judged, found, legend, design=design, progress=progress)
                    return _assess_points(judged, units, check)
                counts = count_surface(
                    judged, found, legend, design=design, check=check, progress=progress
                )
                accuracy = _add_calibration(estimate_accuracy(counts), judged, check)
                return replace(
                    accuracy, disagreements=find_examples(judged, found, legend, counts=counts)
                )


def _assess_sample(
    judged: JudgedMap,
    reference: str | PathLike[str],
    legend: Legend,
    attribute: str | None,
    design: AskedDesign,
    check: ProbabilityCheck | None,
    *,
    progress: bool,
) -> Accuracy:
    """Compare a map with a sample that was drawn."""
    if attribute not in (None, 'reference'):
        raise ValueError(
            f"a sample holds its classes in the column 'reference', got attribute {attribute!r}"
        )
    source = fspath(reference)
    units = count_sample(
        judged, read_sample(reference), legend, source=source, design=design, progress=progress
    )
    return _assess_points(judged, units, check)


def _assess_points(
    judged: JudgedMap, units: PointUnits, check: ProbabilityCheck | None
) -> Accuracy:
    """Estimate how right a map is, by points."""
    if check is not None:
        check.add_points(units.rows, units.cols, units.theirs, units.weights)
    accuracy = _add_calibration(estimate_accuracy(units.counts), judged, check)
    values = [each.value for each in units.counts.classes]
    found = choose_disagreements(
        rows=units.rows,
        cols=units.cols,
        mapped=np.searchsorted(values, units.ours),
        reference=np.searchsorted(values, units.theirs),
        weights=units.weights,
        classes=units.counts.classes,
    )
    return replace(accuracy, disagreements=found)


def _add_calibration(
    accuracy: Accuracy, judged: JudgedMap, check: ProbabilityCheck | None
) -> Accuracy:
    """Say how right probabilities are, if there are some."""
    if check is None:
        return accuracy
    classes = tuple(map(judged.describe_class, check.channels.classes))
    return replace(accuracy, calibration=check.result(classes))


@contextmanager
def _open_check(
    probabilities: str | PathLike[str] | None, judged: JudgedMap
) -> Iterator[ProbabilityCheck | None]:
    """Open the raster of probabilities, if there is one."""
    if probabilities is None:
        yield None
        return
    with open_reader(probabilities) as src:
        yield ProbabilityCheck(src, judged.header, judged.described, name=judged.name)
