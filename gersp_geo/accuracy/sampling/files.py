"""Sample files: points to be interpreted, and the design by which they were drawn.

The design is what makes figures of a sample estimates of the map. It lies beside the file as
``NAME.design.json``, and in it where the format has room.
"""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import geopandas
import numpy as np
import pandas
import shapely
from numpy.typing import NDArray
from pyproj import CRS

from ...geoio.fingerprints import read_metadata
from ...geoio.vector import attribute_texts, read_vectors, write_points
from ...geoio.write import new_file
from ...messages import name_some
from .checks import check_sample
from .samples import Sample, SampleDesign, SamplePoints

DESIGN_KEY = 'SAMPLE_DESIGN'
"""Name of the design in the metadata of a file."""

# what no program shortens, as a Shapefile does names of more than ten letters
_NEEDED = ('id', 'row', 'col', 'map_class', 'stratum', 'reference')


COLUMNS = (
    'id', 'row', 'col', 'map_class', 'map_name', 'stratum', 'inclusion_probability', 'weight_m2',
    'reference',
)  # fmt: skip
"""Of a sample file."""


def design_path(path: str | PathLike[str]) -> Path:
    """Name the file of the design that lies beside a sample."""
    return Path(path).with_suffix('.design.json')


def write_sample(
    destination: str | PathLike[str],
    points: SamplePoints,
    design: SampleDesign,
    *,
    names: Sequence[str],
    overwrite: bool = False,
) -> None:
    """Write a sample, and its design beside it.

    Args:
        destination: As in :func:`.vector.write_points`.
        points: In the order of the file.
        design: How they were drawn.
        names: Name of the map class of each point.
        overwrite: Replace existing files.

    Raises:
        FileExistsError: If a file exists and *overwrite* is False.
        ValueError: If the suffix is unknown.
        OSError: If a file cannot be written.
    """
    is_known = design.unit == 'm2'
    frame = geopandas.GeoDataFrame(
        {
            'id': points.ids,
            'row': points.rows,
            'col': points.cols,
            'map_class': points.map_classes,
            'map_name': list(names),
            'stratum': [design.strata[index].name for index in points.strata.tolist()],
            'inclusion_probability': points.probabilities,
            'weight_m2': points.weights if is_known else np.full(len(points), np.nan),
            'reference': pandas.array(list(points.references), dtype='string'),
        },
        geometry=shapely.points(design.place(points.rows, points.cols)),
        crs=CRS.from_wkt(design.crs),
    )
    # the design first: a sample without one is of little use
    with new_file(design_path(destination), overwrite=overwrite) as temporary:
        temporary.write_text(design.to_json() + '\n', encoding='utf-8')
    told = {DESIGN_KEY: design.to_json()}
    write_points(destination, frame, metadata=told, overwrite=overwrite)


def read_sample(path: str | PathLike[str]) -> Sample:
    """Read a sample that :func:`write_sample` has written and people have worked on.

    Columns may have another order or type, points another CRS or order, and some may be missing.

    Args:
        path: The file, also one saved in another format of vectors.

    Returns:
        Its points and design.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it has no design, lacks a column, has points that were not drawn, twice, or
            elsewhere, or its probabilities are not those of its design.
    """
    frame = read_vectors(path)
    design = _read_design(path)
    if lacking := [name for name in _NEEDED if name not in frame]:
        raise ValueError(
            f'{path} lacks the column {name_some(lacking)} of a sample; keep those that draw-sample '
            'made'
        )
    ids, rows, cols, values = (_whole_numbers(frame, name, path) for name in _NEEDED[:4])
    names = {stratum.name: index for index, stratum in enumerate(design.strata)}
    found = [names.get(name or '', -1) for name in attribute_texts(frame['stratum'])]
    strata = np.array(found, dtype=np.int64)
    probabilities, weights = _read_weights(frame, design, rows, strata)
    sample = Sample(
        ids=ids, rows=rows, cols=cols, map_classes=values, strata=strata,
        probabilities=probabilities, weights=weights, design=design,
        references=tuple(
            None if text is None else text.strip() for text in attribute_texts(frame['reference'])
        ),
    )  # fmt: skip
    check_sample(sample, frame, path)
    return sample


def has_design(path: str | PathLike[str]) -> bool:
    """Say whether a file is a sample that was drawn, rather than any reference."""
    try:
        return design_path(path).exists() or DESIGN_KEY in read_metadata(path)
    except (OSError, ValueError):
        return False


def _read_design(path: str | PathLike[str]) -> SampleDesign:
    """Read the design beside a file, or else in it."""
    beside = design_path(path)
    try:
        text = beside.read_text('utf-8') if beside.exists() else read_metadata(path)[DESIGN_KEY]
    except (KeyError, OSError, ValueError) as error:
        raise ValueError(
            f'{path} does not say how its points were drawn; put the {beside.name} that draw-sample '
            'wrote beside it'
        ) from error
    try:
        return SampleDesign.from_json(text)
    except ValueError as error:
        raise ValueError(f'{beside if beside.exists() else path} holds {error}') from error


def _whole_numbers(
    frame: geopandas.GeoDataFrame, name: str, path: str | PathLike[str]
) -> NDArray[np.int64]:
    """Read whole numbers, whatever type a program has made of them."""
    values = pandas.to_numeric(frame[name], errors='coerce').to_numpy(np.float64, na_value=np.nan)
    is_whole = np.isfinite(values) & (values == np.round(values)) & (np.abs(values) < 2**53)
    if not is_whole.all():
        place = int(np.flatnonzero(~is_whole)[0])
        raise ValueError(
            f'{path} has {int((~is_whole).sum())} points without a whole number as {name!r}, the '
            f'first is feature {place + 1}; remove points that were not drawn'
        )
    return np.asarray(values, dtype=np.int64)


def _read_weights(
    frame: geopandas.GeoDataFrame,
    design: SampleDesign,
    rows: NDArray[np.int64],
    strata: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read probabilities and weights, or compute those that a format had no room for."""
    # rows beyond the map are refused later
    pixels = design.measure(np.clip(rows, 0, design.height - 1))
    counts, areas = np.array([[each.count, each.area] for each in design.strata]).T
    is_whole = np.array([each.count == each.pixels for each in design.strata])[strata]
    # in degrees a pixel is drawn in proportion to its area, unless all are
    expected_of = {
        'inclusion_probability': np.where(is_whole, 1, (counts / areas)[strata] * pixels),
        'weight_m2': np.where(is_whole, pixels, (areas / counts)[strata]),
    }
    told = []
    for name, expected in expected_of.items():
        if name in frame:
            given = pandas.to_numeric(frame[name], errors='coerce')
            told.append(given.to_numpy(np.float64, na_value=np.nan))
        else:
            told.append(expected)
    probabilities, weights = told
    return probabilities, weights if design.unit == 'm2' else 1 / probabilities
