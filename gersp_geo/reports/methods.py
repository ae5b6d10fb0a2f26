"""How accuracies were computed, in words and formulas."""

from collections.abc import Mapping
from xml.etree.ElementTree import Element

import numpy as np

from ..accuracy.figures import Accuracy, SampledCounts
from ..geoio.read import RasterHeader
from .numbers import area_name, in_page_unit, write_number, write_share
from .page import Child, bullet_list, element, facts_table, paragraph, section, table

_DESIGNS: Mapping[str, tuple[str, str]] = {
    'stratified': (
        'units, drawn at random within strata',
        (
            'Each figure is a ratio R = Y / X of two totals over the strata h: Y = Σ A(h) · mean of y in '
            'h, and the same for X, where A(h) is the area of the stratum, and y and x are 1 or 0 for a '
            'unit: for user’s accuracy, y says that it is right and x that it is mapped as the class. '
            'The variance follows by linearisation: V(R) = Σ A(h)² · s²(h) / n(h) / X², with s² of y − R '
            '· x among the n(h) units of a stratum. An interval is R ± 1.96 √V. Where the strata are '
            'the classes of the map, these are the estimators of Olofsson et al. (2014).'
        ),
    ),
    'simple': (
        'units, drawn at random from all',
        (
            'All units are one stratum. Each figure is a ratio R = Y / X of two means; its variance '
            'follows by linearisation, V(R) = s² / n / mean(x)², with s² of y − R · x, and an interval '
            'is R ± 1.96 √V.'
        ),
    ),
    'census': (
        'units: all that map and reference have in common',
        'Everything was compared, so that figures are known exactly, and have no interval.',
    ),
    'unknown': (
        'units of a reference; how they were chosen is not known',
        (
            'How the units were chosen is not known. The figures are of the units themselves; nothing '
            'follows from them for the rest of the map, neither intervals nor areas.'
        ),
    ),
}

_SOURCES = {
    'Olofsson, P. et al. (2014): Good practices for estimating area and assessing accuracy of land '
    'change. Remote Sensing of Environment 148': 'https://doi.org/10.1016/j.rse.2014.02.015',
    'Stehman, S. V. (2014): Estimating area and map accuracy for stratified random sampling when '
    'the strata are different from the map classes. International Journal of Remote Sensing 35':
    'https://doi.org/10.1080/01431161.2014.930207',
}  # fmt: skip


def name_design(counts: SampledCounts) -> str:
    """Say how units were chosen, after their number."""
    text, strata = _DESIGNS[counts.design][0], len(counts.strata)
    return f'{text} ({strata} strata)' if counts.design == 'stratified' else text


def explain(accuracy: Accuracy, header: RasterHeader, files: Mapping[str, str]) -> Element:
    """Say how all figures were computed, and from which files."""
    counts = accuracy.counts
    parts: list[Child] = [
        paragraph(f'{int(counts.counts.sum()):,} {name_design(counts)}.'),
        paragraph(_DESIGNS[counts.design][1]),
    ]
    if counts.design in ('stratified', 'simple'):
        parts += [list_strata(counts), bullet_list(list_sources())]
    crs = str(header.crs) if header.crs is not None else 'none'
    facts: dict[str, Child] = {name: path for name, path in files.items() if path}
    facts |= {
        'Size of the map': f'{header.height:,} rows, {header.width:,} columns',
        'CRS of the map': crs if len(crs) < 100 else f'{crs[:100]} …',
        'Areas': _name_surface(counts, header),
    }
    return section('How this was computed', *parts, facts_table(facts))


def _name_surface(counts: SampledCounts, header: RasterHeader) -> str:
    """Say where areas were measured."""
    if counts.unit == 'pixels':
        return 'in pixels: no CRS tells an area'
    is_in_degrees = header.crs is not None and header.crs.is_geographic
    return 'on the ellipsoid' if is_in_degrees else 'in the plane of the projection'


def list_strata(counts: SampledCounts) -> Element:
    """Write areas and units of the strata."""
    units, areas = counts.counts.sum(axis=(1, 2)).tolist(), counts.stratum_areas
    whole = float(np.nansum(areas)) or 1.0
    rows = [
        (
            name,
            write_number(in_page_unit(float(area), counts.unit)),
            write_share(float(area) / whole),
            f'{number:,}',
        )
        for name, area, number in zip(counts.strata, areas, units, strict=True)
    ]
    return table(rows, head=('Stratum', f'Area, {area_name(counts.unit)}', 'Share, %', 'Units'))


def list_sources() -> list[Child]:
    """Name what the estimators are taken from."""
    return [
        element('span', f'{text}, ', element('a', address.removeprefix('https://'), href=address))
        for text, address in _SOURCES.items()
    ]
