"""Trees from a fine-tuned detector over a georeferenced scene, through the command.

    python -m benchmarks.objects --folder FOLDER --scene OSBS_029.tif --weights backbone.safetensors

FOLDER holds images and their boxes in Pascal VOC files (.xml) of the same names; the scene, a GeoTIFF
among them, is held out. Fine-tunes Faster R-CNN, one class, on the others (with --half also on the
western half of the scene), saves a checkpoint with its record, runs `gersp-geo predict` on the scene and
compares the objects in the file that it writes with the boxes, on the half that was not trained on.
"""

import argparse
import sys
from pathlib import Path
from time import perf_counter
from typing import Any
from xml.etree import ElementTree

import geopandas
import numpy as np
import rasterio
import shapely
import torch
from lightning.pytorch import Trainer
from numpy.typing import NDArray
from torchmetrics.detection import MeanAveragePrecision
from torchvision.ops import box_iou

from benchmarks.detection import STARTS, Scene, read_image, train
from gersp_geo.bands import RGB
from gersp_geo.callbacks import PreprocessingRecord
from gersp_geo.main import main as run_command
from gersp_geo.preprocessing import Preprocessing
from gersp_geo.tasks import ObjectDetection

RECORD = Preprocessing(
    bands=RGB.bands, scale=(RGB.scale,) * 3, mean=RGB.mean, std=RGB.std, dtype='uint8',
    class_names=('tree',), class_colors=((255, 214, 0),),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--folder', type=Path, required=True)
    parser.add_argument('--scene', required=True, help='name of the GeoTIFF in the folder')
    parser.add_argument('--weights', type=Path, help='of the backbone; random without')
    parser.add_argument('--backbone', default='resnet18')
    parser.add_argument('--half', action='store_true', help='train on half of the scene, too')
    parser.add_argument('--steps', type=int, default=300)
    parser.add_argument('--batch-size', type=int, default=4)
    parser.add_argument('--size', type=int, default=160, help='side of a crop')
    parser.add_argument('--enlarge', type=int, default=2, help='factor, here and in prediction')
    parser.add_argument('--regions', type=int, default=64, help='sampled per crop for the box head')
    parser.add_argument('--lr', type=float, default=2e-4)
    parser.add_argument('--score-threshold', type=float, default=0.5)
    parser.add_argument('--iou', type=float, default=0.4, help='from which on an object is found')
    parser.add_argument('--output', type=Path, default=Path('objects-output'))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    held_out, others = load(arguments)
    started = perf_counter()
    start = STARTS[arguments.weights is not None]
    # scene 0 is held out
    task, loss = train([held_out, *others], seed=0, start=start, arguments=arguments)
    print(f'{start}: loss {loss:.3f} after {perf_counter() - started:.0f} s')
    checkpoint = arguments.output / 'trees.ckpt'
    save(task, checkpoint)
    scene = arguments.folder / arguments.scene
    predict(checkpoint, scene, arguments)
    compare(scene, held_out[1], arguments)


def load(arguments: argparse.Namespace) -> tuple[Scene, list[Scene]]:
    """Read what is held out, and what is trained on."""
    held_out, others = None, []
    for boxes in sorted(arguments.folder.glob('*.xml')):
        file = next(f for f in boxes.parent.glob(f'{boxes.stem}.*') if f.suffix in ('.png', '.tif'))
        image, corners = read_image(file), read_boxes(boxes)
        if file.name != arguments.scene:
            others.append((image, corners))
            continue
        middle = image.shape[2] // 2
        is_west = corners.view(-1, 2, 2).mean(1)[:, 0] < middle
        held_out = image, corners[~is_west] if arguments.half else corners
        if arguments.half:
            west = corners[is_west].clamp(max=torch.tensor([middle, image.shape[1]] * 2))
            others.append((image[:, :, :middle], west))
    if held_out is None:
        raise ValueError(f'{arguments.folder} holds no {arguments.scene} with boxes (.xml)')
    return held_out, others


def read_boxes(file: Path) -> torch.Tensor:
    """Read the boxes of a Pascal VOC file, shape (n, 4): left, top, right, bottom."""
    sides = ('xmin', 'ymin', 'xmax', 'ymax')
    found = ElementTree.parse(file).iter('bndbox')
    return torch.tensor([[float(box.findtext(side, 'nan')) for side in sides] for box in found])


def save(task: ObjectDetection, path: Path) -> None:
    """Save a Lightning checkpoint with its record."""
    trainer = Trainer(
        accelerator='cpu', logger=False, callbacks=[PreprocessingRecord(RECORD)],
        enable_checkpointing=False, enable_progress_bar=False,
    )  # fmt: skip
    trainer.strategy.connect(task)
    trainer.save_checkpoint(path)


def predict(checkpoint: Path, scene: Path, arguments: argparse.Namespace) -> None:
    """Run the command."""
    with rasterio.open(scene) as src:
        res = src.res[0] / arguments.enlarge
    words = [
        'predict', checkpoint, scene, '-o', arguments.output / 'trees.gpkg',
        '--preview', arguments.output / 'trees.png', '--res', res, '--size', 512, '--overlap', 192,
        '--score-threshold', arguments.score_threshold, '--overwrite', '--no-progress',
    ]  # fmt: skip
    if code := run_command([str(word) for word in words]):
        sys.exit(code)


def compare(scene: Path, expected: torch.Tensor, arguments: argparse.Namespace) -> None:
    """Print how many boxes were found, and how many objects are boxes."""
    frame = geopandas.read_file(arguments.output / 'trees.gpkg')
    with rasterio.open(scene) as src:
        assert frame.crs == src.crs
        assert shapely.box(*src.bounds).buffer(src.res[0]).covers(shapely.box(*frame.total_bounds))
        found, middle = to_pixels(frame, ~src.transform), src.width // 2
    scores = torch.tensor(frame['score'].to_numpy()).float()
    if arguments.half:
        is_east = found.view(-1, 2, 2).mean(1)[:, 0] >= middle
        found, scores = found[is_east], scores[is_east]
    hits = match(found[scores.argsort(descending=True)], expected, iou=arguments.iou)
    one: dict[str, Any] = {'labels': torch.zeros(len(found), dtype=torch.long)}
    metric = MeanAveragePrecision(iou_thresholds=[0.5], max_detection_thresholds=[1, 10, 1000])
    metric.update(
        [one | {'boxes': found, 'scores': scores}],
        [{'boxes': expected, 'labels': torch.zeros(len(expected), dtype=torch.long)}],
    )
    print(
        f'{len(expected)} boxes, {len(found)} objects; at IoU {arguments.iou}: '
        f'recall {hits / len(expected):.3f}, precision {hits / max(len(found), 1):.3f}; '
        f'AP50 {float(metric.compute()["map_50"]):.3f}'
    )


def to_pixels(frame: geopandas.GeoDataFrame, inverse: rasterio.Affine) -> torch.Tensor:
    """Turn objects into boxes in pixels."""

    def move(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([inverse @ point for point in points]).reshape(-1, 2)

    return torch.from_numpy(shapely.bounds(shapely.transform(frame.geometry, move))).float()


def match(found: torch.Tensor, expected: torch.Tensor, *, iou: float) -> int:
    """Count objects that show a box, each box once, the best objects first."""
    overlaps = box_iou(found, expected)
    hits = 0
    for row in overlaps:
        best = int(row.argmax())
        if row[best] >= iou:
            hits += 1
            overlaps[:, best] = -1
    return hits


if __name__ == '__main__':
    main()
