"""Areas of classes: in the map, and in truth as far as a reference tells."""

from collections.abc import Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np

from ..accuracy.figures import Accuracy, AreaUnit, ClassAccuracy
from .numbers import SHORT_KEY, area_cell, area_name, in_page_unit, write_number
from .page import Child, paragraph, section, swatch, table


class _Words(NamedTuple):
    """What a page says of areas."""

    head: str
    """Above those that are not the map's; none where there are none."""

    text: str
    """Above the table."""

    key: str
    """Below it."""


_SAMPLED = _Words(
    'Error-adjusted',
    'The mapped area counts pixels, with what the map gets wrong; the error-adjusted area is what '
    'the reference says of the same ground.',
    'Dot and line: error-adjusted area and its 95 % interval; upright line: mapped area.',
)
_EXACT = _Words(
    'Of the reference',
    'The reference says something of all of this ground, so that its areas are exact.',
    'Dot: area of the reference; upright line: mapped area.',
)
_MAPPED = _Words('', 'The design of the reference does not support error-adjusted areas.', '')


def show_areas(accuracy: Accuracy) -> Element | None:
    """Write the areas of all classes; None where there are none."""
    unit, classes = accuracy.counts.unit, accuracy.classes
    end = largest_area(classes, unit)
    if not end > 0:
        return None
    sampled = [one.area for one in classes if one.area is not None]
    exact = accuracy.counts.design == 'census'
    words = _MAPPED if not sampled else _EXACT if exact else _SAMPLED
    rows: list[list[Child]] = [
        [
            swatch(one.map_class.color, one.map_class.name),
            write_number(in_page_unit(one.mapped_area, unit)),
            area_cell(one.area, unit=unit, end=end, mapped=one.mapped_area),
        ]
        for one in classes
    ]
    heads = [f'{head}, {area_name(unit)}' for head in ('Mapped', words.head) if head]
    shown = [row[: len(heads) + 1] for row in rows]
    key = f'{words.key} {SHORT_KEY if any(one.is_too_short for one in sampled) else ""}'
    return section(
        'Areas',
        paragraph(words.text),
        table(shown, head=['Class', *heads], kind='areas cards'),
        paragraph(key, kind='key'),
    )


def largest_area(classes: Sequence[ClassAccuracy], unit: AreaUnit) -> float:
    """Find the end of all intervals and areas, in the unit of the page."""
    ends = [one.mapped_area for one in classes]
    ends += [one.area.value + (one.area.half_width or 0) for one in classes if one.area is not None]
    return max((in_page_unit(end, unit) for end in ends if np.isfinite(end)), default=0.0)
