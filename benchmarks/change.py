"""Change between two real dates: fine-tune on one part of a pair, predict the whole, score the rest.

    python benchmarks/change.py OSCD/images/beirut OSCD/labels/beirut/cm/beirut-cm.tif

The first folder is laid out as one of OSCD: ``imgs_1`` and ``imgs_2`` hold a file per band, whose name
ends in it (B02.tif); the label has 1 where nothing changed and 2 where something did. The left part is
trained on; then comes a gap as wide as a patch of training, which no score counts. The map is made by
``gersp-geo predict --after``, as a user would. Prints precision, recall and F1 of change on the right
part, beside those of the map that says change everywhere.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from xml.sax.saxutils import escape

import numpy as np
import rasterio
import torch
from lightning.pytorch import Trainer, seed_everything
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from gersp_geo.callbacks import PreprocessingRecord
from gersp_geo.main import main as gersp_geo
from gersp_geo.preprocessing import Preprocessing
from gersp_geo.tasks import ChangeDetection

BANDS = ('B02', 'B03', 'B04', 'B08')
SCALE = 1e-4
CHANGED = 2
VRT_TYPES = {'uint8': 'Byte', 'uint16': 'UInt16', 'int16': 'Int16', 'float32': 'Float32'}


@dataclass(frozen=True)
class Score:
    """How well a map finds change."""

    precision: float
    recall: float
    f1: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('pair', type=Path, help='folder with imgs_1 and imgs_2')
    parser.add_argument('label', type=Path, help='raster of 1 and 2 on the same pixels')
    parser.add_argument('--output', type=Path, help='folder of maps and pictures to keep')
    parser.add_argument('--model', default='fcsiamdiff')
    parser.add_argument('--backbone', default='resnet18')
    parser.add_argument('--weights', type=Path, help='backbone to start from')
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--steps', type=int, default=200)
    parser.add_argument('--batch-size', type=int, default=8)
    parser.add_argument('--size', type=int, default=64, help='side of a crop, and the gap')
    parser.add_argument('--share', type=float, default=0.6, help='of the columns, for training')
    parser.add_argument('--lr', type=float, default=5e-4)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.output or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        compare(arguments, folder)


def compare(arguments: argparse.Namespace, folder: Path) -> None:
    """Train and score every seed, and print a table."""
    scenes = [
        write_vrt(sorted((arguments.pair / name).glob('*.tif')), folder / f'{date}.vrt')
        for name, date in (('imgs_1', 'before'), ('imgs_2', 'after'))
    ]
    images = np.stack([read(scene) for scene in scenes]) * SCALE
    changed = read(arguments.label)[0] == CHANGED
    stop = round(arguments.share * changed.shape[1])
    truth = changed[:, stop + arguments.size :]
    base = score(np.ones_like(truth), truth)
    print(
        f'trained on columns [0, {stop}), scored on [{stop + arguments.size}, {changed.shape[1]})'
    )
    print('| seed | precision | recall | F1 | seconds of training |\n|--:|--:|--:|--:|--:|')
    print(f'| change everywhere | {base.precision:.3f} | {base.recall:.3f} | {base.f1:.3f} | |')
    found = []
    for seed in range(arguments.seeds):
        begin = perf_counter()
        checkpoint = train(
            images[..., :stop],
            changed[:, :stop],
            folder / f'seed-{seed}.ckpt',
            arguments,
            seed=seed,
        )
        seconds = perf_counter() - begin
        made = predict(checkpoint, scenes, folder / f'seed-{seed}.tif')
        result = score(made[:, stop + arguments.size :] == 1, truth)
        found.append(result.f1)
        cells = ' | '.join(f'{value:.3f}' for value in asdict(result).values())
        print(f'| {seed} | {cells} | {seconds:.0f} |', flush=True)
    print(f'mean F1 {np.mean(found):.3f}, standard deviation {np.std(found):.3f}')


def write_vrt(files: Sequence[Path], destination: Path) -> Path:
    """Put the bands of one date together, under their names."""
    chosen = [next(file for file in files if file.stem.endswith(band)) for band in BANDS]
    with rasterio.open(chosen[0]) as src:
        transform, crs, dtype = src.transform.to_gdal(), src.crs.to_wkt(), VRT_TYPES[src.dtypes[0]]
        head = f'<VRTDataset rasterXSize="{src.width}" rasterYSize="{src.height}">'
    bands = (
        f'<VRTRasterBand dataType="{dtype}" band="{number}"><Description>{name}</Description>'
        f'<SimpleSource><SourceFilename>{escape(str(file.resolve()))}</SourceFilename>'
        '<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>'
        for number, (name, file) in enumerate(zip(BANDS, chosen, strict=True), start=1)
    )
    place = (
        f'<SRS>{escape(crs)}</SRS><GeoTransform>{", ".join(map(repr, transform))}</GeoTransform>'
    )
    destination.write_text(f'{head}{place}{"".join(bands)}</VRTDataset>', encoding='utf-8')
    return destination


def read(path: Path) -> NDArray[np.generic]:
    """Read a whole raster, (bands, rows, cols)."""
    with rasterio.open(path) as src:
        pixels: NDArray[np.generic] = src.read()
    return pixels


class Crops(Dataset[dict[str, Tensor]]):
    """Squares of a pair in one of 8 orientations, every other one around a pixel that changed."""

    def __init__(
        self, images: Tensor, changed: Tensor, *, size: int, count: int, seed: int
    ) -> None:
        """Initialize a new Crops instance.

        Args:
            images: Normalised, (2, C, rows, cols).
            changed: (rows, cols), 0 and 1.
            size: Side of a crop.
            count: How many there are.
            seed: Decides where they lie.
        """
        self.images, self.changed, self.size, self.count = images, changed, size, count
        self.seed, self.places = seed, torch.nonzero(changed)

    def __len__(self) -> int:
        """Count the crops."""
        return self.count

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Cut a crop; an index always gives the same one."""
        generator = np.random.default_rng((self.seed, index))
        top, left = (int(generator.integers(n - self.size + 1)) for n in self.changed.shape)
        if index % 2:
            row, col = self.places[generator.integers(len(self.places))].tolist()
            top, left = (
                int(np.clip(place - generator.integers(self.size), 0, n - self.size))
                for place, n in zip((row, col), self.changed.shape, strict=True)
            )
        window = (..., slice(top, top + self.size), slice(left, left + self.size))
        image, mask = self.images[window], self.changed[window][None]
        turns, mirrored = int(generator.integers(4)), bool(generator.integers(2))
        turned = [torch.rot90(tensor, turns, (-2, -1)) for tensor in (image, mask)]
        image, mask = (tensor.flip(-1) if mirrored else tensor for tensor in turned)
        return {'image': image.contiguous(), 'mask': mask.contiguous()}


def train(
    images: NDArray[np.float64],
    changed: NDArray[np.bool_],
    checkpoint: Path,
    arguments: argparse.Namespace,
    *,
    seed: int,
) -> Path:
    """Fine-tune on a part of the pair, and save a checkpoint that says how its input is prepared."""
    seed_everything(seed, verbose=False)
    mean, std = images.mean(axis=(0, 2, 3)), images.std(axis=(0, 2, 3))
    record = Preprocessing(
        bands=BANDS, scale=(SCALE,) * len(BANDS), mean=tuple(mean.tolist()), std=tuple(std.tolist()),
        dtype='uint16', size=arguments.size,
    )  # fmt: skip
    normal = torch.from_numpy((images - mean[:, None, None]) / std[:, None, None]).float()
    crops = Crops(
        normal, torch.from_numpy(changed).float(), size=arguments.size,
        # more than are used: at the end of an epoch, torchgeo's schedule asks for a validation
        count=(arguments.steps + 1) * arguments.batch_size, seed=seed,
    )  # fmt: skip
    task = ChangeDetection(
        arguments.model, arguments.backbone, arguments.weights, in_channels=len(BANDS), loss='bce',
        # the order of OSCD's bands: blue, green, red
        rgb_bands=(2, 1, 0), lr=arguments.lr,
    )  # fmt: skip
    trainer = Trainer(
        max_steps=arguments.steps, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[PreprocessingRecord(record)],
    )  # fmt: skip
    trainer.fit(task, DataLoader(crops, batch_size=arguments.batch_size))
    trainer.save_checkpoint(checkpoint)
    return checkpoint


def predict(checkpoint: Path, scenes: Sequence[Path], destination: Path) -> NDArray[np.generic]:
    """Predict the whole pair as a user would."""
    before, after = map(str, scenes)
    words = ['predict', str(checkpoint), before, '--after', after, '-o', str(destination)]
    words += ['--size', '256', '--overlap', '64', '--preview', str(destination.with_suffix('.png'))]
    if gersp_geo([*words, '--overwrite', '--no-progress']):
        raise SystemExit(1)
    (classes,) = read(destination)
    return np.asarray(classes)


def score(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Score:
    """Compare a map of change with the truth, pixel by pixel."""
    hits = int((found & truth).sum())
    precision, recall = hits / max(int(found.sum()), 1), hits / int(truth.sum())
    return Score(precision, recall, 2 * precision * recall / max(precision + recall, 1e-9))


if __name__ == '__main__':
    main()
