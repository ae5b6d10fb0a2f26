"""One picture that shows what the demonstration did."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..pictures import add_images, paint_classes, swatches

type Curves = Mapping[str, tuple[Sequence[int], Sequence[float]]]
"""Steps and losses of each curve."""

LABELS = {
    'train_contrastive_loss_step': 'contrastive',
    'train_supervised_loss_step': 'supervised',
    'train_loss': 'training',
    'val_loss': 'validation',
}


def draw_report(
    destination: Path,
    *,
    scene: np.ndarray,
    truth: np.ndarray,
    predicted: np.ndarray,
    class_names: Sequence[str],
    class_colors: Sequence[tuple[int, int, int]],
    pretraining: Curves,
    finetuning: Curves,
    chance: float,
    title: str,
) -> None:
    """Draw scene, truth, prediction, legend and loss curves into a PNG file.

    The scene is uint8 of shape (3, rows, cols), both maps hold classes in shape (rows, cols), the
    colours are in [0, 255], and *chance* is the contrastive loss of a student that guesses, in
    nats.
    """
    figure = Figure(figsize=(13, 7.6), dpi=110, layout='constrained')
    FigureCanvasAgg(figure)
    figure.suptitle(f'gersp_geo: {title}', fontsize=15, x=0.01, ha='left', weight='bold')
    top, bottom = np.asarray(figure.subfigures(2, 1, height_ratios=(1.75, 1)))
    pictures = {
        'Scene': np.moveaxis(scene, 0, -1),
        'Truth': paint_classes(truth, class_colors),
        'Prediction': paint_classes(predicted, class_colors),
    }
    add_images(top, pictures)
    legend = swatches(class_colors, class_names)
    top.legend(handles=legend, loc='outside lower center', ncols=len(legend), frameon=False)
    left, right = bottom.subplots(1, 2)
    left.axhline(chance, color='0.5', linestyle=':', label='contrastive, by chance')
    draw_curves(left, pretraining, title='Pre-training: both losses of the student')
    draw_curves(right, finetuning, title='Fine-tuning: cross entropy of a U-Net on that backbone')
    figure.savefig(destination)


def draw_curves(axes: Axes, curves: Curves, *, title: str) -> None:
    """Draw losses by step, with a running mean over the noise of single batches."""
    for name, (steps, values) in curves.items():
        window = max(1, len(values) // 12)
        smooth = np.convolve(values, np.ones(window) / window, mode='valid')
        (line,) = axes.plot(steps[window - 1 :], smooth, linewidth=2, label=LABELS.get(name, name))
        axes.plot(steps, values, color=line.get_color(), alpha=0.25, linewidth=1)
    axes.set_title(title, fontsize=12, loc='left')
    axes.set(xlabel='step', ylabel='loss', ylim=(0, None))
    axes.spines[['top', 'right']].set_visible(False)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
