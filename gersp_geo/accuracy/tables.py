"""Accuracies as text for the terminal, as JSON and as CSV; areas in hectares where they are known."""

from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path

from ..geoio.write import check_absent, finite_or_none
from ..geoio.write import write_csv as write_rows
from ..geoio.write import write_json as write_figures
from ..messages import align
from .estimators import FIGURES
from .figures import Accuracy, AreaUnit, Calibration, Estimate

MOST_COLUMNS = 12
"""A terminal has room for the matrix of so many classes."""

UNITS: dict[AreaUnit, tuple[str, float]] = {'m2': ('ha', 1e-4), 'pixels': ('pixels', 1.0)}
"""In what areas are written, and the factor from what they are given in."""


# what a field of a class is called in files
_TITLES = {
    'users': 'users_accuracy',
    'producers': 'producers_accuracy',
    'f1': 'f1',
    'iou': 'iou',
    'area': 'area',
}


def describe(accuracy: Accuracy) -> str:
    """Write all figures for the terminal, with a star where an interval is too short."""
    counts = accuracy.counts
    unit, factor = UNITS[counts.unit]
    digits = 0 if max(counts.mapped_areas) * factor >= 100 or unit == 'pixels' else 2
    names = [f'{found.map_class.value} {found.map_class.name}' for found in accuracy.classes]
    figures = [['class', *list(FIGURES.values())[:4], f'mapped area, {unit}', f'area, {unit}']]
    for name, found in zip(names, accuracy.classes, strict=True):
        shares = [_text(getattr(found, field)) for field in list(FIGURES)[:4]]
        mapped = f'{found.mapped_area * factor:,.{digits}f}'
        figures.append([name, *shares, mapped, _text(found.area, factor=factor, digits=digits)])
    units = f'design {counts.design}, {counts.counts.sum():,} units'
    parts = [f'Overall accuracy {_text(accuracy.overall)}, {units}', '\n'.join(align(figures))]
    if len(names) <= MOST_COLUMNS:
        heads = ['map, reference', *(str(found.value) for found in counts.classes)]
        matrix = zip(names, counts.counts.sum(0).tolist(), strict=True)
        rows = [heads, *([name, *map('{:,}'.format, row)] for name, row in matrix)]
        parts.append('\n'.join(align(rows)))
    if accuracy.calibration is not None:
        error = float(accuracy.calibration.errors[0])
        parts.append(f'Expected calibration error of the most probable class {error:.3f}')
    return '\n\n'.join([*parts, '\n'.join(accuracy.notes)]).rstrip()


def as_record(accuracy: Accuracy) -> dict[str, object]:
    """Give all figures as JSON has them: null where there is no figure or no interval."""
    counts = accuracy.counts
    unit, factor = UNITS[counts.unit]
    sizes = counts.counts.sum((1, 2)).tolist()
    strata = zip(counts.strata, sizes, (counts.stratum_areas * factor).tolist(), strict=True)
    return {
        'design': counts.design,
        'area_unit': unit,
        'strata': [{'name': name, 'units': size, 'area': area} for name, size, area in strata],
        'overall_accuracy': _plain(accuracy.overall),
        'classes': [
            {
                'value': found.map_class.value,
                'name': found.map_class.name,
                'mapped_area': found.mapped_area * factor,
                **{
                    title: _plain(getattr(found, field), factor if field == 'area' else 1.0)
                    for field, title in _TITLES.items()
                },
            }
            for found in accuracy.classes
        ],
        'matrix_units': counts.counts.sum(0).tolist(),
        'matrix_shares': [
            [finite_or_none(share) for share in row] for row in accuracy.shares.tolist()
        ],
        'calibration': accuracy.calibration and _calibration(accuracy.calibration),
        'notes': list(accuracy.notes),
    }


def write_json(
    accuracy: Accuracy, destination: str | PathLike[str], *, overwrite: bool = False
) -> None:
    """Write all figures as JSON.

    Args:
        accuracy: What to write.
        destination: The file.
        overwrite: Replace it.

    Raises:
        FileExistsError: If it exists and *overwrite* is False.
    """
    write_figures(destination, as_record(accuracy), overwrite=overwrite)


def write_csv(
    accuracy: Accuracy, destination: str | PathLike[str], *, overwrite: bool = False
) -> Path:
    """Write a row per figure, and the error matrix beside it as NAME.matrix.csv.

    Args:
        accuracy: What to write.
        destination: The file of the figures.
        overwrite: Replace both files.

    Returns:
        The file of the matrix: a row per pair of classes that occurs.

    Raises:
        FileExistsError: If one of them exists and *overwrite* is False.
    """
    matrix = Path(destination).with_suffix('.matrix.csv')
    check_absent(matrix, overwrite=overwrite)
    write_rows(destination, _figure_rows(accuracy), overwrite=overwrite)
    write_rows(matrix, _matrix_rows(accuracy), overwrite=overwrite)
    return matrix


def _figure_rows(accuracy: Accuracy) -> Iterator[Sequence[object]]:
    """Give a row per figure, empty where there is none."""
    unit, factor = UNITS[accuracy.counts.unit]
    yield ('value', 'name', 'figure', 'estimate', 'half_width', 'is_too_short', 'unit')
    yield ('', '', 'overall_accuracy', *_cells(accuracy.overall), '')
    for found in accuracy.classes:
        label = (found.map_class.value, found.map_class.name)
        yield (*label, 'mapped_area', found.mapped_area * factor, '', '', unit)
        for field, title in _TITLES.items():
            is_area = field == 'area'
            cells = _cells(getattr(found, field), factor if is_area else 1.0)
            yield (*label, title, *cells, unit if is_area else '')


def _matrix_rows(accuracy: Accuracy) -> Iterator[Sequence[object]]:
    """Give a row per cell of the matrix that is not empty."""
    counts, classes = accuracy.counts.counts.sum(0), accuracy.counts.classes
    yield ('map_value', 'map_name', 'reference_value', 'reference_name', 'units', 'area_share')
    for i, j in zip(*(places.tolist() for places in counts.nonzero()), strict=True):
        ours, theirs = classes[i], classes[j]
        share = finite_or_none(float(accuracy.shares[i, j]))
        yield (ours.value, ours.name, theirs.value, theirs.name, int(counts[i, j]), share)


def _calibration(found: Calibration) -> dict[str, object]:
    """Give a reliability curve as JSON has it: first of the most probable class, then of each."""
    names = ['most probable class', *(one.name for one in found.classes)]
    rows = zip(found.errors, found.shares, found.probabilities, found.frequencies, strict=True)
    return {
        'units': found.count,
        'edges': found.edges.tolist(),
        'curves': [
            {
                'name': name,
                'expected_calibration_error': finite_or_none(float(error)),
                'shares': [finite_or_none(share) for share in shares.tolist()],
                'probabilities': [finite_or_none(mean) for mean in means.tolist()],
                'frequencies': [finite_or_none(frequency) for frequency in frequencies.tolist()],
            }
            for name, (error, shares, means, frequencies) in zip(names, rows, strict=True)
        ],
    }


def _cells(figure: Estimate | None, factor: float = 1.0) -> list[object]:
    """Give a figure as cells of a table."""
    plain = _plain(figure, factor) or {'value': None, 'half_width': None, 'is_too_short': None}
    return ['' if cell is None else cell for cell in plain.values()]


def _plain(figure: Estimate | None, factor: float = 1.0) -> dict[str, object] | None:
    """Give a figure as JSON has it."""
    if figure is None or not figure.is_known:
        return None
    half = None if figure.half_width is None else figure.half_width * factor
    short = None if half is None else figure.is_too_short
    return {'value': figure.value * factor, 'half_width': half, 'is_too_short': short}


def _text(figure: Estimate | None, *, factor: float = 1.0, digits: int = 3) -> str:
    """Write a figure with its interval, and a star where that is too short."""
    if figure is None or not figure.is_known:
        return '-'
    value = f'{figure.value * factor:,.{digits}f}'
    if figure.half_width is None:
        return value
    star = '*' if figure.is_too_short else ''
    return f'{value} ± {figure.half_width * factor:,.{digits}f}{star}'
