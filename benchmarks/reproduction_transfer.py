"""What backbones of benchmarks/reproduction.py are worth to maps, change and objects, as they are.

    python -m benchmarks.reproduction_transfer WORK FOLDER --runs docs/results

FOLDER holds the unpacked sets of Dubai (7 images, 5 classes), LEVIR-CD (8 pairs) and Airbus (4
scenes with boxes of oil tanks). A linear classifier reads the first three stages of a backbone,
resampled to a quarter of the image, at each place; of two dates, how far they are apart. Objects are
the points where it scores highest: as features know 16 px at best and tanks are of 14 to 48 px, boxes
are not asked for. Each image is tested by a classifier of the others, and nothing is chosen. Each
result is a row of transfer.csv in the folder of --runs; what is there is not done again. Ends with a
table in Markdown.
"""

import argparse
import ast
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

from gersp_geo.accuracy.objects.average_precision import precision_at_recall
from gersp_geo.comparison.intervals import difference
from gersp_geo.comparison.tables import to_percent
from gersp_geo.models.backbones import create_backbone
from gersp_geo.models.fitted_backbones import draw_backbone

from .reproduction import MODEL, SIDE, append, measure
from .reproduction_results import choose_baseline, find_runs, read_rows, write_table

METHODS = (
    'mean-colours', 'random', 'supervised-natural', 'moco-remote', 'moco-union',
    'moco-union-released', 'gersp-released', 'moco-union-from-supervised', 'gersp-from-supervised',
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

BACKGROUND = 10_000
"""Places without an object, drawn from each scene: most look like nothing that is sought."""

SQUARE = 1280
"""Side of what is taken of a scene for objects, in pixels: a whole one takes minutes."""

FOUND = 1000
"""Points that are found in a square."""

type Describe = Callable[[Tensor], Tensor]
"""From an image, as read, shape (3, rows, cols), to features (D, rows / STEP, cols / STEP)."""

type Places = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Features and classes of the places of an image that have one."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('work', type=Path)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--runs', type=find_runs, required=True)
    options = parser.parse_args()
    table = options.runs / 'transfer.csv'
    done = {(row['data'], row['method'], row['seed']) for row in read_rows(table)}
    for name, (read, judge) in SETS.items():
        images = read(options.folder)
        if not images:
            raise SystemExit(f'{options.folder} must hold the images of {name}; unpack them there')
        for method in METHODS:
            for seed in SEEDS[: 1 if method == 'mean-colours' else None]:
                if (name, method, str(seed)) in done:
                    continue
                describe = open_method(options.work, method, seed, images)
                if describe is not None:
                    value = f'{judge(images, describe):.4f}'
                    row = dict(zip(COLUMNS, (name, method, seed, value), strict=True))
                    append(table, [row], COLUMNS)
    print(tabulate(read_rows(table), choose_baseline(options.runs)))


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


def read_dubai(folder: Path) -> list[Sequence[Tensor]]:
    """Read images, cut to whole steps of the last stage, and their classes."""
    return [
        (read_image(path), read_colors(path.parents[1] / 'masks' / f'{path.stem}.png'))
        for path in sorted(folder.glob('**/dubai_tile1/images/*.jpg'))
    ]


def read_levir(folder: Path) -> list[Sequence[Tensor]]:
    """Read pairs of images, and whether a place has changed."""
    found: list[Sequence[Tensor]] = []
    for path in sorted(folder.glob('**/levir_samples/A/*.png')):
        before, after, mask = (
            read_image(path.parents[1] / name / path.name) for name in ('A', 'B', 'label')
        )
        found.append((before, after, (mask[0] > 127).long()))
    return found


def read_airbus(folder: Path) -> list[Sequence[Tensor]]:
    """Read the squares of scenes with most boxes, and those (xmin, ymin, xmax, ymax), shape (N, 4)."""
    boxes = defaultdict(list)
    for table in folder.glob('**/airbus_oil/annotations.csv'):
        for row in read_rows(table):
            boxes[row['image_id']].append(ast.literal_eval(row['bounds']))
    return [
        cut_square(read_image(path), torch.tensor(boxes[path.stem], dtype=torch.float32))
        for path in sorted(folder.glob('**/airbus_oil/images/*.jpg'))
    ]


def cut_square(scene: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Cut the square with most whole boxes; those that it cuts through count as background."""
    corners = [
        torch.tensor([left, top])
        for top in range(0, scene.shape[1] - SQUARE + 1, 160)
        for left in range(0, scene.shape[2] - SQUARE + 1, 160)
    ]
    inside = [
        (boxes[:, :2] >= corner).all(dim=1) & (boxes[:, 2:] <= corner + SQUARE).all(dim=1)
        for corner in corners
    ]
    chosen = max(range(len(corners)), key=lambda index: int(inside[index].sum()))
    left, top = corners[chosen].tolist()
    square = scene[:, top : top + SQUARE, left : left + SQUARE]
    return square, boxes[inside[chosen]] - torch.tensor([left, top, left, top])


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


def judge_classes(images: Sequence[Sequence[Tensor]], describe: Describe) -> float:
    """Mean IoU of the classes, from 0 to 1."""
    places = [take_places(describe(image), classes) for image, classes in images]
    tested = [(model.predict(features), truth) for model, (features, truth) in hold_out(places)]
    found, truth = (np.concatenate(parts) for parts in zip(*tested, strict=True))
    return float(jaccard_score(truth, found, average='macro'))


def judge_change(images: Sequence[Sequence[Tensor]], describe: Describe) -> float:
    """Average precision of change, from 0 to 1."""
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
        yield fit_others(drawn, index), tested


def fit_others(drawn: Sequence[Places], index: int) -> Any:
    """Fit a linear classifier to the places of all images but one."""
    others = [one for place, one in enumerate(drawn) if place != index]
    features, classes = (np.concatenate(parts) for parts in zip(*others, strict=True))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=200))
    return model.fit(features, classes)


def judge_objects(scenes: Sequence[Sequence[Tensor]], describe: Describe) -> float:
    """Average precision of points in boxes, from 0 to 1."""
    random = np.random.default_rng(0)
    places = [(describe(scene), boxes) for scene, boxes in scenes]
    drawn = [draw_places(*one, random) for one in places]
    rights, scores = [], []
    for index, (features, boxes) in enumerate(places):
        points, found = find_points(features, fit_others(drawn, index))
        rights.append(judge_points(points, boxes))
        scores.append(found)
    references = sum(len(boxes) for _, boxes in scenes)
    return float(
        precision_at_recall(np.concatenate(rights), np.concatenate(scores), references).mean()
    )


def draw_places(features: Tensor, boxes: Tensor, random: np.random.Generator) -> Places:
    """Take the places in the middle half of a box, and draw others outside of all."""
    inside = torch.zeros(features.shape[1:], dtype=torch.bool)
    middle = inside.clone()
    for left, top, right, bottom in boxes.tolist():
        inside[span(top, bottom, 1.0), span(left, right, 1.0)] = True
        middle[span(top, bottom, 0.5), span(left, right, 0.5)] = True
    background = (~inside).nonzero().numpy()
    objects = middle.nonzero().numpy()
    chosen = random.permutation(len(background))[:BACKGROUND]
    rows, cols = np.concatenate([background[chosen], objects]).T
    return features[:, rows, cols].T.numpy(), middle[rows, cols].long().numpy()


def span(first: float, last: float, share: float) -> slice:
    """Places of the middle part of a side, one at least."""
    middle, half = (first + last) / 2, (last - first) / 2 * share
    begin = int((middle - half) / STEP)
    return slice(begin, max(begin + 1, round((middle + half) / STEP)))


def find_points(features: Tensor, classifier: Any) -> tuple[Tensor, NDArray[np.float64]]:
    """Find the places that score highest within 8 px, best first: (x, y) in pixels, and scores."""
    found = classifier.decision_function(features.flatten(1).T.numpy())
    scores = torch.from_numpy(found).view(1, *features.shape[1:])
    scores = F.avg_pool2d(scores, 3, stride=1, padding=1, count_include_pad=False)
    is_peak = scores == F.max_pool2d(scores, 5, stride=1, padding=2)
    highest = scores.where(is_peak, -torch.inf).flatten().topk(FOUND)
    rows, cols = highest.indices // scores.shape[2], highest.indices % scores.shape[2]
    return (torch.stack([cols, rows], dim=1) + 0.5) * STEP, highest.values.numpy()


def judge_points(points: Tensor, boxes: Tensor) -> NDArray[np.bool_]:
    """Whether each point, best first, is in a box in which none was before."""
    inside = ((points[:, None] > boxes[:, :2]) & (points[:, None] < boxes[:, 2:])).all(dim=2)
    free = torch.ones(len(boxes), dtype=torch.bool)
    right = np.zeros(len(points), dtype=bool)
    for index, hit in enumerate(inside):
        taken = (hit & free).nonzero()
        if len(taken):
            right[index], free[taken[0]] = True, False
    return right


SETS = {
    'Dubai, mean IoU': (read_dubai, judge_classes),
    'LEVIR-CD, AP': (read_levir, judge_change),
    'Airbus, AP of points': (read_airbus, judge_objects),
}


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
    return write_table(lines)


if __name__ == '__main__':
    main()
