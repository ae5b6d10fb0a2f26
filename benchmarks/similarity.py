"""Search for patches that look alike: share of hits of the same class among the first ten.

    python benchmarks/similarity.py --images FOLDER --size 64 --backbone backbone.safetensors

FOLDER holds one sub-folder of images per class. They are laid out as a mosaic, a GeoTIFF with a CRS, in
which each image is one patch; `embed_scene` gives every patch a vector, and each is then searched for
among all others. Beside the backbone: the same network with random weights, BatchNorm re-estimated on
1,024 of the images, and 4 x 4 mean colours. Vectors are compared by the cosine, as they are and after
their mean was subtracted; the better of both counts, for each. Exits with 1 if the backbone is not
above both floors.
"""

import argparse
import copy
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import geopandas
import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from rasterio.transform import from_origin
from torch import Tensor, nn
from torch.nn import functional as F

from gersp_geo.bands import RGB
from gersp_geo.datasets.decoding import decode_image
from gersp_geo.inference import embed_scene
from gersp_geo.models.backbones import open_backbone
from gersp_geo.preprocessing import Preprocessing

HITS = 10
RECORD = Preprocessing(
    bands=RGB.bands, scale=(RGB.scale,) * 3, mean=RGB.mean, std=RGB.std, dtype='uint8'
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--images', type=Path, required=True)
    parser.add_argument('--size', type=int, required=True, help='side of a patch of the mosaic')
    parser.add_argument('--backbone', type=Path, required=True)
    parser.add_argument('--seeds', type=int, default=3, help='of random weights')
    options = parser.parse_args()
    files = sorted(p for p in options.images.glob('*/*') if p.suffix.lower() in ('.jpg', '.png'))
    module, weights = open_backbone(options.backbone, size=options.size)
    record = weights.preprocessing or RECORD
    with TemporaryDirectory() as folder:
        mosaic, classes = write_mosaic(Path(folder, 'mosaic.tif'), files, size=options.size)
        kinds = len({file.parent for file in files})
        print(f'{len(files)} images of {kinds} classes, {options.size} px; first {HITS} hits')
        sample = read_sample(files, record, size=options.size)
        models: dict[str, Callable[[Tensor], Tensor]] = {
            'backbone': module,
            '4 x 4 mean colours': mean_colours,
        }
        for seed in range(options.seeds):
            models[f'random weights {seed}'] = randomised(module, sample, seed=seed)
        shares = {}
        for name, model in models.items():
            started = perf_counter()
            table = Path(folder, f'{name}.parquet')
            embed_scene(
                model, mosaic, table, size=options.size, preprocessing=record, device='cpu',
                progress=False,
            )  # fmt: skip
            seconds = perf_counter() - started
            plain, centred = (share_of_hits(table, classes, center=c) for c in (False, True))
            shares[name] = max(plain, centred)
            print(f'| {name} | {plain:.2%} | {centred:.2%} | {seconds:.0f} s |', flush=True)
    floors = [share for name, share in shares.items() if name != 'backbone']
    sys.exit(shares['backbone'] <= max(floors))


def write_mosaic(path: Path, files: list[Path], *, size: int) -> tuple[Path, NDArray[np.str_]]:
    """Lay images out from left to right; returns the class of each cell, '' for empty ones."""
    cols = int(np.ceil(np.sqrt(len(files))))
    rows = -(-len(files) // cols)
    pixels = np.zeros((3, rows * size, cols * size), dtype=np.uint8)
    classes = np.full((rows, cols), '', dtype='<U40')
    for place, file in enumerate(files):
        row, col = divmod(place, cols)
        there = slice(row * size, (row + 1) * size), slice(col * size, (col + 1) * size)
        pixels[:, *there] = decode_image(file, size=size).numpy()
        classes[row, col] = file.parent.name
    with rasterio.open(
        path, 'w', driver='GTiff', count=3, height=rows * size, width=cols * size, dtype='uint8',
        crs='EPSG:32632', transform=from_origin(500_000, 5_000_000, 1, 1), tiled=True,
    ) as dst:  # fmt: skip
        dst.write(pixels)
    return path, classes


def read_sample(files: list[Path], record: Preprocessing, *, size: int) -> Tensor:
    """Prepare up to 1,024 images."""
    chosen = np.random.default_rng(0).permutation(len(files))[:1024]
    images = torch.stack([decode_image(files[index], size=size) for index in chosen])
    mean, std = (torch.tensor(values)[:, None, None] for values in (record.mean, record.std))
    return (images / 255 - mean) / std


def mean_colours(images: Tensor) -> Tensor:
    """Average 4 x 4 parts."""
    return F.adaptive_avg_pool2d(images, 4).flatten(1)


@torch.no_grad()
def randomised(backbone: nn.Module, sample: Tensor, *, seed: int) -> nn.Module:
    """Draw new weights, with the statistics of BatchNorm that belong to them."""
    torch.manual_seed(seed)
    model = copy.deepcopy(backbone)
    for module in model.modules():
        if callable(reset := getattr(module, 'reset_parameters', None)):
            reset()
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')
        if isinstance(module, nn.BatchNorm2d):
            # a plain average over all batches
            module.momentum = None
    model.train()
    for batch in sample.split(128):
        model(batch)
    return model.eval()


def share_of_hits(table: Path, classes: NDArray[np.str_], *, center: bool) -> float:
    """Search for each patch among all others, by the cosine."""
    frame = geopandas.read_parquet(table)
    labels = classes[frame['row'], frame['col']]
    vectors = torch.from_numpy(np.stack(frame['embedding'].to_list()))[labels != '']
    labels = labels[labels != '']
    if center:
        vectors = vectors - vectors.mean(0)
    vectors = F.normalize(vectors, dim=1)
    is_same = []
    for start in range(0, len(vectors), 1000):
        closeness = vectors[start : start + 1000] @ vectors.T
        # not itself
        closeness[torch.arange(len(closeness)), start + torch.arange(len(closeness))] = -2
        hits = closeness.topk(HITS).indices.numpy()
        is_same.append(labels[hits] == labels[start : start + len(hits), None])
    return float(np.concatenate(is_same).mean())


if __name__ == '__main__':
    main()
