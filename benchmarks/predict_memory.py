"""Memory and time of prediction over scenes that are nearly empty, beside its plan.

    python benchmarks/predict_memory.py              # all scenes
    python benchmarks/predict_memory.py --largest 30 # none wider than 30,000 px

Scenes are sparse GeoTIFFs, uint8, three bands, blocks of 512 px: with 1 % of their blocks filled, or
with a band of 2,000 rows filled across the full width. The model picks five bands of three, so that
what is measured is the engine. Each case has a process of its own; its memory is the highest
resident set (VmHWM) less that after imports.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

import numpy as np
import rasterio
import torch
from rasterio.transform import from_origin
from rasterio.windows import Window
from torch import Tensor, nn

from gersp_geo.inference import plan_prediction, predict_geotiff
from gersp_geo.preprocessing import Preprocessing

BLOCK, SIZE, OVERLAP, BAND_ROWS = 512, 512, 64, 2000
MOST_OVER_PLAN = 1.1
MOST_GIB = 1.5
# how much longer twice the filled area may take, at most, per filled area
MOST_UNEVEN = 1.25
RECORD = Preprocessing(
    bands=('red', 'green', 'blue'), scale=(1 / 255,) * 3, mean=(0.5,) * 3, std=(0.25,) * 3
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A scene."""

    side: int
    """Rows and columns."""

    share: float | None
    """Of the blocks that are filled; None fills a band of rows across the full width."""

    blend: str = 'hann'
    """How patches are joined."""

    def __str__(self) -> str:
        """Name it in a table."""
        filled = f'{BAND_ROWS:,} rows' if self.share is None else f'{self.share:.0%} of blocks'
        return f'{self.side:,} px, {filled}, {self.blend}'


CASES = (
    Case(side=10_000, share=0.01),
    Case(side=30_000, share=0.01),
    Case(side=100_000, share=0.01),
    Case(side=100_000, share=None),
    Case(side=100_000, share=None, blend='crop'),
)
GROWING = tuple(Case(side=30_000, share=share) for share in (0.01, 0.02, 0.04))


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one process measured."""

    planned: int
    """Bytes of host memory in the plan."""

    peak: int
    """Bytes of the highest resident set beyond that after imports."""

    panels: int
    """Panels of the plan."""

    forwarded: int
    """Patches given to the model."""

    seconds: float
    """All of the prediction."""

    seconds_finishing: float
    """Of them the COG and its overviews."""


class Free(nn.Module):
    """Costs nothing: picks bands."""

    def forward(self, images: Tensor) -> Tensor:
        """Pick five bands of three."""
        return images[:, [0, 1, 2, 0, 1]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--largest', type=int, default=100, help='side in thousands of pixels')
    parser.add_argument('--rounds', type=int, default=3, help='of the times; medians are reported')
    parser.add_argument('--threads', type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument('--folder', type=Path, help='where scenes are made; must hold a few GB')
    parser.add_argument('--child', help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        run_child(Path(arguments.child), threads=arguments.threads)
        return
    print(f'{describe_run()}, {arguments.threads} threads\n')
    cases = [case for case in CASES if case.side <= 1000 * arguments.largest]
    with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
        folder = Path(temporary)
        report_memory(cases, folder, threads=arguments.threads)
        print()
        report_times(folder, threads=arguments.threads, rounds=arguments.rounds)


def describe_run() -> str:
    """Say on what, with what and when this ran."""
    with open('/proc/cpuinfo') as info:
        model = next(line.split(':')[1].strip() for line in info if line.startswith('model name'))
    commit = subprocess.run(
        ['git', 'rev-parse', '--short', 'HEAD'], capture_output=True, text=True, check=False
    ).stdout.strip()
    versions = ', '.join(f'{name} {version(name)}' for name in ('torch', 'rasterio'))
    return (
        f'{model}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}, GDAL '
        f'{rasterio.__gdal_version__}, commit {commit}, {datetime.now(UTC):%Y-%m-%d}'
    )


def report_memory(cases: list[Case], folder: Path, *, threads: int) -> None:
    """Print the memory of each case beside its plan."""
    print('| scene | patches | panels | plan, MiB | peak, MiB | peak / plan | s | of it COG, s | |')
    print('|---|--:|--:|--:|--:|--:|--:|--:|---|')
    for case in cases:
        result = measure(case, folder, threads=threads)
        ratio = result.peak / result.planned
        is_met = ratio <= MOST_OVER_PLAN and result.peak <= MOST_GIB * 2**30
        print(
            f'| {case} | {result.forwarded:,} | {result.panels} | {result.planned / 2**20:,.0f} '
            f'| {result.peak / 2**20:,.0f} | {ratio:.2f} | {result.seconds:.1f} '
            f'| {result.seconds_finishing:.1f} | {"met" if is_met else "MISSED"} |',
            flush=True,
        )
    print(f'\nAt most {MOST_OVER_PLAN:g} of the plan, and {MOST_GIB:g} GiB.')


def report_times(folder: Path, *, threads: int, rounds: int) -> None:
    """Print how time grows with the filled area."""
    taken: dict[Case, list[float]] = {case: [] for case in GROWING}
    for number in range(rounds):
        for case in GROWING[:: 1 if number % 2 == 0 else -1]:
            taken[case].append(measure(case, folder, threads=threads).seconds)
    print('| scene | s | s per 1 % |\n|---|--:|--:|')
    seconds = {case: float(np.median(times)) for case, times in taken.items()}
    for case, median in seconds.items():
        print(f'| {case} | {median:.1f} | {median / (100 * (case.share or 1)):.1f} |')
    small, middle, large = seconds.values()
    # twice the area more takes twice the time more, whatever the empty rest takes
    growth = (large - middle) / (2 * (middle - small))
    is_met = growth <= MOST_UNEVEN
    print(
        f'\n- from 2 to 4 % over twice that from 1 to 2 %: {growth:.2f} '
        f'(at most {MOST_UNEVEN:g}: {"met" if is_met else "MISSED"})'
    )


def measure(case: Case, folder: Path, *, threads: int) -> Result:
    """Predict a scene in a process of its own."""
    scene = make_scene(case, folder)
    order = folder / 'order.json'
    order.write_text(json.dumps({'scene': str(scene), 'blend': case.blend}), encoding='utf-8')
    command = [sys.executable, __file__, '--child', str(order), '--threads', str(threads)]
    done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE)
    return Result(**json.loads(done.stdout.splitlines()[-1]))


def make_scene(case: Case, folder: Path) -> Path:
    """Write a sparse GeoTIFF, once."""
    filled = 'band' if case.share is None else f'{100 * case.share:.0f}'
    path = folder / f'{case.side}-{filled}.tif'
    if path.exists():
        return path
    random = np.random.default_rng(0)
    # a few different blocks do, and are quickly made
    pixels = random.integers(100, 130, (8, 3, BLOCK, BLOCK), dtype='uint8')
    count = -(-case.side // BLOCK)
    with rasterio.open(
        path, 'w', driver='GTiff', height=case.side, width=case.side, count=3, dtype='uint8',
        crs='EPSG:32633', transform=from_origin(5e5, 5e6, 0.3, 0.3), tiled=True, blockxsize=BLOCK,
        blockysize=BLOCK, compress='deflate', zlevel=1, sparse_ok=True, bigtiff='yes',
        interleave='pixel',
    ) as dst:  # fmt: skip
        if case.share is None:
            first = count // 2
            places = [
                (first + row, col) for row in range(BAND_ROWS // BLOCK + 1) for col in range(count)
            ]
        else:
            chosen = random.choice(count**2, round(case.share * count**2), replace=False)
            places = [divmod(int(place), count) for place in np.sort(chosen)]
        for number, (row, col) in enumerate(places):
            height = min(BLOCK, case.side - row * BLOCK)
            if case.share is None:
                height = min(height, BAND_ROWS - (row - count // 2) * BLOCK)
            width = min(BLOCK, case.side - col * BLOCK)
            window = Window(col * BLOCK, row * BLOCK, width, height)
            dst.write(pixels[number % len(pixels), :, :height, :width], window=window)
    return path


def run_child(order: Path, *, threads: int) -> None:
    """Predict, and print what it took as JSON."""
    torch.set_num_threads(threads)
    asked = json.loads(order.read_text(encoding='utf-8'))
    destination = order.with_name('map.tif')
    model, options = Free(), {
        'size': SIZE, 'overlap': OVERLAP, 'blend': asked['blend'], 'preprocessing': RECORD,
        'device': 'cpu', 'threads': threads, 'overwrite': True, 'progress': False,
    }  # fmt: skip
    before = highest_resident_set()
    plan = plan_prediction(model, asked['scene'], destination, **options)
    begin = perf_counter()
    summary = predict_geotiff(model, asked['scene'], destination, **options)
    result = Result(
        planned=plan.host_bytes,
        peak=highest_resident_set() - before,
        panels=len(plan.panels),
        forwarded=summary.forwarded,
        seconds=perf_counter() - begin,
        seconds_finishing=summary.seconds_finishing,
    )
    print(json.dumps(asdict(result)))


def highest_resident_set() -> int:
    """Read how many bytes of memory this process has had at most."""
    with open('/proc/self/status') as status:
        line = next(line for line in status if line.startswith('VmHWM'))
    return int(line.split()[1]) * 1024


if __name__ == '__main__':
    main()
