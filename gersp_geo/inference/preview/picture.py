"""Lay images out as one PNG file, with titles, colour bars, a scale bar and a legend."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...geoio.write import Color, check_local
from .shapes import Shapes, draw_shapes

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

COLOR_MAP = 'viridis'
NO_OBSERVATION: Color = (217, 217, 217)

# What follows is in pixels beside images of this side; beside larger ones, in proportion.
_USUAL_SIDE = 800
NARROWEST_CELL = 280
_MARGIN = 20
_HEAD_HEIGHT = 44
_TITLE_HEIGHT = 28
_FOOT_HEIGHT = 52
_BAR_LENGTH = 400
_CHARACTER_WIDTH = 8

# a file name that is longer is shortened in its middle
_LONGEST_NAME = 60

# images wider than this many times their height are put one below the other
_WIDE = 1.5

_DPI = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One image of a picture."""

    title: str
    """Above it."""

    pixels: NDArray[np.uint8]
    """Shape (rows, cols, 3)."""

    limits: tuple[float, float] | None = None
    """Values at both ends of its colour bar; None without one."""

    extend: str = 'neither'
    """Ends of the colour bar beyond which there are values: 'min', 'max', 'both' or 'neither'."""

    shapes: Shapes | None = None
    """What is drawn over it."""


@dataclass(frozen=True, slots=True)
class _Canvas:
    """A figure that is measured in pixels from its upper left corner."""

    figure: 'Figure'
    unit: float
    """Pixels that one of the lengths above has here."""

    width: float
    height: float

    def box(
        self, left: float, top: float, width: float, height: float
    ) -> tuple[float, float, float, float]:
        """Convert a rectangle to fractions from the lower left, as matplotlib wants them."""
        bottom = self.height - top - height
        return left / self.width, bottom / self.height, width / self.width, height / self.height

    def write(self, left: float, top: float, text: str, *, size: float, bold: bool = False) -> None:
        """Put one line of text with its upper left corner at a place."""
        self.figure.text(
            left / self.width, 1 - top / self.height, text, fontsize=size * self.unit, va='top', ha='left',
            weight='bold' if bold else 'normal', parse_math=False,
        )  # fmt: skip


def check_picture(path: Path, *, overwrite: bool) -> None:
    """Refuse a picture that could not be written, before hours of work.

    Args:
        path: Where it is to be.
        overwrite: Whether an existing file may be replaced.

    Raises:
        FileExistsError: If *path* is a folder, or exists and may not be replaced.
        ValueError: If it does not end in .png, or is not on a local disk.
    """
    check_local(path)
    if path.suffix.lower() != '.png':
        raise ValueError(f'a preview is written as .png, got {path}')
    if path.is_dir():
        raise FileExistsError(f'{path} is a folder; pass the path of a file')
    if path.exists() and not overwrite:
        raise FileExistsError(f'{path} exists; pass another path, or overwrite (--overwrite)')


def align(numbers: Sequence[str]) -> list[str]:
    """Put spaces before numbers, so that they end below each other in a font of equal digits."""
    longest = max(numbers, key=len, default='')
    spaces = str.maketrans(
        dict.fromkeys('0123456789', '\N{FIGURE SPACE}') | {',': '\N{PUNCTUATION SPACE}'}
    )
    return [longest[: len(longest) - len(text)].translate(spaces) + text for text in numbers]


def to_bytes(image: NDArray[np.float64], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Turn colours into bytes, and grey what is no observation.

    Args:
        image: Red, green and blue in [0, 1], shape (rows, cols, 3).
        valid: Where there is an observation, shape (rows, cols).

    Returns:
        Shape (rows, cols, 3).
    """
    colors = np.round(255 * image).astype(np.uint8)
    colors[~valid] = NO_OBSERVATION
    return colors


def save_picture(
    destination: Path,
    panels: Sequence[Panel],
    *,
    names: Sequence[str],
    legend: Sequence[tuple[str, Color]] = (),
    metres_per_pixel: float | None = None,
    columns: int = 2,
) -> None:
    """Draw panels side by side, or one below the other where they are wide.

    Args:
        destination: PNG file.
        panels: Of one size.
        names: File names that head the picture.
        legend: Text and colour of each entry.
        metres_per_pixel: Ground that a column of the panels covers, for a scale bar; None without.
        columns: Panels side by side, at most.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1, 1), dpi=_DPI, facecolor='white')
    FigureCanvasAgg(figure)
    height, width, _ = panels[0].pixels.shape
    unit = max(1.0, max(height, width) / _USUAL_SIDE)
    is_row = len(panels) <= columns
    columns = 1 if is_row and width > _WIDE * height else min(len(panels), columns)
    lines = -(-len(panels) // columns)
    cell_width = max(width, NARROWEST_CELL) + _MARGIN * unit
    cell_height = (_TITLE_HEIGHT + _FOOT_HEIGHT) * unit + height
    drawn, legend_width, legend_height = _draw_legend(figure, legend, unit=unit)
    head = '  →  '.join(_shorten(name, _LONGEST_NAME) for name in names)
    head_width = (_CHARACTER_WIDTH + 3) * len(head) * unit
    margin, top = _MARGIN * unit, _HEAD_HEIGHT * unit
    canvas = _Canvas(
        figure,
        unit=unit,
        width=margin + max(columns * cell_width + legend_width, head_width),
        height=top + max(lines * cell_height, _TITLE_HEIGHT * unit + legend_height + margin),
    )
    figure.set_size_inches(canvas.width / _DPI, canvas.height / _DPI)
    canvas.write(margin, margin / 2, head, size=13, bold=True)
    for index, panel in enumerate(panels):
        row, col = divmod(index, columns)
        place = margin + col * cell_width, top + row * cell_height
        # the ground is the same in all
        scale = metres_per_pixel if index == 0 else None
        _draw_panel(canvas, panel, *place, cell_width=cell_width, metres_per_pixel=scale)
    if drawn is not None:
        left = margin + columns * cell_width
        below = top + _TITLE_HEIGHT * unit
        drawn.set_bbox_to_anchor((left / canvas.width, 1 - below / canvas.height))
    figure.savefig(destination, dpi=_DPI)


def _draw_panel(
    canvas: _Canvas,
    panel: Panel,
    left: float,
    top: float,
    *,
    cell_width: float,
    metres_per_pixel: float | None,
) -> None:
    """Draw an image, its title above and its colour bar or the scale below."""
    height, width, _ = panel.pixels.shape
    characters = int(cell_width / (_CHARACTER_WIDTH * canvas.unit))
    canvas.write(left, top, _shorten(panel.title, characters), size=11)
    below_title = top + _TITLE_HEIGHT * canvas.unit
    axes = canvas.figure.add_axes(canvas.box(left, below_title, width, height))
    axes.imshow(panel.pixels, interpolation='nearest', aspect='auto', extent=(0, width, height, 0))
    axes.set_axis_off()
    if panel.shapes is not None:
        draw_shapes(axes, panel.shapes, unit=canvas.unit)
    foot = below_title + height
    if panel.limits is not None:
        bar_width = min(cell_width - _MARGIN * canvas.unit, _BAR_LENGTH * canvas.unit)
        _draw_color_bar(canvas, panel, left, foot, width=bar_width)
    if metres_per_pixel is not None:
        _draw_scale(canvas, left, foot, metres_per_pixel, width=width)


def _draw_legend(
    figure: 'Figure', legend: Sequence[tuple[str, Color]], *, unit: float
) -> tuple['Legend | None', float, float]:
    """Draw the legend somewhere, to learn its width and height."""
    from matplotlib.patches import Patch

    if not legend:
        return None, 0.0, 0.0
    handles = [
        Patch(
            facecolor=(red / 255, green / 255, blue / 255),
            edgecolor='0.4',
            linewidth=0.5,
            label='x',
        )
        for _, (red, green, blue) in legend
    ]
    drawn = figure.legend(
        handles=handles, loc='upper left', frameon=False, fontsize=10 * unit,
        borderpad=0,
        borderaxespad=0, handlelength=1.6, handleheight=1.2,
    )  # fmt: skip
    for line, (text, _) in zip(drawn.get_texts(), legend, strict=True):
        # a dollar sign is one
        line.set_parse_math(False)
        line.set_text(text)
    extent = drawn.get_window_extent()
    return drawn, extent.width + _MARGIN * unit, extent.height


def _draw_color_bar(
    canvas: _Canvas, panel: Panel, left: float, top: float, *, width: float
) -> None:
    """Draw which colours stand for which values."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    assert panel.limits is not None
    axes = canvas.figure.add_axes(canvas.box(left, top + 10 * canvas.unit, width, 12 * canvas.unit))
    bar = canvas.figure.colorbar(
        ScalarMappable(Normalize(*panel.limits), COLOR_MAP), cax=axes, orientation='horizontal',
        extend=panel.extend,
    )  # fmt: skip
    bar.outline.set_linewidth(0.5)
    axes.tick_params(labelsize=9 * canvas.unit, length=3 * canvas.unit, width=0.5)


def _draw_scale(
    canvas: _Canvas, left: float, top: float, metres_per_pixel: float, *, width: int
) -> None:
    """Draw a bar of a round number of metres, a quarter of the width at most."""
    metres = _round_down(metres_per_pixel * width / 4)
    length = metres / metres_per_pixel
    unit = canvas.unit
    axes = canvas.figure.add_axes(canvas.box(left, top + 14 * unit, length, 5 * unit))
    axes.set(facecolor='0.1', xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    text = f'{metres / 1000:g} km' if metres >= 1000 else f'{metres:g} m'
    canvas.write(left + length + 8 * unit, top + 8 * unit, text, size=10)


def _round_down(value: float) -> float:
    """Find the largest of ..., 1, 2, 5, 10, 20, 50, ... that is not above a value."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step * power for step in (5, 2, 1) if step * power <= value * (1 + 1e-9)))


def _shorten(text: str, length: int) -> str:
    """Leave out the middle of a long text."""
    if len(text) <= length:
        return text
    return f'{text[: length // 2]}…{text[len(text) - (length - length // 2 - 1) :]}'
