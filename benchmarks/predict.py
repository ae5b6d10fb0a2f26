"""Speed of prediction beside the bare model, the bare work of GDAL and other tools, in one run.

    python benchmarks/predict.py                      # all sections, about two hours on two cores
    python benchmarks/predict.py free --rounds 3      # some of them
    python benchmarks/predict.py --scale 0.125        # a smaller scene, to see that it works
    OMP_WAIT_POLICY=PASSIVE python benchmarks/predict.py    # what the command sets by itself

The scene has 8192 x 8192 px (times --scale), uint8, three bands, as a COG (deflate); patches of
512 px overlap by 64. The map has five classes, uint8.

- unet: predict_geotiff with a U-Net on ResNet-18 over forwarding as many patches that are in memory
  already. The prediction pauses in each quarter, and the bare model forwards as many batches.
- free: predict_geotiff with a model that picks bands, beside the least that a map takes: reading
  all blocks alone, then GDAL turning the finished map into the same COG with the same overviews.
- peers-free, peers-unet: other tools with the same windows, and our default options.

What is compared runs in turn, in reverse order in every other round; medians are reported.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from itertools import batched, pairwise
from pathlib import Path
from time import perf_counter
from typing import Literal

import numpy as np
import rasterio
import rasterio.shutil
import segmentation_models_pytorch as smp
import torch
from numpy.typing import NDArray
from rasterio.transform import from_origin
from rasterio.windows import Window
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchgeo.datasets import RasterDataset
from torchgeo.datasets.utils import stack_samples
from torchgeo.samplers import GriddedPatchSampler

from gersp_geo import predict_geotiff
from gersp_geo.inference.options import RuntimeName
from gersp_geo.inference.outputs.map_summary import PredictionSummary
from gersp_geo.preprocessing import Preprocessing

SIDE, SIZE, OVERLAP, BLOCK, BATCH, CLASSES = 8192, 512, 64, 512, 4, 5
TILED = {'tiled': True, 'blockxsize': BLOCK, 'blockysize': BLOCK, 'interleave': 'pixel'}
# of the bare forward, and of the rate of the least that a map takes
MOST_OVER_FORWARD = 1.05
LEAST_OF_FLOOR = {'crop': 0.75, 'hann': 0.6}
# in how many parts of a scene prediction and the bare forward take turns
SLICES = 4
RECORD = Preprocessing(
    bands=('red', 'green', 'blue'), scale=(1 / 255,) * 3, mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225), class_names=('field', 'forest', 'water', 'road', 'roof'),
)  # fmt: skip

type Blend = Literal['hann', 'crop']
type Run = Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What all sections share."""

    scene: Path
    folder: Path
    rounds: int
    threads: int
    geoai_python: Path | None

    @property
    def megapixels(self) -> float:
        """Pixels of the scene."""
        with rasterio.open(self.scene) as src:
            return float(src.width * src.height / 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('sections', nargs='*', default=[], help=f'of {", ".join(SECTIONS)}')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--scale', type=float, default=1.0, help='of the sides of the scene')
    parser.add_argument('--threads', type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument('--geoai-python', type=Path, help='of an environment with geoai-py')
    arguments = parser.parse_args()
    unknown = set(arguments.sections) - set(SECTIONS)
    if unknown:
        parser.error(f'sections must be of {", ".join(SECTIONS)}, got {", ".join(unknown)}')
    torch.set_num_threads(arguments.threads)
    print(f'{describe_run()}, {arguments.threads} threads')
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        scene = make_scene(folder, side=round(SIDE * arguments.scale / BLOCK) * BLOCK)
        setting = Setting(
            scene=scene, folder=folder, rounds=arguments.rounds, threads=arguments.threads,
            geoai_python=arguments.geoai_python,
        )  # fmt: skip
        for name in arguments.sections or SECTIONS:
            print(f'\n### {name}\n')
            SECTIONS[name](setting)


def describe_run() -> str:
    """Say on what, with what and when this ran."""
    with open('/proc/cpuinfo') as info:
        model = next(line.split(':')[1].strip() for line in info if line.startswith('model name'))
    commit = subprocess.run(
        ['git', 'rev-parse', '--short', 'HEAD'], capture_output=True, text=True, check=False
    ).stdout.strip()
    names = ('torch', 'rasterio', 'segmentation-models-pytorch', 'monai', 'torchgeo')
    versions = ', '.join(f'{name} {version(name)}' for name in names)
    return (
        f'{model}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}, GDAL '
        f'{rasterio.__gdal_version__}, commit {commit}, {datetime.now(UTC):%Y-%m-%d}'
    )


def make_scene(folder: Path, *, side: int) -> Path:
    """Draw smooth fields with edges and sensor noise, which compress as aerial images do."""
    profile = {
        'height': side, 'width': side, 'count': 3, 'dtype': 'uint8', 'crs': 'EPSG:32633',
        'transform': from_origin(5e5, 5e6, 0.3, 0.3),
    }  # fmt: skip
    plain, scene = folder / 'plain.tif', folder / 'scene.tif'
    generator = torch.Generator().manual_seed(0)
    with rasterio.open(plain, 'w', driver='GTiff', compress='deflate', **TILED, **profile) as dst:
        for band in range(1, 4):
            pixels = 128 + 1.5 * torch.randn(side, side, generator=generator)
            for period, height in ((16, 1.5), (128, 4.0), (1024, 25.0)):
                coarse = torch.randn(2 * (side // period + 1,), generator=generator)[None, None]
                smooth = F.interpolate(coarse, (side, side), mode='bilinear')[0, 0]
                pixels += height * (smooth + (smooth > 0.5))
            dst.write(pixels.clamp(0, 255).byte().numpy(), band)
    ratio = 3 * side * side / plain.stat().st_size
    copy_as_cog(plain, scene, threads=2, resampling='average')
    plain.unlink()
    print(f'{side} x {side} px, uint8, 3 bands, deflate {ratio:.2f} : 1')
    return scene


def copy_as_cog(source: Path, destination: Path, *, threads: int, resampling: str) -> None:
    """Let GDAL make a COG with overviews."""
    with rasterio.open(source) as src:
        rasterio.shutil.copy(
            src, destination, driver='COG', compress='deflate', overview_resampling=resampling,
            blocksize=BLOCK, num_threads=threads,
        )  # fmt: skip


def rounds_of(count: int) -> Iterable[int]:
    return track(range(count), 'Measuring', console=Console(stderr=True), transient=True)


def in_turn(runs: dict[str, Run], *, rounds: int) -> dict[str, float]:
    """Run contenders in turn; returns the median of the seconds that each says it took."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for number in rounds_of(rounds):
        for name in list(runs)[:: 1 if number % 2 == 0 else -1]:
            taken[name].append(runs[name]())
    return {name: statistics.median(times) for name, times in taken.items()}


def timed(run: Callable[[], object]) -> float:
    """Run something, and say how many seconds it took."""
    begin = perf_counter()
    run()
    return perf_counter() - begin


def unet() -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = smp.Unet('resnet18', encoder_weights=None, classes=CLASSES)
    return model.eval()


class Free(nn.Module):
    """Costs nothing: picks bands."""

    def forward(self, images: Tensor) -> Tensor:
        """Pick five bands of three."""
        return images[:, [0, 1, 2, 0, 1]]


def predict(
    setting: Setting,
    model: nn.Module,
    blend: Blend,
    runtime: RuntimeName | Literal['auto'] = 'auto',
) -> PredictionSummary:
    return predict_geotiff(
        model, setting.scene, setting.folder / 'map.tif', size=SIZE, overlap=OVERLAP, blend=blend,
        batch_size=BATCH, preprocessing=RECORD, device='cpu', threads=setting.threads,
        runtime=runtime, overwrite=True, progress=False,
    )  # fmt: skip


def predict_by_default(setting: Setting, model: nn.Module) -> PredictionSummary:
    return predict_geotiff(
        model, setting.scene, setting.folder / 'map.tif', preprocessing=RECORD, device='cpu',
        overwrite=True, progress=False,
    )  # fmt: skip


class Recorder(nn.Module):
    """Notes the sizes of the batches it is given."""

    def __init__(self) -> None:
        """Begin without any."""
        super().__init__()
        self.free = Free()
        self.sizes: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        """Note the size of a batch."""
        if not is_question(images):
            self.sizes.append(len(images))
        return self.free(images)  # type: ignore[no-any-return]


def is_question(images: Tensor) -> bool:
    """Whether a batch of zeros only asks how many classes there are."""
    return not images.any()


class Interleaved(nn.Module):
    """A model that pauses once per slice of a scene to forward as many batches from memory."""

    def __init__(
        self, model: nn.Module, pool: Sequence[Tensor], sizes: Sequence[int], *, bare_first: bool
    ) -> None:
        """Take batches in memory, and the sizes of those that will come."""
        super().__init__()
        self.model, self.pool, self.sizes = model, pool, sizes
        self.bare_first = bare_first
        edges = np.linspace(0, len(sizes), SLICES + 1).round().astype(int).tolist()
        self.slices = dict(pairwise(edges))
        if not bare_first:
            self.slices = {stop: start for start, stop in self.slices.items()}
        self.calls = 0
        self.bare_seconds = 0.0

    def forward(self, images: Tensor) -> Tensor:
        """Forward a batch, and others from memory where a slice begins or ends."""
        is_counted = not is_question(images)
        if is_counted and self.bare_first:
            self._pause()
        scores: Tensor = self.model(images)
        self.calls += is_counted
        if is_counted and not self.bare_first:
            self._pause()
        return scores

    def _pause(self) -> None:
        """Forward the batches of a slice from memory, if one begins or ends here."""
        if self.calls not in self.slices:
            return
        begin = perf_counter()
        start, stop = sorted((self.calls, self.slices[self.calls]))
        for number in range(start, stop):
            self.model(self.pool[number % len(self.pool)][: self.sizes[number]])
        self.bare_seconds += perf_counter() - begin


def over_forward(setting: Setting) -> None:
    """Compare a prediction with the bare forward of as many patches."""
    model, recorder = unet(), Recorder()
    predict(setting, recorder, 'hann', 'eager')
    pool = batches_in_memory(setting.scene)
    with torch.inference_mode():
        model(pool[0])
    rows = []
    for number in rounds_of(setting.rounds):
        turns = Interleaved(model, pool, recorder.sizes, bare_first=number % 2 == 0)
        begin = perf_counter()
        # another form would forward through a copy, which counts nothing
        summary = predict(setting, turns, 'hann', 'eager')
        whole = perf_counter() - begin - turns.bare_seconds
        assert turns.calls == len(recorder.sizes)
        rows.append((whole, summary.seconds_finishing, turns.bare_seconds))
    print(f'{sum(recorder.sizes)} patches in {len(recorder.sizes)} batches\n')
    print('| round | prediction, s | of it COG and overviews, s | bare forward, s | ratio |')
    print('|--:|--:|--:|--:|--:|')
    for number, (whole, finishing, bare) in enumerate(rows, start=1):
        print(f'| {number} | {whole:.1f} | {finishing:.1f} | {bare:.1f} | {whole / bare:.3f} |')
    ratio = statistics.median(whole / bare for whole, _, bare in rows)
    met = 'met' if ratio <= MOST_OVER_FORWARD else 'MISSED'
    print(f'\n- prediction / bare forward: {ratio:.3f} (at most {MOST_OVER_FORWARD:g}: {met})')
    without = statistics.median((whole - finishing) / bare for whole, finishing, bare in rows)
    print(f'- the same without COG and overviews: {without:.3f}')


def batches_in_memory(scene: Path, count: int = 8) -> list[Tensor]:
    """Read some batches, normalised."""
    with rasterio.open(scene) as src:
        most = max(src.width - SIZE, 1)
        offsets = [SIZE * number % most for number in range(count * BATCH)]
        patches = [src.read(window=Window(offset, offset, SIZE, SIZE)) for offset in offsets]
    return [normalised(torch.from_numpy(np.stack(part))) for part in batched(patches, BATCH)]


def normalised(images: Tensor) -> Tensor:
    """Make float32 input of file values, shape (B, 3, H, W)."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (RECORD.mean, RECORD.std))
    return images.float().mul_(1 / 255).sub_(mean).div_(std)


def over_floor(setting: Setting) -> None:
    """Compare a prediction by a free model with the least that its map takes."""
    model, finishing = Free(), dict[str, list[float]](crop=[], hann=[])

    def predict_once(blend: Blend) -> float:
        begin = perf_counter()
        summary = predict(setting, model, blend)
        finishing[blend].append(summary.seconds_finishing)
        return perf_counter() - begin

    predict(setting, model, 'crop')
    plain = as_plain(setting.folder / 'map.tif')
    copy = partial(copy_as_cog, plain, setting.folder / 'copy.tif', threads=setting.threads)
    runs: dict[str, Run] = {
        'crop': lambda: predict_once('crop'),
        'reading alone': lambda: timed(lambda: read_blocks(setting)),
        'COG alone': lambda: timed(lambda: copy(resampling='mode')),
        'hann': lambda: predict_once('hann'),
    }
    times = in_turn(runs, rounds=setting.rounds)
    times['floor'] = times['reading alone'] + times['COG alone']
    print('| | s | Mpx/s | of it COG and overviews, s |\n|---|--:|--:|--:|')
    for name, seconds in times.items():
        apart = f'{statistics.median(finishing[name]):.2f}' if name in finishing else ''
        print(f'| {name} | {seconds:.2f} | {setting.megapixels / seconds:.1f} | {apart} |')
    print()
    for name, least in LEAST_OF_FLOOR.items():
        ratio = times['floor'] / times[name]
        met = 'met' if ratio >= least else 'MISSED'
        print(f'- rate of {name} / rate of the floor: {ratio:.2f} (at least {least:g}: {met})')


def as_plain(cog: Path) -> Path:
    """Copy a map to a tiled GeoTIFF without compression and overviews."""
    plain = cog.with_name('uncompressed.tif')
    with rasterio.open(cog) as src:
        rasterio.shutil.copy(src, plain, driver='GTiff', **TILED)
    return plain


def read_blocks(setting: Setting) -> None:
    """Decode every block of the scene once."""
    with rasterio.open(setting.scene) as src:
        offsets = list(range(0, src.height, BLOCK))

    def read_rows(own: Sequence[int]) -> None:
        with rasterio.open(setting.scene) as src:
            for row in own:
                for col in range(0, src.width, BLOCK):
                    src.read(window=Window(col, row, BLOCK, BLOCK))

    with ThreadPoolExecutor(setting.threads) as pool:
        shares = [offsets[rank :: setting.threads] for rank in range(setting.threads)]
        list(pool.map(read_rows, shares))


def with_monai(setting: Setting, model: nn.Module, *, mode: str) -> float:
    """Predict an array in memory."""
    from monai.inferers.utils import sliding_window_inference

    with rasterio.open(setting.scene) as src:
        pixels = torch.from_numpy(src.read())
    begin = perf_counter()
    with torch.inference_mode():
        scores = sliding_window_inference(
            normalised(pixels)[None], SIZE, BATCH, model, overlap=OVERLAP / SIZE, mode=mode
        )
        assert isinstance(scores, Tensor)
        scores[0].argmax(dim=0).byte().numpy()
    return perf_counter() - begin


def with_torchgeo(setting: Setting, model: nn.Module) -> float:
    """Predict from a loader over a grid of patches, and stitch by hand."""
    begin = perf_counter()
    dataset = RasterDataset([str(setting.scene)])
    sampler = GriddedPatchSampler(dataset, size=SIZE, stride=SIZE - OVERLAP)
    loader = DataLoader(
        dataset, sampler=sampler, batch_size=BATCH, num_workers=1, collate_fn=stack_samples
    )
    with rasterio.open(setting.scene) as src:
        height, width, transform = src.height, src.width, src.transform
    scores = torch.zeros(CLASSES, height, width)
    ramp = torch.hann_window(SIZE + 2, periodic=False)[1:-1]
    weights = ramp[:, None] * ramp
    places: Iterator[tuple[slice, slice]] = iter(sampler)
    with torch.inference_mode():
        for batch in loader:
            probabilities = model(normalised(batch['image'])).softmax(dim=1)
            for patch, (x, y) in zip(probabilities, places, strict=False):
                # their patches hang out of the scene, to equal parts
                row = round((transform.f - y.stop) / -transform.e)
                col = round((x.start - transform.c) / transform.a)
                top, left = max(-row, 0), max(-col, 0)
                under = scores[:, max(row, 0) : row + SIZE, max(col, 0) : col + SIZE]
                rows = slice(top, top + under.shape[1])
                cols = slice(left, left + under.shape[2])
                under += patch[:, rows, cols] * weights[rows, cols]
    # weights need no division for the best class
    write_plain(setting, scores.argmax(dim=0).byte().numpy())
    return perf_counter() - begin


def write_plain(setting: Setting, classes: NDArray[np.uint8]) -> None:
    """Write a map as a compressed GeoTIFF without overviews."""
    with rasterio.open(setting.scene) as src:
        profile = {'crs': src.crs, 'transform': src.transform}
    height, width = classes.shape
    with rasterio.open(
        setting.folder / 'theirs.tif', 'w', driver='GTiff', height=height, width=width, count=1,
        dtype='uint8', compress='deflate', num_threads=setting.threads, **TILED, **profile,
    ) as dst:  # fmt: skip
        dst.write(classes, 1)


# run by the Python of another environment: scene, map, model, threads
GEOAI_WORKER = f"""
import json, sys, time
import numpy as np, torch
from geoai.inference import predict_geotiff
from geoai.utils import get_device  # seconds, when first used
scene, destination, name, threads = sys.argv[1:]
torch.set_num_threads(int(threads))
class Free(torch.nn.Module):
    def forward(self, images):
        return images[:, [0, 1, 2, 0, 1]]
if name == 'free':
    model = Free()
else:
    import segmentation_models_pytorch as smp
    model = smp.Unet('resnet18', encoder_weights=None, classes={CLASSES}).eval()
mean, std = (np.float32(v)[:, None, None] for v in ({RECORD.mean}, {RECORD.std}))
begin = time.perf_counter()
predict_geotiff(
    model, scene, destination, tile_size={SIZE}, overlap={OVERLAP}, batch_size={BATCH},
    num_classes={CLASSES}, preprocess_fn=lambda a: (a.astype(np.float32) / 255 - mean) / std,
    postprocess_fn=lambda a: a.argmax(0)[None], output_dtype='uint8', output_nodata=255,
    blend_mode='cosine', device='cpu', verbose=False,
)
print(json.dumps(time.perf_counter() - begin))
"""


def with_geoai(setting: Setting, name: str) -> float:
    """Predict with geoai-py in its own environment; imports are not counted."""
    command = [str(setting.geoai_python), '-c', GEOAI_WORKER, str(setting.scene)]
    command += [str(setting.folder / 'geoai.tif'), name, str(setting.threads)]
    done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE)
    return float(json.loads(done.stdout.splitlines()[-1]))


INCLUDES = {
    'ours, default': 'reading, COG with overviews and legend',
    'ours, hann': 'reading, COG with overviews and legend',
    'ours, crop': 'reading, COG with overviews and legend',
    'MONAI, gaussian': 'an array in memory; neither reading nor writing',
    'MONAI, constant': 'an array in memory; neither reading nor writing',
    'torchgeo': 'reading by a worker, stitching by hand (Hann), plain GeoTIFF',
    'geoai-py': 'reading, stitching (cosine), plain GeoTIFF; its start is not counted',
}


def beside_peers(setting: Setting, *, name: str) -> None:
    """Compare with other tools that have the same windows."""
    model = unet() if name == 'unet' else Free()
    runs: dict[str, Run] = {
        'ours, default': lambda: timed(lambda: predict_by_default(setting, model)),
        'ours, hann': lambda: timed(lambda: predict(setting, model, 'hann')),
        'ours, crop': lambda: timed(lambda: predict(setting, model, 'crop')),
        'MONAI, gaussian': lambda: with_monai(setting, model, mode='gaussian'),
        'MONAI, constant': lambda: with_monai(setting, model, mode='constant'),
        'torchgeo': lambda: with_torchgeo(setting, model),
    }
    if setting.geoai_python:
        runs['geoai-py'] = lambda: with_geoai(setting, name)
    times = in_turn(runs, rounds=setting.rounds)
    print('| contender | s | Mpx/s | time / ours, default | includes |\n|---|--:|--:|--:|---|')
    for contender, seconds in times.items():
        ratio = seconds / times['ours, default']
        print(
            f'| {contender} | {seconds:.1f} | {setting.megapixels / seconds:.2f} | {ratio:.2f} '
            f'| {INCLUDES[contender]} |'
        )


SECTIONS: dict[str, Callable[[Setting], None]] = {
    'unet': over_forward,
    'free': over_floor,
    'peers-free': partial(beside_peers, name='free'),
    'peers-unet': partial(beside_peers, name='unet'),
}

if __name__ == '__main__':
    main()
