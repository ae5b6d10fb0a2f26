"""Laws of pages: what comes from files is text, whatever it is, and a page stands alone."""

from collections.abc import Callable
from pathlib import Path
from xml.etree.ElementTree import tostring

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gersp_geo.reports.charts import curve_chart, interval_bar
from gersp_geo.reports.page import (
    Child,
    check_page,
    element,
    facts_table,
    paragraph,
    picture,
    table,
    write_page,
)

from .conftest import Page


def shown(*children: Child) -> Page:
    html: str = tostring(element('div', *children), encoding='unicode', method='html')
    return Page(html)


@given(st.lists(st.text(), max_size=4))
def test_text_of_any_kind_stays_text(texts: list[str]) -> None:
    page = shown(*(element('i', text, title=text) for text in texts), *texts)
    assert page.tags == ['div', *('i' for _ in texts)]
    assert not page.open
    kept = ''.join(texts * 2)
    assert [c for c in ''.join(page.parts) if c.isprintable()] == [
        c for c in kept if c.isprintable() and c != '\x7f'
    ] or any(ord(c) < 32 for c in kept)


def test_a_page_of_hostile_names_is_written_whole(
    tmp_path: Path, read_page: Callable[[Path], Page]
) -> None:
    name = '</title><script>alert(1)</script>"\' & \x00\udcff <b onload=x>'
    path = write_page(
        tmp_path / 'a.html',
        title=name,
        lead=[paragraph(name, kind='lead')],
        sections=[facts_table({name: name}), picture(np.zeros((2, 3, 3), np.uint8), text=name)],
    )
    page = Page(path.read_text(encoding='utf-8'))
    assert 'script' not in page.tags
    assert 'b' not in page.tags
    assert page.text.count('<script>alert(1)</script>') == 5


def test_a_page_is_refused_before_any_work(tmp_path: Path) -> None:
    taken = tmp_path / 'a.html'
    taken.touch()
    with pytest.raises(FileExistsError, match='--overwrite'):
        check_page(taken, overwrite=False)
    check_page(taken, overwrite=True)
    with pytest.raises(ValueError, match=r'written as \.html, got .*a\.pdf'):
        check_page(tmp_path / 'a.pdf', overwrite=False)
    with pytest.raises(ValueError, match='local disk'):
        check_page('s3://bucket/a.html', overwrite=False)


NUMBERS = st.floats(allow_nan=True, allow_infinity=True, width=32)


@given(st.dictionaries(st.text(max_size=3), st.lists(NUMBERS, max_size=60), max_size=3))
def test_curves_of_any_values_are_drawn_within_their_chart(curves: dict[str, list[float]]) -> None:
    given_curves = {name: (list(range(len(v))), v) for name, v in curves.items()}
    chart = curve_chart(given_curves, title='t', across='step')
    known = [name for name, values in curves.items() if np.isfinite(values).any()]
    if chart is None:
        assert not known
        return
    lines = [one for one in chart.iter('polyline') if one.get('class') == 'curve']
    assert len(lines) == len(known)
    points = [p.split(',') for line in lines for p in line.get('points', '').split()]
    across, down = np.array(points, dtype=float).T
    assert across.min() >= 48
    assert across.max() <= 368
    assert down.min() >= 10
    assert down.max() <= 196


def test_a_curve_has_the_colour_of_its_class_and_of_its_name_in_the_legend() -> None:
    curves = {name: ([0.0, 1.0], [0.0, 1.0]) for name in ('any', 'sand', 'water')}
    colors = {'sand': (250, 240, 200), 'water': (0, 0, 255)}
    chart = curve_chart(curves, title='t', across='recall', up='precision', colors=colors)
    assert chart is not None
    strokes = [one.get('style') for one in chart.iter('polyline') if one.get('class') == 'curve']
    wanted = ['var(--c0)', 'rgb(250,240,200)', 'rgb(0,0,255)']
    assert strokes == [f'stroke:{color}' for color in wanted]
    squares = [one.get('style') for one in chart.iter('span')]
    assert squares == [f'background:{color}' for color in wanted]
    assert {'recall', 'precision'} <= {text.text for text in chart.iter('text')}


def test_on_a_phone_each_cell_of_a_card_has_the_name_of_its_column() -> None:
    made = table([('a', '1', element('td', '2'))], head=('Class', 'F1, %', 'IoU, %'), kind='cards')
    assert [cell.get('data-name') for cell in made.iter('td')] == ['F1, %', 'IoU, %']
    with pytest.raises(ValueError, match='zip'):
        table([('a', '1')], head=('Class', 'F1, %', 'IoU, %'), kind='cards')


def test_an_interval_lies_around_its_value_and_within_its_line() -> None:
    bar = interval_bar(0.9, 0.2, end=1.0, other=0.5)
    marks = {m.get('class'): (float(m.get('x1', '')), float(m.get('x2', ''))) for m in bar}
    assert marks == {'': (0, 100), 'span': (70, 100), 'dot': (90, 90), 'other': (50, 50)}
    assert 'span' not in [m.get('class') for m in interval_bar(0.9, None, end=1.0)]
