"""The picture of docs/results.md: losses of the reproduction, and what each seed is worth.

    python -m benchmarks.reproduction_picture --runs docs/results -o docs/images/reproduction.png

Draws what lies in the folder of --runs, and needs neither images nor backbones.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from numpy.typing import NDArray

from gersp_geo.comparison.results import ResultsTable

from .reproduction import IMAGES
from .reproduction_results import LABELS, find_runs, read_rows

COLORS = {
    'gersp-from-supervised': '#0a3945',
    'gersp-released-gentle': '#12b886',
    'gersp-released': '#0f6e84',
    'gersp-paper': '#58a6b5',
    'supervised-natural-gentle': '#f2a07b',
    'supervised-natural': '#c8553d',
    'moco-union-from-supervised': '#3b2a5c',
    'moco-union-released-gentle': '#d6336c',
    'moco-union': '#6b4e9b',
    'moco-union-released': '#b39ddb',
    'moco-remote': '#d19a2e',
    'moco-natural': '#9a9a9a',
}
"""Of methods whose losses are drawn; their names beside the seeds tell which is which."""

OTHER = '#444444'
LOSSES = {'train_contrastive_loss': 'contrastive loss', 'train_supervised_loss': 'supervised loss'}
TITLES = {'eurosat_rgb': 'EuroSAT', 'ucmerced': 'UC Merced'}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--runs', type=find_runs, required=True)
    parser.add_argument('-o', '--output', type=Path, required=True)
    options = parser.parse_args()
    mpl.rcParams.update({'font.size': 9, 'axes.spines.top': False, 'axes.spines.right': False})
    figure, panels = plt.subplots(1, 4, figsize=(14, 3.8), layout='constrained')
    for panel, column in zip(panels, LOSSES, strict=False):
        draw_loss(panel, options.runs, column)
    for panel, name in zip(panels[2:], TITLES, strict=True):
        draw_seeds(panel, options.runs, name)
    figure.savefig(options.output, dpi=110)


def draw_loss(panel: Axes, runs: Path, column: str) -> None:
    """Draw the loss of each method: the mean of its seeds, smoothed."""
    found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in read_rows(runs / 'curves.csv'):
        method, is_final, _ = row['run'].partition('-final-')
        if is_final and row[column] and method in COLORS:
            found[method][int(row['step'])].append(float(row[column]))
    for method in (name for name in COLORS if name in found):
        seeds = max(map(len, found[method].values()))
        points = sorted((step, np.mean(v)) for step, v in found[method].items() if len(v) == seeds)
        steps, losses = np.array(points).T
        panel.plot(steps * IMAGES / 1000, smooth(losses), color=COLORS[method])
    panel.set(title=LOSSES[column], xlabel='thousand images seen')


def smooth(values: NDArray[np.float64], width: int = 5) -> NDArray[np.float64]:
    """Average over neighbours, fewer at the ends."""
    ones = np.ones(width)
    return np.convolve(values, ones, 'same') / np.convolve(np.ones_like(values), ones, 'same')


def draw_seeds(panel: Axes, runs: Path, name: str) -> None:
    """Draw a point for each seed of each method, the best mean on top."""
    found = defaultdict(list)
    for finding in ResultsTable(runs / name).list_all():
        if finding.protocol == 'few-shot':
            found[finding.candidate.label].append(100 * finding.accuracy.value)
    order = sorted(found, key=lambda method: float(np.mean(found[method])))
    for place, method in enumerate(order):
        color = COLORS.get(method, OTHER)
        panel.plot(found[method], [place] * len(found[method]), 'o', color=color, alpha=0.7, ms=6)
        panel.plot(np.mean(found[method]), place, '|', color=color, ms=16)
    panel.set_yticks(range(len(order)), order)
    for text, method in zip(panel.get_yticklabels(), order, strict=True):
        text.set_color(COLORS.get(method, OTHER))
    panel.grid(axis='x', alpha=0.3)
    panel.set(
        title=f'{TITLES[name]}, {LABELS[name]} labels per class', xlabel='% right; a seed each'
    )


if __name__ == '__main__':
    main()
