"""Detection from a pre-trained backbone and from random weights, on scenes with boxes.

    python benchmarks/detection.py --scenes FOLDER --boxes CSV --weights backbone.safetensors

FOLDER holds images; CSV has the columns image_id (file name), class and bounds, "(xmin, ymin, xmax,
ymax)" in pixels. Faster R-CNN, one class. Seed k holds scene k out for testing, and decides initial
values, crops and their order; both starts see the same crops. Crops are enlarged: the smallest
anchors are of 32 px. Prints mAP50 over squares of the held-out scene, the same for both starts.
"""

import argparse
import ast
import csv
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from lightning.pytorch import seed_everything
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.detection import MeanAveragePrecision

from gersp_geo.bands import RGB
from gersp_geo.tasks import ObjectDetection

type Scene = tuple[Tensor, Tensor]
STARTS = ('random', 'pre-trained')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--scenes', type=Path, required=True)
    parser.add_argument('--boxes', type=Path, required=True)
    parser.add_argument('--weights', type=Path, required=True)
    parser.add_argument('--backbone', default='resnet18')
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--steps', type=int, default=200)
    parser.add_argument('--batch-size', type=int, default=4)
    parser.add_argument('--size', type=int, default=96, help='side of a crop')
    parser.add_argument('--enlarge', type=int, default=2, help='factor')
    parser.add_argument('--regions', type=int, default=64, help='sampled per crop for the box head')
    parser.add_argument('--squares', type=int, default=100, help='at most, for testing')
    parser.add_argument('--lr', type=float, default=2e-4)
    arguments = parser.parse_args()
    scenes = load_scenes(arguments.scenes, arguments.boxes)
    found: dict[str, list[float]] = {start: [] for start in STARTS}
    print('| seed | start | last loss | mAP50 | seconds |\n|--:|---|--:|--:|--:|', flush=True)
    for seed in range(arguments.seeds):
        for start in STARTS:
            begin = perf_counter()
            task, loss = train(scenes, seed=seed, start=start, arguments=arguments)
            score = evaluate(task, scenes[seed % len(scenes)], arguments=arguments)
            found[start].append(score)
            seconds = perf_counter() - begin
            print(f'| {seed} | {start} | {loss:.3f} | {score:.3f} | {seconds:.0f} |', flush=True)
    for start, scores in found.items():
        spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
        print(f'{start}: mAP50 {statistics.mean(scores):.3f}, standard deviation {spread:.3f}')
    sys.exit(statistics.mean(found['pre-trained']) < statistics.mean(found['random']))


def load_scenes(folder: Path, table: Path) -> list[Scene]:
    """Read images, normalised, shape (3, H, W), and their boxes, shape (N, 4)."""
    boxes: dict[str, list[tuple[float, ...]]] = {}
    with table.open() as lines:
        for row in csv.DictReader(lines):
            boxes.setdefault(row['image_id'], []).append(ast.literal_eval(row['bounds']))
    scenes = []
    for name, corners in sorted(boxes.items()):
        image = read_image(next(folder.glob(f'{Path(name).stem}.*')))
        scenes.append((image, torch.tensor(corners, dtype=torch.float32)))
    return scenes


def read_image(file: Path) -> Tensor:
    """Read an image, normalised, shape (3, H, W)."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (RGB.mean, RGB.std))
    pixels = torch.from_numpy(np.array(Image.open(file).convert('RGB'))).permute(2, 0, 1)
    return (pixels / 255 - mean) / std


def train(
    scenes: list[Scene], *, seed: int, start: str, arguments: argparse.Namespace
) -> tuple[ObjectDetection, float]:
    """Fine-tune on all scenes but one; returns the task and the mean loss of the last 20 steps."""
    seed_everything(seed, verbose=False)
    task = ObjectDetection(
        'faster-rcnn', arguments.backbone, arguments.weights if start == 'pre-trained' else None,
        num_classes=2, trainable_layers=5,
    )  # fmt: skip
    task.train()
    task.model.roi_heads.fg_bg_sampler.batch_size_per_image = arguments.regions
    training = [scene for number, scene in enumerate(scenes) if number != seed % len(scenes)]
    generator = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(task.parameters(), lr=arguments.lr)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, arguments.lr, total_steps=arguments.steps
    )
    losses = []
    for step in range(arguments.steps):
        crops = [
            draw_crop(training, generator, arguments.size) for _ in range(arguments.batch_size)
        ]
        images, boxes = zip(*crops, strict=True)
        labels = [torch.ones(len(corners), dtype=torch.long) for corners in boxes]
        batch: dict[str, Any] = {
            'image': enlarge(torch.stack(images), arguments.enlarge),
            'bbox_xyxy': [corners * arguments.enlarge for corners in boxes],
            'label': labels,
        }
        loss = task.training_step(batch, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return task, statistics.mean(losses[-20:])


def draw_crop(scenes: list[Scene], generator: np.random.Generator, size: int) -> Scene:
    """Draw a crop around some box, flipped at random."""
    image, corners = scenes[generator.integers(len(scenes))]
    center = corners[generator.integers(len(corners))].view(2, 2).mean(0)
    sides = torch.tensor([image.shape[2], image.shape[1]])
    corner = center - size * torch.from_numpy(generator.uniform(0.1, 0.9, 2))
    left, top = (int(v) for v in corner.clamp(min=0).minimum(sides - size))
    crop, inside = cut(image, corners, left=left, top=top, size=size)
    if generator.random() < 0.5:
        crop = crop.flip(2)
        inside = torch.stack(
            [size - inside[:, 2], inside[:, 1], size - inside[:, 0], inside[:, 3]], 1
        )
    return crop, inside


def enlarge(images: Tensor, factor: int) -> Tensor:
    """Interpolate bilinearly."""
    return F.interpolate(images, scale_factor=factor, mode='bilinear')


def cut(image: Tensor, corners: Tensor, *, left: int, top: int, size: int) -> Scene:
    """Cut a square, with the boxes of which it shows the centre."""
    moved = corners - torch.tensor([left, top, left, top])
    centers = moved.view(-1, 2, 2).mean(1)
    inside = moved[((centers > 0) & (centers < size)).all(1)].clamp(0, size)
    return image[:, top : top + size, left : left + size], inside


@torch.no_grad()
def evaluate(task: ObjectDetection, scene: Scene, *, arguments: argparse.Namespace) -> float:
    """Compute mAP50 over squares of a scene, those with boxes first."""
    task.eval()
    metric = MeanAveragePrecision(iou_thresholds=[0.5], max_detection_thresholds=[1, 10, 300])
    chosen = sorted(squares(scene, arguments.size), key=lambda square: -min(len(square[1]), 1))
    for crop, corners in chosen[: arguments.squares]:
        predicted = task(enlarge(crop[None], arguments.enlarge))
        labels = torch.ones(len(corners), dtype=torch.long)
        target = {'boxes': corners * arguments.enlarge, 'labels': labels}
        metric.update(predicted, [target])
    return float(metric.compute()['map_50'])


def squares(scene: Scene, size: int) -> Iterator[Scene]:
    """Cut a scene into squares side by side."""
    image, corners = scene
    for top in range(0, image.shape[1] - size + 1, size):
        for left in range(0, image.shape[2] - size + 1, size):
            yield cut(image, corners, left=left, top=top, size=size)


if __name__ == '__main__':
    main()
