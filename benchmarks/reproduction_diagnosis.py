"""How much of a backbone of benchmarks/reproduction.py is filters, and how much statistics.

    python -m benchmarks.reproduction_diagnosis WORK --runs docs/results

BatchNorm of a student of GeRSP keeps statistics of both streams, that of a single stream statistics
of one. Validation images of EuroSAT are classified by five neighbours with the statistics of the
training (runs.csv), and with those of EuroSAT's training images in their place. Each result is a
row of statistics_of_eurosat.csv in the folder of --runs; what is there is not done again. Ends with
a table in Markdown.
"""

import argparse
from collections import defaultdict
from pathlib import Path
from statistics import mean

import torch
from safetensors.torch import load_file
from torch import nn

from gersp_geo.models.backbones import create_backbone

from .reproduction import MODEL, SIDE, append, measure, open_images, validate
from .reproduction_results import find_runs, name_run, read_rows, write_table

COLUMNS = ('run', 'val_knn5')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('work', type=Path)
    parser.add_argument('--runs', type=find_runs, required=True)
    options = parser.parse_args()
    table = options.runs / 'statistics_of_eurosat.csv'
    trained = {
        name_run(row): float(row['val_knn5'])
        for row in read_rows(options.runs / 'runs.csv')
        if row['role'] == 'final'
    }
    done = {row['run'] for row in read_rows(table)}
    for name in trained:
        path = options.work / 'backbones' / f'{name}.safetensors'
        if name in done or not path.exists():
            continue
        backbone = create_backbone(MODEL, in_channels=3, size=SIDE)
        backbone.load_state_dict(load_file(path))
        take_statistics(backbone, options.work)
        value = validate(backbone, options.work)
        append(table, [{'run': name, 'val_knn5': f'{value:.4f}'}], COLUMNS)
    print(tabulate(trained, {row['run']: float(row['val_knn5']) for row in read_rows(table)}))


@torch.no_grad()
def take_statistics(backbone: nn.Module, work: Path) -> None:
    """Give BatchNorm the means and variances of 2,048 of EuroSAT's training images."""
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            # all batches count alike
            module.momentum = None
    images, _ = open_images(work / 'train.tsv')
    pixels = images.float()
    center, spread = (value[:, None, None] for value in measure(pixels))
    backbone.train()
    # in an order of its own, as the table is sorted by class
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    for rows in order[:2048].split(128):
        backbone(((pixels[rows] - center) / spread).to(memory_format=torch.channels_last))
    backbone.eval()


def tabulate(trained: dict[str, float], changed: dict[str, float]) -> str:
    """Write the means over seeds of each method, with its own statistics and with EuroSAT's.

    Args:
        trained: Run to share of validation images that are right.
        changed: The same, with the statistics of EuroSAT.
    """
    methods = defaultdict(list)
    for run, value in changed.items():
        methods[run.partition('-final-')[0]].append((trained[run], value))
    rows = [['weights', 'seeds', 'as trained', 'of EuroSAT'], ['---', *['--:'] * 3]]
    for name, seeds in sorted(methods.items()):
        means = [f'{100 * mean(values):.1f}' for values in zip(*seeds, strict=True)]
        rows.append([f'`{name}`', str(len(seeds)), *means])
    return write_table(rows)


if __name__ == '__main__':
    main()
