"""Figures as a page writes them: with their intervals, in the digits that these leave."""

import math
from xml.etree.ElementTree import Element

from ..accuracy.figures import AreaUnit, Estimate
from .charts import interval_bar
from .page import element

UNKNOWN = '–'
"""Stands for a figure that nothing tells."""

SHORT_KEY = '* too few units were sampled: the true interval is wider.'
"""Explains the mark of intervals that are too short."""

_M2_PER_HA = 1e4
# digits behind the point, at most
_MOST_DIGITS = 4


def area_name(unit: AreaUnit) -> str:
    """Name the unit in which a page gives areas."""
    return 'ha' if unit == 'm2' else 'pixels'


def in_page_unit(area: float, unit: AreaUnit) -> float:
    """Turn an area into the unit in which a page gives areas."""
    return area / _M2_PER_HA if unit == 'm2' else area


def write_number(value: float, *, half_width: float | None = None) -> str:
    """Write a number to two digits of its half-width, or to four digits where there is none."""
    if not math.isfinite(value):
        return UNKNOWN
    if value == 0 and not half_width:
        return '0'
    size, digits = (half_width, 2) if half_width else (abs(value), 4)
    power = math.floor(math.log10(size)) if size > 0 else 0
    places = min(max(digits - 1 - power, 0), _MOST_DIGITS)
    written = f'{value:,.{places}f}'
    return written if half_width is None else f'{written} ± {half_width:,.{places}f}'


def write_share(value: float) -> str:
    """Write a share as percent."""
    return f'{100 * value:.1f}' if math.isfinite(value) else UNKNOWN


def write_percent(estimate: Estimate) -> str:
    """Write a share and its half-width as percent."""
    if not estimate.is_known:
        return UNKNOWN
    half = '' if estimate.half_width is None else f' ± {write_share(estimate.half_width)}'
    return f'{write_share(estimate.value)}{half}{"*" if estimate.is_too_short else ""}'


def share_cell(estimate: Estimate) -> Element:
    """Make the cell of a share, drawn below what is written."""
    return _cell(write_percent(estimate), estimate, end=1.0)


def area_cell(estimate: Estimate | None, *, unit: AreaUnit, end: float, mapped: float) -> Element:
    """Make the cell of an area, drawn beside the mapped one; *end* is the largest of all."""
    if estimate is None:
        return element('td', UNKNOWN)
    half = estimate.half_width
    shown = Estimate(
        value=in_page_unit(estimate.value, unit),
        half_width=None if half is None else in_page_unit(half, unit),
        is_too_short=estimate.is_too_short,
    )
    text = write_number(shown.value, half_width=shown.half_width)
    mark = '*' if shown.is_too_short else ''
    return _cell(text + mark, shown, end=end, other=in_page_unit(mapped, unit))


def _cell(text: str, shown: Estimate, *, end: float, other: float | None = None) -> Element:
    """Write a figure above its drawing."""
    attributes = {'class_': 'short'} if shown.is_too_short else {}
    cell = element('td', text, **attributes)
    if shown.is_known:
        cell.append(interval_bar(shown.value, shown.half_width, end=end, other=other))
    return cell
