"""How busy prediction keeps a device: share of the bare forward, speed, and a picture of its waits.

    python benchmarks/predict_gpu.py --device cuda --side 20000 --picture trace.png
    python benchmarks/predict_gpu.py --device cpu --side 3000 --backbone resnet18

A U-Net in mixed precision (bfloat16, channels-last; float32 on a CPU) over a COG of uint8, three
bands; patches of 512 px overlap by 64. The bare forward takes as many batches that lie on the device
already, of a module that is compiled if prediction's is. What choosing and building the form of the
model takes is told apart, since it is done once for many scenes. Beside it the same windows by MONAI's sliding_window_inference, scene in memory, and by
torchgeo's loader. The picture shows one minute: when blocks were decoded, the device was busy and
parts were written.
"""

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from pathlib import Path
from threading import get_ident
from time import perf_counter
from typing import Any
from unittest.mock import patch

import matplotlib as mpl
import numpy as np
import rasterio
import segmentation_models_pytorch as smp
import torch
from matplotlib import pyplot as plt
from monai.inferers.utils import sliding_window_inference
from rasterio.transform import from_origin
from rasterio.windows import Window
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchgeo.datasets import RasterDataset
from torchgeo.datasets.utils import stack_samples
from torchgeo.samplers import GriddedPatchSampler

from gersp_geo import predict_geotiff
from gersp_geo.inference.model.predictor import PixelPredictor
from gersp_geo.preprocessing import Preprocessing

SIZE, OVERLAP, CLASSES, BLOCK = 512, 64, 5, 512
RECORD = Preprocessing(
    bands=('red', 'green', 'blue'), scale=(1 / 255,) * 3, mean=(0.4,) * 3, std=(0.2,) * 3
)
SHOWN_SECONDS = 60.0

type Spans = dict[str, list[tuple[float, float]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--device', default='cuda')
    parser.add_argument('--side', type=int, default=20_000)
    parser.add_argument('--backbone', default='resnet50')
    parser.add_argument('--batch-size', type=int, default=16)
    parser.add_argument('--threads', type=int, default=8)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--compile', action='store_true')
    parser.add_argument('--picture', type=Path, default=Path('trace.png'))
    parser.add_argument('--skip-peers', action='store_true')
    arguments = parser.parse_args()
    print(f'{describe_device(arguments.device)}, torch {torch.__version__}\n')
    with tempfile.TemporaryDirectory() as folder:
        scene = make_scene(Path(folder, 'scene.tif'), side=arguments.side)
        model = make_model(arguments)
        megapixels = arguments.side**2 / 1e6
        forward = torch.compile(model, dynamic=False) if arguments.compile else model
        found: dict[str, list[float]] = {}
        for _ in range(arguments.rounds):
            spans, patches, seconds, choosing = predict(model, scene, arguments)
            found.setdefault('prediction', []).append(seconds)
            found.setdefault('choosing the runtime', []).append(choosing)
            found.setdefault('bare forward', []).append(bare(forward, patches, arguments))
            if not arguments.skip_peers:
                found.setdefault('MONAI', []).append(with_monai(model, scene, arguments))
                found.setdefault('torchgeo', []).append(with_torchgeo(model, scene, arguments))
        print('| | s | Mpx/s | of the bare forward |\n|---|--:|--:|--:|')
        shortest = statistics.median(found['bare forward'])
        choosing = statistics.median(found.pop('choosing the runtime'))
        for name, times in found.items():
            middle = statistics.median(times)
            print(
                f'| {name} | {middle:.1f} | {megapixels / middle:.2f} | {shortest / middle:.2f} |'
            )
        print(f'\nchoosing the runtime, apart from prediction: {choosing:.1f} s')
        draw(spans, arguments.picture, device=arguments.device)
        print(f'\n{patches} patches; picture of the waits: {arguments.picture}')


def describe_device(device: str) -> str:
    """Name what runs the model."""
    if device.startswith('cuda'):
        return torch.cuda.get_device_name(device)
    return f'CPU, {torch.get_num_threads()} threads'


def make_scene(path: Path, *, side: int) -> Path:
    """Write a COG of smooth structures and noise."""
    random = np.random.default_rng(0)
    coarse = random.integers(40, 200, (3, -(-side // 64), -(-side // 64)), dtype='uint8')
    with rasterio.open(
        path, 'w', driver='GTiff', height=side, width=side, count=3, dtype='uint8',
        crs='EPSG:32632', transform=from_origin(4e5, 5e6, 1, 1), tiled=True, blockxsize=BLOCK,
        blockysize=BLOCK, compress='deflate', num_threads='ALL_CPUS', bigtiff='IF_SAFER',
    ) as dst:  # fmt: skip
        for row in range(0, side, BLOCK):
            height = min(BLOCK, side - row)
            part = coarse[:, row // 64 : -(-(row + height) // 64)].repeat(64, 1).repeat(64, 2)
            pixels = part[:, :height, :side] + random.integers(0, 16, (3, height, side), 'uint8')
            dst.write(pixels, window=Window(0, row, side, height))
    return path


def make_model(arguments: argparse.Namespace) -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = smp.Unet(arguments.backbone, encoder_weights=None, classes=CLASSES)
    model = model.eval().to(arguments.device)
    return model if on_cpu(arguments) else model.to(memory_format=torch.channels_last)


def on_cpu(arguments: argparse.Namespace) -> bool:
    return bool(torch.device(arguments.device).type == 'cpu')


def predict(
    model: nn.Module, scene: Path, arguments: argparse.Namespace
) -> tuple[Spans, int, float, float]:
    """Give spans, patches, seconds without the COG and the choice of a runtime, and those of that."""
    from gersp_geo.geoio.read import cells
    from gersp_geo.inference import run
    from gersp_geo.inference.outputs import maps

    spans: Spans = {}
    begin, marks = perf_counter(), Marks(on_cpu=on_cpu(arguments))

    def traced(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def run_traced(*args: Any, **options: Any) -> Any:
            start = perf_counter() - begin
            try:
                if name == 'forward' and not on_cpu(arguments):
                    return marks.around(lambda: function(*args, **options))
                return function(*args, **options)
            finally:
                key = name if name != 'read' else f'read {get_ident()}'
                spans.setdefault(key, []).append((start, perf_counter() - begin))

        return run_traced

    before = os.times()
    with ExitStack() as stack:
        for owner, attribute, name in (
            (cells, 'read_observed', 'read'),
            (maps, 'write_part', 'write'),
            (run, 'choose_runtime', 'choose'),
            (PixelPredictor, '__call__', 'forward'),
        ):
            function = traced(name, getattr(owner, attribute))
            stack.enter_context(patch.object(owner, attribute, function))
        summary = predict_geotiff(
            model, scene, scene.with_name('map.tif'), size=SIZE, overlap=OVERLAP,
            batch_size=arguments.batch_size, preprocessing=RECORD, device=arguments.device,
            threads=arguments.threads, overwrite=True, progress=False,
            runtime='compiled' if arguments.compile else 'auto',
            precision='float32' if on_cpu(arguments) else 'bfloat16',
        )  # fmt: skip
    after = os.times()
    if not on_cpu(arguments):
        spans['forward'] = marks.spans(begin)
    busy = after.user + after.system - before.user - before.system
    print(f'{busy / (after.elapsed - before.elapsed):.1f} cores busy, {summary}\n')
    choosing = sum(stop - start for start, stop in spans.pop('choose'))
    seconds = summary.seconds - summary.seconds_finishing - choosing
    return spans, summary.forwarded, seconds, choosing


class Marks:
    """When a GPU was busy, told by itself afterwards: nothing waits for it."""

    def __init__(self, *, on_cpu: bool) -> None:
        """Begin on both clocks."""
        self.began, self.events = perf_counter(), [] if on_cpu else [note_event()]

    def around(self, work: Callable[[], Any]) -> Any:
        """Note when the GPU begins some work, and when it is done."""
        self.events.append(note_event())
        result = work()
        self.events.append(note_event())
        return result

    def spans(self, begin: float) -> list[tuple[float, float]]:
        """Seconds after a moment of the host's clock."""
        torch.cuda.synchronize()
        first, *others = self.events
        times = [self.began - begin + first.elapsed_time(event) / 1e3 for event in others]
        return list(zip(times[::2], times[1::2], strict=True))


def note_event() -> torch.cuda.Event:
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def bare(model: Callable[..., Any], patches: int, arguments: argparse.Namespace) -> float:
    """Forward as many patches that are on the device already."""
    images = torch.randn(arguments.batch_size, 3, SIZE, SIZE, device=arguments.device)
    if not on_cpu(arguments):
        images = images.to(memory_format=torch.channels_last)
    with torch.inference_mode(), autocast(arguments):
        model(images)
        wait(arguments)
        begin = perf_counter()
        for start in range(0, patches, arguments.batch_size):
            scores = model(images[: min(arguments.batch_size, patches - start)])
        float(scores[0, 0, 0, 0])
        return perf_counter() - begin


def autocast(arguments: argparse.Namespace) -> Any:
    kind = torch.device(arguments.device).type
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=kind != 'cpu')


def wait(arguments: argparse.Namespace) -> None:
    if not on_cpu(arguments):
        torch.cuda.synchronize()


def normalised(pixels: Tensor) -> Tensor:
    return (pixels.float() / 255 - 0.4) / 0.2


def with_monai(model: nn.Module, scene: Path, arguments: argparse.Namespace) -> float:
    """Read the scene whole, predict windows on the device, sum them up on the host."""
    begin = perf_counter()
    with rasterio.open(scene) as src, torch.inference_mode(), autocast(arguments):
        scores = sliding_window_inference(
            normalised(torch.from_numpy(src.read()))[None], SIZE, arguments.batch_size, model,
            overlap=OVERLAP / SIZE, mode='gaussian', sw_device=arguments.device, device='cpu',
        )  # fmt: skip
        assert isinstance(scores, Tensor)
        scores[0].argmax(dim=0).byte().numpy()
    return perf_counter() - begin


def with_torchgeo(model: nn.Module, scene: Path, arguments: argparse.Namespace) -> float:
    """Read patches by a loader, write the best classes of each over its neighbours."""
    begin = perf_counter()
    dataset = RasterDataset([str(scene)])
    sampler = GriddedPatchSampler(dataset, size=SIZE, stride=SIZE - OVERLAP)
    loader = DataLoader(
        dataset, sampler=sampler, batch_size=arguments.batch_size, num_workers=arguments.threads,
        collate_fn=stack_samples,
    )  # fmt: skip
    with rasterio.open(scene) as src:
        height, width, transform = src.height, src.width, src.transform
    classes = torch.zeros(height + SIZE, width + SIZE, dtype=torch.uint8)
    places = iter(sampler)
    with torch.inference_mode(), autocast(arguments):
        for batch in loader:
            scores = model(normalised(batch['image'].to(arguments.device, non_blocking=True)))
            for patch_classes in scores.argmax(dim=1).byte().cpu():
                x, y = next(places)[:2]
                row = max(round((transform.f - y.stop) / -transform.e), 0)
                col = max(round((x.start - transform.c) / transform.a), 0)
                classes[row : row + SIZE, col : col + SIZE] = patch_classes
    return perf_counter() - begin


def draw(spans: Spans, path: Path, *, device: str) -> None:
    """Draw what was done in one minute in the middle of a prediction."""
    mpl.use('Agg')
    forward = spans['forward']
    end = max(stop for some in spans.values() for _, stop in some)
    stop = min(end, forward[0][0] + SHOWN_SECONDS)
    start = max(forward[0][0], stop - SHOWN_SECONDS)
    readers = sorted(name for name in spans if name.startswith('read'))
    rows = [*readers, 'forward', *(['write'] if 'write' in spans else [])]
    labels = [*(f'reader {number + 1}' for number in range(len(readers))), device, 'parts written']
    figure, axis = plt.subplots(figsize=(12, 1.2 + 0.42 * len(rows)), layout='constrained')
    for place, name in enumerate(rows):
        shown = [(a, b) for a, b in spans[name] if b > start and a < stop]
        bars = [(max(a, start) - start, min(b, stop) - max(a, start)) for a, b in shown]
        color = {'forward': 'tab:green', 'write': 'tab:orange'}.get(name, 'tab:blue')
        axis.broken_barh(bars, (place - 0.38, 0.76), color=color)
        share = sum(length for _, length in bars) / (stop - start)
        axis.text(stop - start, place, f' {share:.0%}', va='center')
    axis.set_yticks(range(len(rows)), labels[: len(rows)])
    axis.invert_yaxis()
    axis.set_xlim(0, (stop - start) * 1.05)
    axis.set_xlabel('seconds')
    axis.set_title('What was busy when; white is waiting')
    axis.spines[['top', 'right']].set_visible(False)
    figure.savefig(path, dpi=130)


if __name__ == '__main__':
    main()
