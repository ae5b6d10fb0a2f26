"""A page about a map of measurements: how far they lie from those of a reference."""

import math
from os import PathLike
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from ..accuracy.value_figures import BandAccuracy, ValueAccuracy
from .numbers import UNKNOWN
from .page import (
    captioned,
    check_page,
    element,
    facts_table,
    paragraph,
    picture,
    section,
    table,
    write_page,
)

# Pixels of a picture per bin of a scatter, and the tint of the fullest bin.
_SCALE = 5
_DARK = np.array([16, 66, 122])


def write_value_report(
    accuracy: ValueAccuracy,
    destination: str | PathLike[str],
    *,
    map_path: str | PathLike[str],
    reference: str | PathLike[str],
    overwrite: bool = False,
) -> Path:
    """Write a page of HTML that opens from disk and needs no network.

    Args:
        accuracy: What was found.
        destination: File that ends in .html.
        map_path: The map, to be named.
        reference: What it was judged by, to be named.
        overwrite: Replace an existing file.

    Returns:
        *destination*.

    Raises:
        FileExistsError: If *destination* exists and may not be replaced.
        OSError: If the page cannot be written.
        ValueError: If *destination* does not end in .html.
    """
    check_page(destination, overwrite=overwrite)
    first = accuracy.bands[0]
    lead = [
        paragraph(
            f'{first.name}: RMSE ', element('strong', f'{first.rmse:.4g}'), f' {first.unit}', kind='lead'
        ),
        paragraph(f'{first.count:,} pixels or points were compared.', kind='soft'),
    ]  # fmt: skip
    return write_page(
        destination,
        title=f'Accuracy of {Path(map_path).name}',
        lead=lead,
        notes=accuracy.notes,
        sections=[
            show_figures(accuracy),
            show_scatters(accuracy),
            section(
                'How this was found',
                paragraph(
                    'Differences are the map minus the reference: bias is their mean, MAE the mean '
                    'of their sizes, RMSE the root of the mean of their squares. R2 is 1 minus the '
                    'sum of their squares over that of the reference about its mean: 1 is best, and '
                    'what is below 0 is worse than the mean of the reference everywhere. A pixel '
                    'counts by its area. There are no intervals.'
                ),
                facts_table({'Map': str(map_path), 'Reference': str(reference)}),
            ),
        ],
        overwrite=overwrite,
    )


def show_figures(accuracy: ValueAccuracy) -> Element:
    """Show all figures."""
    rows = [
        (
            band.name, f'{band.count:,}', *(f'{each:.4g}' for each in (band.bias, band.rmse, band.mae)),
            f'{band.r2:.3f}' if math.isfinite(band.r2) else UNKNOWN, band.unit,
        )
        for band in accuracy.bands
    ]  # fmt: skip
    head = ('Band', 'Compared', 'Bias', 'RMSE', 'MAE', 'R2', 'Unit')
    return section('Differences', table(rows, head=head, kind='cards'))


def show_scatters(accuracy: ValueAccuracy) -> Element:
    """Show which values of the map stand for which of the reference."""
    shown = [
        captioned(
            picture(draw_scatter(band), text=f'Values of the map over those of the reference: {band.name}.'),
            f'{band.name}: reference to the right, map upwards, both from {band.edges[0]:.4g} to '
            f'{band.edges[-1]:.4g} {band.unit}; the line is where they are equal.',
        )
        for band in accuracy.bands
    ]  # fmt: skip
    return section('Map and reference', element('div', *shown, class_='chips'))


def draw_scatter(band: BandAccuracy) -> NDArray[np.uint8]:
    """Draw counts as tints, few of them visible beside many, shape (H, W, 3)."""
    counts = np.log1p(band.scatter.T[::-1])
    tint = (counts / max(float(counts.max()), 1.0))[..., None]
    # one pixel beside none is to be seen
    tint = np.where(counts[..., None] > 0, 0.15 + 0.85 * tint, 0)
    painted = np.round(255 + tint * (_DARK - 255)).astype(np.uint8)
    large: NDArray[np.uint8] = painted.repeat(_SCALE, axis=0).repeat(_SCALE, axis=1)
    side = np.arange(len(large))
    large[len(large) - 1 - side, side] = (200, 60, 40)
    return large
