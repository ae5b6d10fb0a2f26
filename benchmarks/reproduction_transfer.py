"""What the backbones of benchmarks/reproduction.py are worth to segmentation and change, as they are.

    python -m benchmarks.reproduction_transfer WORK FOLDER --runs docs/results

FOLDER holds the unpacked Dubai (7 images, 5 classes) and LEVIR-CD (8 pairs) sets. A linear classifier
reads the first three stages of a backbone, resampled to a quarter of the image, at each place; of two
dates, how far they are apart. Each image is tested by a classifier of the others, and nothing is
chosen. Each result is a row of transfer.csv in the folder of --runs; what is there is not done again.
Ends with a table in Markdown.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageColor
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, jaccard_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.nn import functional as F

from gersp_geo.comparison.intervals import difference
from gersp_geo.comparison.tables import to_percent
from gersp_geo.models.backbones import create_backbone
from gersp_geo.models.fitted_backbones import draw_backbone

from .reproduction import MODEL, SIDE, append, measure
from .reproduction_results import choose_baseline

METHODS = (
    'mean-colours', 'random', 'supervised-natural', 'moco-remote', 'moco-union',
    'moco-union-released', 'gersp-released',
)  # fmt: skip
SEEDS = (0, 1, 2)
COLUMNS = ('data', 'method', 'seed', 'value')
# building, land, road, vegetation, water; what is left has no label
COLORS = ('#3C1098', '#8429F6', '#6EC1E4', '#FEDD3A', '#E2A929')
UNLABELLED = 255
STEP = 4
"""Pixels of the image from one place to the next."""

PLACES = 1000
"""Drawn from each image to train on."""

type Describe = Callable[[Tensor], Tensor]
"""From an image, as read, shape (3, rows, cols), to features (D, rows / STEP, cols / STEP)."""

type Places = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Features and classes of the places of an image that have one."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('work', type=Path)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--runs', type=Path, required=True)
    options = parser.parse_args()
    table = options.runs / 'transfer.csv'
    done = {(row['data'], row['method'], row['seed']) for row in read(table)}
    for name, (find, judge) in SETS.items():
        images = find(options.folder)
        for method in METHODS:
            for seed in SEEDS[: 1 if method == 'mean-colours' else None]:
                if (name, method, str(seed)) in done:
                    continue
                describe = open_method(options.work, method, seed, images)
                if describe is not None:
                    value = f'{judge(images, describe):.4f}'
                    row = dict(zip(COLUMNS, (name, method, seed, value), strict=True))
                    append(table, [row], COLUMNS)
    print(tabulate(read(table), choose_baseline(options.runs)))


def read(table: Path) -> list[dict[str, str]]:
    """Read the rows that are known."""
    if not table.exists():
        return []
    with table.open(newline='') as file:
        return list(csv.DictReader(file))


def open_method(
    work: Path, method: str, seed: int, images: Sequence[Sequence[Tensor]]
) -> Describe | None:
    """Open what describes places; None for a backbone that is not there."""
    if method == 'mean-colours':
        return partial(F.avg_pool2d, kernel_size=STEP)
    if method == 'random':
        backbone: Any = draw_backbone(MODEL, in_channels=3, size=SIDE, seed=seed)
    else:
        found = next((work / 'backbones').glob(f'{method}-final-{seed}-*.safetensors'), None)
        if found is None:
            return None
        backbone = create_backbone(MODEL, in_channels=3, size=SIDE)
        backbone.load_state_dict(load_file(found))
    backbone.eval()
    pixels = torch.cat([one.flatten(1) for *dates, _ in images for one in dates], dim=1)
    mean, std = (value[:, None, None] for value in measure(pixels[None, :, :, None]))

    @torch.no_grad()
    def describe(image: Tensor) -> Tensor:
        stages = backbone.forward_intermediates(
            ((image - mean) / std)[None], indices=[1, 2, 3], intermediates_only=True
        )
        side = [length // STEP for length in image.shape[1:]]
        return torch.cat([F.interpolate(one, side, mode='bilinear')[0] for one in stages])

    return describe


def find_dubai(folder: Path) -> list[Sequence[Tensor]]:
    """Read images, cut to whole steps of the last stage, and their classes."""
    return [
        (read_image(path), read_colors(path.parents[1] / 'masks' / f'{path.stem}.png'))
        for path in sorted(folder.glob('**/dubai_tile1/images/*.jpg'))
    ]


def find_levir(folder: Path) -> list[Sequence[Tensor]]:
    """Read pairs of images, and whether a place has changed."""
    found: list[Sequence[Tensor]] = []
    for path in sorted(folder.glob('**/levir_samples/A/*.png')):
        before, after, mask = (
            read_image(path.parents[1] / name / path.name) for name in ('A', 'B', 'label')
        )
        found.append((before, after, (mask[0] > 127).long()))
    return found


def read_image(path: Path) -> Tensor:
    """Read an image, shape (3, rows, cols), float32 from 0 to 255."""
    pixels = torch.from_numpy(np.array(Image.open(path).convert('RGB'))).permute(2, 0, 1).float()
    rows, cols = (length // 16 * 16 for length in pixels.shape[1:])
    return pixels[:, :rows, :cols]


def read_colors(path: Path) -> Tensor:
    """Read classes, shape (rows, cols), from colours."""
    pixels = read_image(path)
    classes = torch.full(pixels.shape[1:], UNLABELLED)
    for index, color in enumerate(COLORS):
        wanted = torch.tensor(ImageColor.getrgb(color))[:, None, None]
        classes[(pixels == wanted).all(dim=0)] = index
    return classes


def segment(images: Sequence[Sequence[Tensor]], describe: Describe) -> float:
    """Mean IoU of the classes."""
    places = [take_places(describe(image), classes) for image, classes in images]
    tested = [(model.predict(features), truth) for model, (features, truth) in hold_out(places)]
    found, truth = (np.concatenate(parts) for parts in zip(*tested, strict=True))
    return float(jaccard_score(truth, found, average='macro'))


def find_change(images: Sequence[Sequence[Tensor]], describe: Describe) -> float:
    """Average precision of change."""
    places = [
        take_places((describe(after) - describe(before)).abs(), mask)
        for before, after, mask in images
    ]
    tested = [
        (model.predict_proba(features)[:, 1], truth)
        for model, (features, truth) in hold_out(places)
    ]
    found, truth = (np.concatenate(parts) for parts in zip(*tested, strict=True))
    return float(average_precision_score(truth, found))


def take_places(features: Tensor, classes: Tensor) -> Places:
    """Take the places with a class, by the pixel in their middle."""
    middle = classes[STEP // 2 :: STEP, STEP // 2 :: STEP]
    known = middle != UNLABELLED
    return features[:, known].T.numpy(), middle[known].numpy()


def hold_out(places: Sequence[Places]) -> Iterator[tuple[Any, Places]]:
    """Train on places of all images but one, image by image."""
    random = np.random.default_rng(0)
    drawn = []
    for features, classes in places:
        chosen = random.permutation(len(classes))[:PLACES]
        drawn.append((features[chosen], classes[chosen]))
    for index, tested in enumerate(places):
        others = [one for place, one in enumerate(drawn) if place != index]
        features, classes = (np.concatenate(parts) for parts in zip(*others, strict=True))
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=200))
        yield model.fit(features, classes), tested


SETS = {'Dubai, mean IoU': (find_dubai, segment), 'LEVIR-CD, AP': (find_levir, find_change)}


def tabulate(rows: Sequence[dict[str, str]], baseline: str) -> str:
    """Write the mean over seeds of each method, and its difference to the baseline."""
    values = defaultdict(list)
    for row in rows:
        values[row['data'], row['method']].append([float(row['value'])])
    heads = [f'{name}{end}' for name in SETS for end in ('', ', difference')]
    lines = [['weights', 'seeds', *heads], ['---', '--:', *['---'] * len(heads)]]
    for method in METHODS:
        cells, seeds = [], 0
        for name in SETS:
            ours, theirs = (np.array(values.get((name, one), [])) for one in (method, baseline))
            seeds = max(seeds, len(ours))
            cells.append(f'{100 * ours.mean():.1f}' if len(ours) else '')
            is_compared = len(ours) and len(theirs) and method != baseline
            cells.append(to_percent(difference(ours, theirs), sign=True) if is_compared else '')
        lines.append([f'`{method}`', str(seeds), *cells])
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


if __name__ == '__main__':
    main()
