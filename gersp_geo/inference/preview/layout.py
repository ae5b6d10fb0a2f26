"""Lay images out as one PNG file, with titles, a scale bar and a legend."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...geoio.write import Color, check_absent, check_local, new_file
from ...pictures import swatches
from .quicklook import NO_OBSERVATION, Panel, Sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

type Entry = tuple[str, str, Color]
"""What a legend says about a class: a number, the name and the colour."""

UNOBSERVED: Entry = ('', 'no observation', NO_OBSERVATION)

DPI = 100
"""Pixels per inch of a usual picture; lines and fonts grow with a finer one."""

# Lengths in pixels beside images of this side; beside larger ones, they grow with them.
_USUAL_SIDE = 800
NARROWEST_CELL = 280
_MARGIN, _HEAD, _TITLE, _FOOT = 20, 44, 28, 52
_CHARACTER_WIDTH = 8

# Images that are wider than this many times their height are put one below the other.
_WIDE = 1.5

# A longer file name is shortened in its middle.
_LONGEST_NAME = 60


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
    check_absent(path, overwrite=overwrite)


def save_picture(
    destination: Path,
    panels: Sequence[Panel],
    sheet: Sheet,
    *,
    names: Sequence[str],
    legend: Sequence[Entry] = (),
    overwrite: bool = False,
) -> Path:
    """Draw panels side by side, or one below the other where they are wide.

    Args:
        destination: PNG file.
        panels: Images of the shape of *sheet*.
        sheet: The grid that they show.
        names: File names that head the picture.
        legend: Per class.
        overwrite: Replace an existing file.

    Returns:
        *destination*.
    """
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

    rows, cols = sheet.shape
    unit = max(1.0, max(rows, cols) / _USUAL_SIDE)
    margin, head, title, foot = (round(unit * px) for px in (_MARGIN, _HEAD, _TITLE, _FOOT))
    columns = 1 if cols > _WIDE * rows else 2 if len(panels) == 4 else min(len(panels), 3)
    cell_width, cell_height = max(cols, NARROWEST_CELL) + margin, title + rows + foot
    width = margin + columns * cell_width
    height = head + -(-len(panels) // columns) * cell_height
    dpi = DPI * unit
    figure = Figure(figsize=(width / dpi, height / dpi), dpi=dpi, facecolor='white')
    text = '  →  '.join(_shorten(name, _LONGEST_NAME) for name in names)
    at_head = (margin / width, 1 - margin / 2 / height)
    figure.text(*at_head, text, fontsize=13, weight='bold', va='top', parse_math=False)
    for index, panel in enumerate(panels):
        row, col = divmod(index, columns)
        left, bottom = margin + col * cell_width, height - head - row * cell_height - title - rows
        axes = figure.add_axes((left / width, bottom / height, cols / width, rows / height))
        axes.imshow(panel.pixels, interpolation='nearest', aspect='auto', extent=(0, cols, rows, 0))
        axes.set_axis_off()
        text = _shorten(panel.title, int(cell_width / unit / _CHARACTER_WIDTH))
        axes.set_title(text, loc='left', fontsize=11, pad=7, parse_math=False)
        if panel.add is not None:
            panel.add(axes)
    if sheet.metres_per_pixel is not None:
        _add_scale(figure.axes[0], sheet.metres_per_pixel, width=cols)
    if legend:
        _add_legend(figure, legend, (1, 1 - (head + title) / height))
    # A long legend or head makes the picture larger.
    extent = figure.get_tightbbox()
    right = max(width, np.ceil(extent.x1 * dpi) + margin)
    bottom = min(0, np.floor(extent.y0 * dpi) - margin)
    whole = Bbox(np.array([[0, bottom], [right, height]]) / dpi)
    with new_file(destination, overwrite=overwrite) as temporary:
        figure.savefig(temporary, dpi=dpi, bbox_inches=whole)
    return destination


def _add_scale(axes: 'Axes', metres_per_pixel: float, *, width: int) -> None:
    """Draw a bar of a round number of metres below an image, a quarter of its width at most."""
    longest = metres_per_pixel * width / 4
    power = 10.0 ** np.floor(np.log10(longest))
    metres = next(step * power for step in (5, 2, 1) if step * power <= longest * (1 + 1e-9))
    text = f'{metres / 1000:g} km' if metres >= 1000 else f'{metres:g} m'
    length, unit = metres / metres_per_pixel, axes.figure.dpi / DPI
    level = axes.get_ylim()[0] + 16.5 * unit
    axes.plot(
        (0, length), (level, level), color='0.1', linewidth=3.6, solid_capstyle='butt',
        clip_on=False, scalex=False, scaley=False,
    )  # fmt: skip
    axes.text(length + 8 * unit, level, text, fontsize=10, va='center')


def _add_legend(figure: 'Figure', legend: Sequence[Entry], corner: tuple[float, float]) -> None:
    """Draw a legend with its upper left corner at a place of the figure."""
    squares = swatches([color for _, _, color in legend], [''] * len(legend))
    drawn = figure.legend(
        handles=squares, loc='upper left', bbox_to_anchor=corner, frameon=False,
        fontsize=10, borderpad=0, borderaxespad=0, handlelength=1.6, handleheight=1.2,
    )  # fmt: skip
    numbers = _align([number for number, _, _ in legend])
    for line, number, (_, name, _) in zip(drawn.get_texts(), numbers, legend, strict=True):
        # Neither dollar signs nor a line below the first letter have a meaning.
        line.set(parse_math=False, text=f'{number}  {name}' if number else name)


def _align(numbers: Sequence[str]) -> list[str]:
    """Put spaces before numbers, so that they end below each other; none stay empty."""
    longest = max(numbers, key=len)
    spaces = ''.join('\N{PUNCTUATION SPACE}' if c == ',' else '\N{FIGURE SPACE}' for c in longest)
    return [text and spaces[: len(longest) - len(text)] + text for text in numbers]


def _shorten(text: str, length: int) -> str:
    """Leave out the middle of a long text."""
    if len(text) <= length:
        return text
    return f'{text[: length // 2]}…{text[len(text) - (length - length // 2 - 1) :]}'
