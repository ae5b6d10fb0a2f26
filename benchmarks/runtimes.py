"""Prediction with default options and by each runtime, beside an older tree, in one run.

    git worktree add ../older COMMIT
    python benchmarks/runtimes.py --older ../older                 # about half an hour on two cores
    python benchmarks/runtimes.py --older ../older --side 2048 --rounds 1 --runtimes auto openvino

The scene is that of `predict.py`: uint8, three bands, a COG; the model a U-Net with random weights. Every
run is a process of its own; imports are not counted, choosing and building the form of the model are.
Contenders run in turn, in reverse order in every other round; medians are reported. Classes are compared
with those of the older tree.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import rasterio
from rich.console import Console
from rich.table import Table

RECORD = {
    'bands': ['red', 'green', 'blue'], 'scale': [1 / 255] * 3, 'mean': [0.485, 0.456, 0.406],
    'std': [0.229, 0.224, 0.225], 'class_names': ['field', 'forest', 'water', 'road', 'roof'],
}  # fmt: skip
RUNTIMES = ('auto', 'eager', 'channels-last', 'openvino', 'onnx', 'compiled')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--older', type=Path, required=True, help='checkout to compare with')
    parser.add_argument('--side', type=int, default=8192, help='of the scene, in pixels')
    parser.add_argument('--rounds', type=int, default=2)
    parser.add_argument('--encoder', default='resnet18')
    parser.add_argument('--runtimes', nargs='*', default=RUNTIMES)
    parser.add_argument('--run', nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        run(*map(str, arguments.run), encoder=arguments.encoder)
        return
    # beside this file
    from predict import describe_run, make_scene  # type: ignore[import-not-found]

    print(describe_run())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        scene = make_scene(folder, side=arguments.side)
        compare(scene, folder, arguments)


def compare(scene: Path, folder: Path, arguments: argparse.Namespace) -> None:
    """Run the older tree and each runtime in turn, and print a table."""
    newer = Path(__file__).parents[1]
    contenders = [('older', arguments.older), *((name, newer) for name in arguments.runtimes)]
    taken: dict[str, list[float]] = {name: [] for name, _ in contenders}
    said: dict[str, str] = {}
    for number in range(arguments.rounds):
        for name, tree in contenders[:: 1 if number % 2 == 0 else -1]:
            words = ['--run', name, str(scene), str(folder / f'{name}.tif')]
            answer = subprocess.run(
                [sys.executable, __file__, '--older', '-', '--encoder', arguments.encoder, *words],
                env=os.environ | {'PYTHONPATH': str(tree.resolve()), 'GERSP_GEO_CACHE': f'{folder}/cache'},
                stdout=subprocess.PIPE, text=True, check=True,
            )  # fmt: skip
            seconds, said[name] = json.loads(answer.stdout.splitlines()[-1])
            taken[name].append(seconds)
    table = Table('', 'seconds', 'of the older', 'classes equal', 'runtime')
    whole = statistics.median(taken['older'])
    for name, _ in contenders:
        seconds = statistics.median(taken[name])
        equal = share_equal(folder / 'older.tif', folder / f'{name}.tif')
        table.add_row(name, f'{seconds:.1f}', f'{seconds / whole:.3f}', f'{equal:.5%}', said[name])
    Console(width=140).print(table)


def share_equal(one: Path, other: Path) -> float:
    """Say in which share of pixels two maps are equal."""
    with rasterio.open(one) as first, rasterio.open(other) as second:
        windows = [window for _, window in first.block_windows(1)]
        same = sum(
            int(np.sum(first.read(1, window=w) == second.read(1, window=w))) for w in windows
        )
        return float(same / (first.width * first.height))


def run(name: str, scene: str, destination: str, *, encoder: str) -> None:
    """Predict in this process; print how long it took, and what ran."""
    if name != 'older':
        # as the command does
        os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    import segmentation_models_pytorch as smp
    import torch

    from gersp_geo import predict_geotiff

    record = Path(destination).with_suffix('.json')
    # a file, which every tree reads
    record.write_text(json.dumps(RECORD))
    torch.manual_seed(0)
    model = smp.Unet(encoder, encoder_weights=None, classes=5).eval()
    options: dict[str, Any] = {} if name in ('older', 'auto') else {'runtime': name}
    started = perf_counter()
    summary = predict_geotiff(
        model, scene, destination, preprocessing=record, device='cpu', overwrite=True,
        progress=False, **options,
    )  # fmt: skip
    print(json.dumps([perf_counter() - started, getattr(summary, 'runtime', 'eager')]))


if __name__ == '__main__':
    main()
