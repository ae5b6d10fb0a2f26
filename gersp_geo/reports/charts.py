"""Small drawings that follow the colours of the page: intervals in tables, and curves."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from .page import Color, element

type Curves = Mapping[str, tuple[Sequence[float], Sequence[float]]]
"""Places and values of each curve, by its name."""

type Floats = NDArray[np.float64]
"""Places or values, shape (n,)."""

# Of a chart, in units of its own; text stays readable where a chart is as wide as a phone
_WIDTH, _HEIGHT = 380, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 10, 34

# colours of curves in the style; they repeat beyond
_COLORS = 6

# so many points of one curve tell what more would
_MOST_POINTS = 1000

# A curve is averaged over this part of itself where it has this many points
_SMOOTHED, _MANY = 24, 40


@dataclass(frozen=True, slots=True)
class _Frame:
    """The rectangle of a chart in which curves are, by the values at its sides."""

    left: float
    right: float
    bottom: float
    top: float

    def put(self, x: Floats, y: Floats) -> str:
        """Write points as SVG has them."""
        wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
        across = _LEFT + (x - self.left) / (self.right - self.left) * wide
        down = _TOP + (self.top - y) / (self.top - self.bottom) * high
        return ' '.join(f'{a:.1f},{b:.1f}' for a, b in zip(across, down, strict=True))


def interval_bar(
    value: float, half_width: float | None, *, end: float, other: float | None = None
) -> Element:
    """Draw a figure with its interval on a line from 0 to *end*.

    Args:
        value: The figure, finite.
        half_width: Of its interval; None where there is none.
        end: Largest value of the line, > 0.
        other: A figure to compare with, such as the mapped area.
    """

    def mark(kind: str, low: float, high: float, *, tall: bool = False) -> Element:
        x1, x2 = (f'{100 * min(max(x / end, 0), 1):.2f}' for x in (low, high))
        y1, y2 = ('0', '10') if tall else ('5', '5')
        return element('line', class_=kind, x1=x1, x2=x2, y1=y1, y2=y2)

    marks = [mark('', 0, end)]
    if half_width:
        marks.append(mark('span', value - half_width, value + half_width))
    marks.append(mark('dot', value, value))
    if other is not None:
        marks.append(mark('other', other, other, tall=True))
    return element(
        'svg', *marks, class_='bar', viewBox='0 0 100 10', preserveAspectRatio='none',
        aria_hidden='true',
    )  # fmt: skip


def curve_chart(
    curves: Curves,
    *,
    title: str,
    across: str,
    up: str = '',
    limits: tuple[float, float] | None = None,
    colors: Mapping[str, Color] | None = None,
    ranges: Curves | None = None,
    diagonal: bool = False,
    smooth: bool = True,
) -> Element | None:
    """Draw curves over one axis, with a running mean where a curve is long and noisy.

    Args:
        curves: By name; values that are not finite are left out.
        title: Above.
        across: What the places are.
        up: What the values are; nothing where the title says it.
        limits: Of the values; by default those that occur, and 0 where they are near it.
        colors: Of the curves of these names; others have those of the style, in their order.
        ranges: Lowest and highest values at the places of the curves of these names, finite.
        diagonal: Whether to draw where both axes are equal.
        smooth: Whether long curves get a running mean.

    Returns:
        None where no curve has a point.
    """
    known = {name: found for name, curve in curves.items() if len((found := _finite(*curve))[0])}
    if not known:
        return None
    places = np.concatenate([curve[0] for curve in known.values()])
    ends = [np.ravel(both) for both in (ranges or {}).values()]
    values = np.concatenate([curve[1] for curve in known.values()] + ends)
    x_ticks = choose_ticks(places.min(), places.max())
    y_ticks = choose_ticks(*(limits or (_floor(values), values.max())))
    frame = _Frame(*_ends(x_ticks, places), *_ends(y_ticks, values))
    drawn = _axes(x_ticks, y_ticks, frame=frame, across=across, up=up)
    strokes = _choose_colors(known, colors or {})
    if diagonal:
        corners = np.array([max(frame.left, frame.bottom), min(frame.right, frame.top)])
        line = frame.put(corners, corners)
        drawn.append(element('polyline', class_='axis dashed', fill='none', points=line))
    for name, (low, high) in (ranges or {}).items():
        drawn += _range(known[name], low, high, frame=frame, color=strokes[name])
    for name, (x, y) in known.items():
        drawn += _curve(x, y, frame=frame, color=strokes[name], smooth=smooth)
    # colours of a map may be as light as the page
    kind = {'class_': 'cased'} if colors else {}
    box = f'0 0 {_WIDTH} {_HEIGHT}'
    svg = element('svg', *drawn, viewBox=box, role='img', aria_label=title, **kind)
    return element('div', element('h3', title), svg, _key(strokes), class_='chart')


def _choose_colors(names: Iterable[str], colors: Mapping[str, Color]) -> dict[str, str]:
    """Give each curve its colour, as CSS has it."""
    return {
        name: 'rgb({},{},{})'.format(*colors[name]) if name in colors else f'var(--c{i % _COLORS})'
        for i, name in enumerate(names)
    }


def _finite(places: Sequence[float], values: Sequence[float]) -> tuple[Floats, Floats]:
    """Leave out what cannot be drawn, and points beyond those that can be told apart."""
    x, y = np.asarray(places, dtype=np.float64), np.asarray(values, dtype=np.float64)
    chosen = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    step = -(-len(chosen) // _MOST_POINTS) or 1
    # the last one is what a run ended with
    return x[chosen[::-1][::step][::-1]], y[chosen[::-1][::step][::-1]]


def _floor(values: Floats) -> float:
    """Begin at 0 where that does not flatten what there is to see."""
    low, high = float(values.min()), float(values.max())
    return 0.0 if 0 <= low < 0.6 * high else low


def choose_ticks(low: float, high: float, *, count: int = 5) -> Floats:
    """Choose round numbers that enclose two ends, three at least."""
    if not high > low:
        low, high = low - (abs(low) or 1) * 0.1, high + (abs(high) or 1) * 0.1
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(s for s in (1, 2, 2.5, 5, 10) if s * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return np.arange(first, last + 1, dtype=np.float64) * step


def _ends(ticks: Floats, values: Floats) -> tuple[float, float]:
    """Say between which values an axis runs."""
    return min(float(ticks[0]), float(values.min())), max(float(ticks[-1]), float(values.max()))


def _axes(
    x_ticks: Floats, y_ticks: Floats, *, frame: _Frame, across: str, up: str
) -> list[Element]:
    """Draw both axes, with their numbers and what they are."""
    drawn = []
    ends = np.array([x_ticks[0], x_ticks[-1]])
    for tick in y_ticks:
        line = frame.put(ends, np.array([tick, tick]))
        drawn.append(element('polyline', class_='axis', fill='none', points=line))
        height = line.split()[0].split(',')[1]
        text = element('text', f'{tick:.6g}', x=str(_LEFT - 6), y=height, dy='4', text_anchor='end')
        drawn.append(text)
    for tick in x_ticks:
        place = frame.put(np.array([tick]), y_ticks[:1]).split(',')[0]
        text = element('text', f'{tick:.6g}', x=place, y=str(_HEIGHT - 18), text_anchor='middle')
        drawn.append(text)
    middle = str((_LEFT + _WIDTH - _RIGHT) // 2)
    drawn.append(element('text', across, x=middle, y=str(_HEIGHT - 3), text_anchor='middle'))
    if up:
        turned = f'translate(11 {(_TOP + _HEIGHT - _BOTTOM) // 2}) rotate(-90)'
        drawn.append(element('text', up, transform=turned, text_anchor='middle'))
    return drawn


def _curve(x: Floats, y: Floats, *, frame: _Frame, color: str, smooth: bool) -> list[Element]:
    """Draw one curve; a single point is drawn as a short line."""
    style = f'stroke:{color}'
    if len(x) == 1:
        return [
            element(
                'polyline',
                class_='curve',
                points=' '.join([frame.put(x, y)] * 2),
                style=f'{style};stroke-width:7;stroke-linecap:round',
            )
        ]
    if not smooth or len(x) < _MANY:
        return [element('polyline', class_='curve', points=frame.put(x, y), style=style)]
    window = len(x) // _SMOOTHED
    mean = np.convolve(y, np.ones(window) / window, mode='valid')
    return [
        element('polyline', class_='thin', points=frame.put(x, y), style=style),
        element('polyline', class_='curve', points=frame.put(x[window - 1 :], mean), style=style),
    ]


def _range(
    curve: tuple[Floats, Floats],
    low: Sequence[float],
    high: Sequence[float],
    *,
    frame: _Frame,
    color: str,
) -> list[Element]:
    """Draw what lies between two curves, and where the curve in it was measured."""
    x, y = curve
    there, back = frame.put(x, np.asarray(low)), frame.put(x[::-1], np.asarray(high)[::-1])
    style = f'fill:{color};stroke:{color}'
    dots = ''.join(f'M{point}h0' for point in frame.put(x, y).split())
    return [
        element('polygon', class_='range', points=f'{there} {back}', style=style),
        element('path', class_='places', d=dots, style=f'stroke:{color}'),
    ]


def _key(colors: Mapping[str, str]) -> Element:
    """Name the colours of curves."""
    entries = (
        element('li', element('span', class_='swatch', style=f'background:{color}'), name)
        for name, color in colors.items()
    )
    return element('ul', *entries, class_='legend')
