"""Drawing a sample from a class map and assessing it, beside reading, in one run.

    python benchmarks/accuracy.py                  # 30,000 x 30,000 px, some minutes on two cores
    python benchmarks/accuracy.py --side 4096      # to see that it works

Map and reference are deflated GeoTIFFs in blocks of 512 px, seven classes in patches with noise at their edges. *Reading* decodes every
block of both once with rasterio. Contenders are processes of their own, in turn, in reverse order in every other
round; medians of their wall time without imports, and the largest memory.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window
from rich.console import Console
from rich.progress import track
from rich.table import Table

SIDE, BLOCK, CLASSES = 30_000, 512, 7
MOST_OF_READING, MOST_MIB = 1.5, 1024
CONTENDERS = ('reading', 'draw-sample', 'assess', 'both')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--side', type=int, default=SIDE, help='of the map, in pixels')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--run', nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        run(arguments.run[0], Path(arguments.run[1]))
        return
    # beside this file; it imports what would count as memory of the others
    from predict import describe_run  # type: ignore[import-not-found]

    print(describe_run())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, seed in (('map', 0), ('reference', 1)):
            write_map(folder / f'{name}.tif', side=arguments.side, seed=seed)
        compare(folder, rounds=arguments.rounds)


def write_map(path: Path, *, side: int, seed: int) -> None:
    """Write classes: the same coarse ones for every seed, other ones in one of twenty pixels."""
    coarse, noise = np.random.default_rng(0), np.random.default_rng(seed)
    with rasterio.open(
        path, 'w', driver='GTiff', height=side, width=side, count=1, dtype='uint8', nodata=255,
        crs='EPSG:32633', transform=from_origin(4e5, 5e6, 10, 10), compress='deflate', tiled=True,
        blockxsize=BLOCK, blockysize=BLOCK, num_threads=2,
    ) as dst:  # fmt: skip
        for top in track(range(0, side, BLOCK), path.stem, console=Console(stderr=True)):
            shape = (BLOCK // 32, -(-side // 32))
            rows = (
                coarse.integers(0, CLASSES, shape, dtype='uint8')
                .repeat(32, 0)
                .repeat(32, 1)[:, :side]
            )
            edges = (noise.random((BLOCK, -(-side // 4))) < 0.05).repeat(4, 1)[:, :side]
            rows = np.where(edges, np.roll(rows, 1 + seed, axis=1), rows)[: side - top]
            dst.write(rows, 1, window=Window(0, top, side, len(rows)))


def compare(folder: Path, *, rounds: int) -> None:
    """Run all in turn, and print a table."""
    seconds: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    mib: dict[str, float] = dict.fromkeys(CONTENDERS, 0)
    for number in range(rounds):
        for name in CONTENDERS[:: 1 if number % 2 == 0 else -1]:
            words = [sys.executable, __file__, '--run', name, str(folder)]
            answer = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
            taken, used = json.loads(answer.stdout.splitlines()[-1])
            seconds[name].append(taken)
            mib[name] = max(mib[name], used)
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    table = Table('', 'seconds', 'of reading both', 'MiB')
    for name, taken in medians.items():
        table.add_row(name, f'{taken:.1f}', f'{taken / medians["reading"]:.2f}', f'{mib[name]:.0f}')
    Console(width=100).print(table)
    ratio = medians['both'] / medians['reading']
    met = ratio <= MOST_OF_READING and mib['both'] <= MOST_MIB
    print(
        f'both: {ratio:.2f} of reading (at most {MOST_OF_READING}), {mib["both"]:.0f} MiB (at most '
        f'{MOST_MIB}): {"met" if met else "MISSED"}'
    )


def run(name: str, folder: Path) -> None:
    """Do one thing in this process; print how long it took, and what memory."""
    from gersp_geo.accuracy import assess_map, draw_sample

    started = perf_counter()
    if name == 'reading':
        for path in ('map.tif', 'reference.tif'):
            with rasterio.open(folder / path) as src:
                for _, window in src.block_windows(1):
                    src.read(1, window=window)
    if name in ('draw-sample', 'both'):
        draw_sample(folder / 'map.tif', folder / 'points.gpkg', count=700, overwrite=True)
    if name in ('assess', 'both'):
        assess_map(folder / 'map.tif', folder / 'reference.tif', progress=False)
    taken = perf_counter() - started
    status = Path('/proc/self/status').read_text()
    # of this process alone; getrusage would begin with what its parent held
    peak = next(line for line in status.splitlines() if line.startswith('VmHWM'))
    print(json.dumps([taken, int(peak.split()[1]) / 1024]))


if __name__ == '__main__':
    main()
