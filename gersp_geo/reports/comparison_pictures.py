"""Pictures of a comparison: intervals, features in two dimensions, and nearest neighbours."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from unicodedata import east_asian_width
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from ..comparison.records import ComparedImages, FeatureView, Interval
from ..messages import name_some
from .charts import choose_ticks
from .comparison_rows import is_bounded, write_bounds, write_points
from .page import Child, element, paragraph, picture

# Of a chart, in the units of others; a row holds a name above a line
_WIDTH, _LEFT, _RIGHT, _ROW, _BOTTOM = 340, 12, 12, 32, 34
# percent of the shortest axis
_LEAST = 2.0
# so many characters of a name stand beside its figure
_MOST_CHARACTERS = 26

# so many other classes of neighbours are named
_MOST_NAMED = 4

# Of a picture of features: width, largest height, and what is left free at its borders
_SPREAD, _HEIGHT, _EDGE = 300, 260, 8
# more points hide each other
_MOST_POINTS = 2000

# The first five have another shape than the last five, so that no two are told apart by a slight
# difference of colour alone
_COLORS = (
    '#2f7de1', '#e8730c', '#2f9e44', '#9c4dcc', '#7f8894',
    '#d6336c', '#12a5b8', '#d09a00', '#8d6748', '#5c4bd6',
)  # fmt: skip
# what is drawn from the middle of a point; a line of no length has round ends
_SHAPES = (
    'h0', 'm0-2.6l2.4 4.1h-4.8z', 'm-2.2-2.2l4.4 4.4m-4.4 0l4.4-4.4', 'm-1.8-1.8h3.6v3.6h-3.6z',
    'm0-2.9v5.8m-2.9-2.9h5.8',
    'm0-2.8l2.8 2.8-2.8 2.8-2.8-2.8z', 'm0 2.6l2.4-4.1h-4.8z',
)  # fmt: skip
# width of the lines that shapes are made of
_STROKES = (5.0, 1.6, 1.8, 1.6, 1.8, 0.8, 1.6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One line of a chart of intervals."""

    name: str
    interval: Interval
    """Shares, or differences of shares."""

    seeds: Sequence[float] = ()
    """Single figures that the interval is about."""

    is_baseline: bool = False


def breakable(name: str) -> Element:
    """Write a name that may be broken, between its words at first."""
    parts = re.split(r'(?<=[a-z])(?=[A-Z])|(?<=[_/=-])(?=.)', name)
    children = [child for part in parts for child in (element('wbr'), part)]
    return element('span', *children[1:], class_='long')


def shorten(name: str, most: int = _MOST_CHARACTERS) -> str:
    """Leave out the middle of a long name: names of one family differ at either end."""
    if any(east_asian_width(character) in 'FW' for character in name):
        most //= 2
    if len(name) <= most:
        return name
    end = most // 2
    return f'{name[: most - end - 1].rstrip()}…{name[-end:].lstrip()}'


def axis_limits(values: Sequence[float], *, are_shares: bool) -> tuple[float, float]:
    """Say in percent between which values an axis has to run, no share beyond 0 and 100."""
    known = 100 * np.array([value for value in values if math.isfinite(value)])
    low, high = float(known.min()), float(known.max())
    if high - low < _LEAST:
        low, high = (low + high - _LEAST) / 2, (low + high + _LEAST) / 2
    return (max(low, 0.0), min(high, 100.0)) if are_shares else (low, high)


def interval_chart(
    marks: Sequence[Mark], *, title: str, across: str, zero: bool = False
) -> Element:
    """Draw intervals below each other.

    Args:
        marks: At least one, from top to bottom.
        title: Above.
        across: What the values are.
        zero: Whether to show where 0 is, and to write signs.
    """
    ends = [end for mark in marks for end in (mark.interval.low, mark.interval.high, *mark.seeds)]
    ends += [mark.interval.value for mark in marks]
    ticks = choose_ticks(*axis_limits([*ends, *([0.0] if zero else [])], are_shares=not zero))
    low, high = ticks[0], ticks[-1]

    def place(share: float) -> str:
        return f'{_LEFT + (100 * share - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT):.1f}'

    height = 6 + _ROW * len(marks) + _BOTTOM
    drawn = []
    for tick in ticks:
        x = place(tick / 100)
        kind = 'axis dashed' if zero and abs(tick) < 1e-9 else 'axis'
        # not across the names
        d = ''.join(f'M{x} {6 + _ROW * i + 17}v13' for i in range(len(marks)))
        drawn.append(element('path', class_=kind, d=d))
        number = f'{tick:.6g}'.replace('-', '\N{MINUS SIGN}')
        drawn.append(element('text', number, x=x, y=f'{height - 18}', text_anchor='middle'))
    for i, mark in enumerate(marks):
        drawn += _draw_mark(mark, place=place, top=6 + _ROW * i, sign='+' if zero else '')
    middle = f'{_WIDTH // 2}'
    drawn.append(element('text', across, x=middle, y=f'{height - 3}', text_anchor='middle'))
    svg = element('svg', *drawn, viewBox=f'0 0 {_WIDTH} {height}', role='img', aria_label=title)
    return element('div', element('h3', title), svg, class_='chart')


def _draw_mark(mark: Mark, *, place: Callable[[float], str], top: int, sign: str) -> list[Element]:
    """Draw one interval below its name and figure."""
    found, base = mark.interval, ' base' if mark.is_baseline else ''
    text = f'{write_points(found.value, sign=sign)} ({write_bounds(found, sign=sign)})'
    name = element('text', shorten(mark.name), class_='name', x=f'{_LEFT}', y=f'{top + 12}')
    name.append(element('title', mark.name))
    drawn = [
        name,
        element('text', text, x=f'{_WIDTH - _RIGHT}', y=f'{top + 12}', text_anchor='end'),
    ]
    if is_bounded(found):
        low, high = place(found.low), place(found.high)
        d = f'M{low} {top + 19}v6m0-3H{high}m0-3v6'
        drawn.append(element('path', class_=f'span{base}', d=d))
    for seed in mark.seeds if len(mark.seeds) > 1 else ():
        x = place(seed)
        drawn.append(element('line', class_='seed', x1=x, x2=x, y1=f'{top + 25}', y2=f'{top + 30}'))
    drawn.append(
        element('circle', class_=f'dot{base}', cx=place(found.value), cy=f'{top + 22}', r='4')
    )
    return drawn


def draw_points(views: Sequence[FeatureView], images: ComparedImages) -> list[Element]:
    """Draw the features of test images as points, in the colours and shapes of their classes."""
    chosen = np.arange(len(images.labels))
    if len(chosen) > _MOST_POINTS:
        # the same in the pictures of all candidates
        chosen = np.random.default_rng(0).choice(chosen, _MOST_POINTS, replace=False)
    labels = images.labels[chosen]
    placed = [_place_points(view.points[chosen]) for view in views]
    # of one height, so that they stand beside each other
    height = max(float(np.ptp(points[:, 1])) for points in placed) + 2 * _EDGE
    drawn = []
    for view, points in zip(views, placed, strict=True):
        shown = points + np.array([_SPREAD / 2, height / 2])
        paths = []
        for kind in np.unique(labels).tolist():
            path = _class_path(shown[labels == kind], kind)
            path.append(element('title', images.classes[kind]))
            paths.append(path)
        svg = element(
            'svg', *paths, class_='kinds', viewBox=f'0 0 {_SPREAD} {height:.0f}', role='img',
            aria_label=f'Features of {view.label} in two dimensions',
        )  # fmt: skip
        heading = element('h3', breakable(view.label))
        key = paragraph(_explain(view), kind='key')
        drawn.append(element('div', heading, svg, key, class_='chart'))
    return drawn


def _place_points(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Bring points to the size of a picture, around (0, 0), with y downwards."""
    exact = points.astype(np.float64)
    middle = (exact.min(axis=0) + exact.max(axis=0)) / 2
    spans = np.ptp(exact, axis=0)
    # one scale for both directions, so that distances are those of the features
    room = (_SPREAD - 2 * _EDGE, _HEIGHT - 2 * _EDGE)
    scale = min((room[i] / spans[i] for i in range(2) if spans[i] > 0), default=1.0)
    return (exact - middle) * (scale, -scale)


def _explain(view: FeatureView) -> str:
    """Say how much of the features a picture shows."""
    if not math.isfinite(view.explained[0]):
        return ''
    first, second = (f'{100 * share:.0f}' for share in view.explained)
    return f'Across: {first} % of the variance of the features; up: {second} %.'


def _class_path(points: NDArray[np.float64], kind: int) -> Element:
    """Draw the points of one class."""
    place, ten = kind % 10, kind // 10
    shape = (ten + (place >= 5)) % len(_SHAPES)
    color, stroke = _COLORS[place], _STROKES[shape]
    is_open = 'z' not in _SHAPES[shape]
    style = f'stroke:{color};fill:{"none" if is_open else color};stroke-width:{stroke}'
    ends = {'stroke_linecap': 'round'} if is_open else {}
    d = ''.join(f'M{x:.1f} {y:.1f}{_SHAPES[shape]}' for x, y in points)
    return element('path', d=d, style=style, **ends)


def class_legend(classes: Sequence[str], shown: Sequence[int]) -> Element:
    """Name the colours and shapes of the classes that are drawn."""
    entries = []
    for kind in shown:
        path = _class_path(np.array([[5.0, 5.0]]), kind)
        mark = element('svg', path, class_='kinds mark', viewBox='0 0 10 10', aria_hidden='true')
        entries.append(element('li', mark, element('span', classes[kind]), class_='named'))
    return element('ul', *entries, class_='legend')


def show_neighbours(images: ComparedImages, views: Sequence[FeatureView]) -> list[Element]:
    """Put each shown test image above what is nearest to it for each label."""
    cards = []
    for i, position in enumerate(images.shown):
        true = int(images.labels[position])
        name = images.classes[true]
        asked = picture(images.thumbnails[i], text=f'Test image of {name}.', photo=True)
        rows: list[Child] = [
            element(
                'div',
                asked,
                element(
                    'div',
                    element('span', 'Test image', class_='cell'),
                    element('strong', breakable(name)),
                ),
                class_='asked',
            )
        ]
        for view in views:
            rows += _neighbour_row(view, i, true=true, classes=images.classes)
        cards.append(element('div', *rows))
    return cards


def _neighbour_row(
    view: FeatureView, i: int, *, true: int, classes: Sequence[str]
) -> list[Element]:
    """Show what is nearest to one test image for one label, and count what is of its class."""
    kinds = view.neighbour_classes[i].tolist()
    near = []
    for kind, pixels in zip(kinds, view.neighbours[i], strict=True):
        image = picture(pixels, text=f'{classes[kind]}.', photo=True)
        image.set('title', classes[kind])
        mark = element('b', '✓' if kind == true else '×', aria_hidden='true')
        near.append(element('div', image, mark, class_='near' if kind == true else 'near other'))
    others = list(dict.fromkeys(classes[kind] for kind in kinds if kind != true))
    count = f'{kinds.count(true)} of {len(kinds)}'
    said = f'{count}; others: {name_some(others, most=_MOST_NAMED)}' if others else count
    heading = element(
        'div', breakable(view.label), element('span', f' {said}', class_='soft'),
        class_='long whose',
    )  # fmt: skip
    return [heading, element('div', *near, class_='row')]
