"""Grids of pictures, and where loggers put them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.loggers import Logger
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..geoio.write import new_file

type Picture = NDArray[np.floating]
"""Red, green and blue in [0, 1], shape (H, W, 3)."""

# Inches of a picture's side, of the row labels, and of the heading over each block
SIDE, LABELS, HEADING = 1.15, 1.25, 0.4


def draw_blocks(blocks: Mapping[str, Mapping[str, Sequence[Picture]]]) -> Figure:
    """Draw pictures in labelled rows, one block of rows below the other.

    Args:
        blocks: Per heading and row label, the pictures from left to right. Pictures of one
            position stand in one column throughout the figure.

    Returns:
        The figure; no window is opened.
    """
    columns = max(len(row) for rows in blocks.values() for row in rows.values())
    heights = [HEADING + SIDE * len(rows) for rows in blocks.values()]
    figure = Figure(figsize=(LABELS + SIDE * columns, sum(heights)), dpi=120)
    parts = figure.subfigures(len(blocks), 1, squeeze=False, height_ratios=heights)[:, 0]
    for part, height, (heading, rows) in zip(parts, heights, blocks.items(), strict=True):
        # margins in inches, so that columns stand one below the other in all blocks
        left = LABELS / figure.get_figwidth()
        part.text(left, 1 - HEADING / 2 / height, heading, va='center', weight='bold', size=11)
        grid = part.subplots(
            len(rows),
            columns,
            squeeze=False,
            gridspec_kw={
                'left': left,
                'right': 1 - 0.12 / figure.get_figwidth(),
                'top': 1 - HEADING / height,
                'bottom': 0.1 / height,
                'wspace': 0.04,
                'hspace': 0.04,
            },
        )
        for axes, (label, pictures) in zip(grid, rows.items(), strict=True):
            for cell in axes:
                cell.set_axis_off()
            for cell, picture in zip(axes, pictures, strict=False):
                cell.imshow(picture, interpolation='nearest')
            axes[0].text(
                -0.08, 0.5, label, transform=axes[0].transAxes, ha='right', va='center', size=10
            )
    return figure


def send_figure(logger: Logger, figure: Figure, *, name: str, step: int) -> None:
    """Hand a figure to a logger, in the way it knows.

    Args:
        logger: One whose experiment has ``add_figure`` (TensorBoard), one with ``log_image``
            (Weights & Biases), else one with a folder, which gets a PNG file; others get nothing.
        figure: The figure.
        name: Its name, also of the PNG file.
        step: Optimiser steps so far.
    """
    known: Any = logger
    if hasattr(known.experiment, 'add_figure'):
        known.experiment.add_figure(name, figure, global_step=step)
    elif hasattr(known, 'log_image'):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        known.log_image(key=name, images=[np.asarray(canvas.buffer_rgba())], step=step)
    elif folder := known.log_dir or known.save_dir:
        # a run that starts anew replaces the picture of the one before
        with new_file(Path(folder) / f'{name}.png', overwrite=True) as path:
            figure.savefig(path, format='png')
