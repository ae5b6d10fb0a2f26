"""Speed of the input pipeline beside bare reads, plain loops and torchgeo, in one run.

    python benchmarks/loading.py                    # all sections, minutes
    python benchmarks/loading.py warm natural       # some of them
    python benchmarks/loading.py --folder data      # keep what is generated for the next run

- warm: patches of 224 px from four 4096 px GeoTIFFs (tiled, deflate, uint8, three bands), all blocks
  in GDAL's cache, one process;
- cold: 200 such files (hard links to ten), GDAL_CACHEMAX=2, through a DataLoader with collation;
- objects: four of these files with 2,000 boxes each, batches with targets beside batches of the same
  patches without any, blocks decoded as in *cold*;
- decoding: all patches of 512 px of GeoTIFFs in several compressions, as prediction reads them, in two
  threads: with the driver that is fastest, and with GDAL's GTiff alone;
- index: 20,000 GeoTIFFs of 32 px: time until the first sample, in a fresh process;
- natural: JPEGs of 500 x 375, random-resized crops to 224, against plain loops;
- keeping-up: both streams with two workers, the model replaced by a sleep of 1.15 times what bare
  decoding of a batch takes them: share of a step spent waiting for data.

What is compared runs in turn, in reverse order in every other round; medians are reported.
"""

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache, partial
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from time import perf_counter, sleep
from typing import Any
from unittest.mock import patch

import numpy as np
import rasterio
import rasterio.shutil
import torch
from PIL import Image
from rasterio.transform import from_origin
from rasterio.windows import Window as RasterioWindow
from rich.console import Console
from rich.progress import track
from scipy.ndimage import gaussian_filter
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchgeo.datasets import RasterDataset
from torchgeo.samplers import RandomPatchSampler
from torchvision.transforms import RandomResizedCrop

from gersp_geo import GeRSPDataModule
from gersp_geo.datamodules import (
    GeoTIFFInstanceSegmentationDataModule,
    GeoTIFFObjectDetectionDataModule,
)
from gersp_geo.datamodules.patches import TrainingPatches
from gersp_geo.datasets import GeoTIFFPatches
from gersp_geo.datasets.natural_stream import open_natural
from gersp_geo.geoio.gdal import gdal_cache
from gersp_geo.geoio.read import (
    CellReader,
    CellSource,
    block_decoder,
    open_reader,
    plan_cells,
    read_header,
)
from gersp_geo.samplers import PatchSampler
from gersp_geo.windows import Window

SIZE, SIDE, BLOCK = 224, 4096, 256
# per side of a scene
PATCHES = 8
CROP = (0.2, 1.0)
WORKERS = 2
# contender, what it is compared with, and the smallest ratio of rates that is acceptable
LIMITS = {
    'warm': (('dataset[index]', 'torchgeo', 15.0), ('dataset[index]', 'bare rasterio', 0.5)),
    'cold': (('loader, 0 workers', 'bare, 1 process', 0.9),
             ('loader, 2 workers', 'bare, 2 processes', 0.9)),
    'objects': (('with boxes', 'without labels', 0.8), ('with masks', 'without labels', 0.5)),
    'decoding': tuple(
        (name, f'{name}, GTiff alone', 1.0) for name in ('zstd', 'deflate', 'lzw')
    ),
    'natural': (('ours', 'fastest plain loop', 0.9),),
}  # fmt: skip
INDEX_SECONDS = {'cold': 60.0, 'cached': 2.0}
MOST_WAITING = 0.03

Run = Callable[[], object]
Place = tuple[str, int, int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('sections', nargs='*', default=[], help=f'of {", ".join(SECTIONS)}')
    parser.add_argument('--folder', type=Path, help='keep generated files here')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--quick', action='store_true', help='fewer files and rounds')
    parser.add_argument('--child', help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.child:
        CHILDREN[arguments.child](arguments)
        return
    unknown = set(arguments.sections) - set(SECTIONS)
    if unknown:
        parser.error(f'sections must be of {", ".join(SECTIONS)}, got {", ".join(unknown)}')
    print(describe_run())
    with generated_files(arguments.folder) as folder:
        arguments.folder = folder
        for name in arguments.sections or SECTIONS:
            print(f'\n### {name}\n')
            SECTIONS[name](arguments)


def describe_run() -> str:
    """Say on what, with what and when this ran."""
    with open('/proc/cpuinfo') as info:
        model = next(line.split(':')[1].strip() for line in info if line.startswith('model name'))
    commit = subprocess.run(
        ['git', 'rev-parse', '--short', 'HEAD'], capture_output=True, text=True, check=False
    ).stdout.strip()
    names = ('torch', 'torchgeo', 'torchvision', 'rasterio', 'pillow')
    versions = ', '.join(f'{name} {version(name)}' for name in names)
    return (
        f'{model}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}, GDAL '
        f'{rasterio.__gdal_version__}, commit {commit}, {datetime.now(UTC):%Y-%m-%d}'
    )


@contextmanager
def generated_files(folder: Path | None) -> Iterator[Path]:
    """Give a folder for generated files, a temporary one unless it is named."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder.absolute()
        return
    with tempfile.TemporaryDirectory() as temporary:
        yield Path(temporary)


def measure(runs: dict[str, Run], *, samples: int, rounds: int) -> dict[str, float]:
    """Time contenders in turn; returns the median milliseconds per sample."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for number in track(range(rounds), 'Measuring', console=Console(stderr=True), transient=True):
        for name in list(runs)[:: 1 if number % 2 == 0 else -1]:
            begin = perf_counter()
            runs[name]()
            taken[name].append(1000 * (perf_counter() - begin) / samples)
    return {name: statistics.median(times) for name, times in taken.items()}


def report(section: str, times: dict[str, float]) -> None:
    """Print a table of times and ratios with their limits."""
    print('| contender | ms per sample | samples per second |\n|---|--:|--:|')
    for name, ms in times.items():
        print(f'| {name} | {ms:.3f} | {1000 / ms:,.0f} |')
    print()
    for name, other, limit in LIMITS[section]:
        ratio = times[other] / times[name]
        verdict = 'met' if ratio >= limit else 'MISSED'
        print(f'- {name} / {other}: {ratio:.3g} (at least {limit:g}: {verdict})')


def texture(side: tuple[int, int], seed: int) -> np.ndarray:
    """Draw smooth noise of shape (3, *side*), which compresses about as aerial images do."""
    generator = np.random.default_rng(seed)
    noise = [gaussian_filter(generator.normal(size=side).astype('float32'), 3) for _ in range(3)]
    bands = np.stack(noise)
    return (bands / bands.std() * 40 + 128).clip(0, 255).astype(np.uint8)


def large_tiles(folder: Path, count: int) -> list[str]:
    """Write GeoTIFFs side by side."""
    target = folder / 'tiles'
    target.mkdir(exist_ok=True)
    files = [target / f'{number}.tif' for number in range(count)]
    missing = [file for file in files if not file.exists()]
    profile = {
        'driver': 'GTiff', 'height': SIDE, 'width': SIDE, 'count': 3, 'dtype': 'uint8',
        'tiled': True, 'blockxsize': BLOCK, 'blockysize': BLOCK, 'compress': 'deflate',
        'crs': 'EPSG:32633',
    }  # fmt: skip
    for file in track(missing, 'Writing GeoTIFFs', console=Console(stderr=True), transient=True):
        left = 500000 + 10 * SIDE * int(file.stem)
        transform = from_origin(left, 5000000, 10, 10)
        with rasterio.open(file, 'w', transform=transform, **profile) as dst:
            dst.write(texture((SIDE, SIDE), int(file.stem)))
    return [str(file) for file in files]


def warm(arguments: argparse.Namespace) -> None:
    """Read patches whose blocks are in GDAL's cache; runs in a process with a large one."""
    # each contender has handles, and GDAL caches blocks per handle
    start_child('warm', arguments, GDAL_CACHEMAX='2048')


def warm_child(arguments: argparse.Namespace) -> None:
    files = large_tiles(arguments.folder, 4)
    count = 300 if arguments.quick else 1000
    raw, floats = GeoTIFFPatches(files, raw=True), GeoTIFFPatches(files)
    sampler = PatchSampler(raw, size=SIZE, length=count)
    theirs = RasterDataset(files)
    their_sampler = RandomPatchSampler(theirs, size=SIZE, length=count // 4)
    windows = [sampler.patch(0, index) for index in range(count)]
    places = [(files[tile], window.row_off, window.col_off) for tile, window in windows]
    # every block, into the cache
    for file in files:
        bare_reader(file, os.getpid()).read()
    runs: dict[str, Run] = {
        'bare rasterio': partial(bare_reads, places),
        'dataset[index]': lambda: [raw[index] and None for index in sampler],
        'dataset[index], float32': lambda: [floats[index] and None for index in sampler],
        'read_patch(patch)': lambda: [
            raw.read_patch(*sampler.patch(0, i)) is None for i in range(count)
        ],
        # four times, to take as many samples
        'torchgeo': lambda: [
            theirs[index] and None for _ in range(4) for index in their_sampler
        ],
    }  # fmt: skip
    report('warm', measure(runs, samples=count, rounds=arguments.rounds))


@cache
def bare_reader(file: str, process: int) -> rasterio.DatasetReader:
    """Open a file once per process; a handle that survives a fork reads from wrong places."""
    return rasterio.open(file)


def bare_reads(places: Sequence[Place]) -> int:
    """Read windows on handles that stay open."""
    total = 0
    for file, row, col in places:
        window = RasterioWindow(col, row, SIZE, SIZE)
        total += int(bare_reader(file, os.getpid()).read([1, 2, 3], window=window)[0, 0, 0])
    return total


def cold(arguments: argparse.Namespace) -> None:
    """Read patches whose blocks have to be decoded, through a loader."""
    start_child('cold', arguments, GDAL_CACHEMAX='2')


def cold_child(arguments: argparse.Namespace) -> None:
    folder = arguments.folder / 'links'
    folder.mkdir(exist_ok=True)
    originals = large_tiles(arguments.folder, 10)
    for number in range(200):
        link = folder / f'{number:03d}.tif'
        if not link.exists():
            os.link(originals[number % 10], link)
    count = 384 if arguments.quick else 1280
    dataset = GeoTIFFPatches(folder, raw=True)
    sampler = PatchSampler(dataset, size=SIZE, length=count)
    places = [
        (dataset.files[tile], window.row_off, window.col_off)
        for tile, window in (sampler.patch(0, index) for index in range(count))
    ]
    pool = ProcessPoolExecutor(WORKERS)

    def bare_of_two() -> None:
        # in turns, as a loader deals batches out
        list(pool.map(bare_reads, (places[rank::WORKERS] for rank in range(WORKERS))))

    runs: dict[str, Run] = {
        'bare, 1 process': partial(bare_reads, places),
        'loader, 0 workers': loop_over(dataset, sampler, workers=0),
        'bare, 2 processes': bare_of_two,
        'loader, 2 workers': loop_over(dataset, sampler, workers=WORKERS),
    }
    report('cold', measure(runs, samples=count, rounds=arguments.rounds))
    pool.shutdown()


def loop_over(dataset: GeoTIFFPatches, sampler: PatchSampler, *, workers: int) -> Run:
    """Make a loop over a loader whose workers stay."""
    loader = DataLoader(
        dataset, sampler=sampler, batch_size=64, num_workers=workers,
        persistent_workers=workers > 0, prefetch_factor=4 if workers else None,
    )  # fmt: skip
    return lambda: [batch['image'].shape and None for batch in loader]


def objects(arguments: argparse.Namespace) -> None:
    """Read patches with the objects in them."""
    start_child('objects', arguments, GDAL_CACHEMAX='2')


def objects_child(arguments: argparse.Namespace) -> None:
    files = large_tiles(arguments.folder, 4)
    labels = arguments.folder / 'boxes.csv'
    generator = np.random.default_rng(0)
    with labels.open('w') as text:
        text.write('image,xmin,ymin,xmax,ymax,label\n')
        for file in files:
            sides = generator.uniform(8, 60, (2000, 2))
            corners = generator.uniform(0, SIDE - 60, (2000, 2))
            for box in np.concatenate([corners, corners + sides], axis=1).tolist():
                text.write(f'{Path(file).name},{",".join(f"{v:.1f}" for v in box)},thing\n')
    count = 128 if arguments.quick else 512
    runs: dict[str, Run] = {}
    for name, kind in (
        ('with boxes', GeoTIFFObjectDetectionDataModule),
        ('with masks', GeoTIFFInstanceSegmentationDataModule),
    ):
        module = kind(files, labels, size=SIZE, length=count, batch_size=16)
        module.setup('fit')
        runs[name] = partial(run_through, module.train_dataloader())
    patches = module.train_patches
    assert patches is not None
    runs['without labels'] = partial(
        run_through, DataLoader(WithoutLabels(patches), sampler=range(count), batch_size=16)
    )
    report('objects', measure(runs, samples=count, rounds=arguments.rounds))


class WithoutLabels(Dataset[dict[str, torch.Tensor]]):
    """The images of training patches alone."""

    def __init__(self, patches: TrainingPatches) -> None:
        """Initialize a new WithoutLabels instance of the places of *patches*."""
        self.patches, self.images = patches, patches.tiles.images

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """Read one."""
        place = self.patches.patch(0, index)
        image = self.images.read_patch(*place).numpy().astype(np.float32)
        valid = self.images.read_valid(*place)
        if not valid.all():
            image[:, ~valid] = np.nan
        return {'image': torch.from_numpy(image)}


def run_through(loader: DataLoader[Any]) -> None:
    """Load all batches."""
    for batch in loader:
        assert batch['image'].shape[1:] == (3, SIZE, SIZE)


def decoding(arguments: argparse.Namespace) -> None:
    """Read scenes as prediction does."""
    originals = large_tiles(arguments.folder, 1)
    runs: dict[str, Run] = {}
    for name in ('zstd', 'deflate', 'lzw'):
        file = str(arguments.folder / f'{name}.tif')
        if not Path(file).exists():
            rasterio.shutil.copy(
                originals[0], file, driver='GTiff', tiled=True, blockxsize=BLOCK, blockysize=BLOCK,
                compress=name, interleave='pixel',
            )  # fmt: skip
        runs[name] = partial(read_cells, file, driver=block_decoder.DRIVER)
        runs[f'{name}, GTiff alone'] = partial(read_cells, file, driver='none')
    report('decoding', measure(runs, samples=PATCHES**2, rounds=arguments.rounds))


def read_cells(file: str, *, driver: str) -> None:
    """Read all patches of a scene; a *driver* that does not exist leaves blocks to GTiff."""
    header, size = read_header(file), SIDE // PATCHES
    source = CellSource(
        opener=partial(open_reader, file), bands=(1, 2, 3), block_shape=header.block_shape
    )
    out = np.empty((3, size, size), dtype=np.uint8)
    with (
        patch.object(block_decoder, 'DRIVER', driver),
        gdal_cache(64 * 2**20),
        CellReader([source], plan_cells(header), dtype=out.dtype, threads=WORKERS) as reader,
    ):
        windows = [
            [
                Window(row_off=row, col_off=col, height=size, width=size)
                for col in range(0, SIDE, size)
            ]
            for row in range(0, SIDE, size)
        ]
        for row, following in zip_longest(windows, windows[1:], fillvalue=list[Window]()):
            for window in (*row, *following):
                reader.request(window)
            for window in row:
                reader.take(window, out)
            reader.release(row[0].row_stop)


def index(arguments: argparse.Namespace) -> None:
    """Time the way from a folder of many files to the first sample."""
    folder = arguments.folder / 'many'
    count = 2000 if arguments.quick else 20000
    write_tiny(folder, count)
    remembered = arguments.folder / 'remembered'
    shutil.rmtree(remembered, ignore_errors=True)
    print(f'{count:,} GeoTIFFs; seconds without imports, memory beyond what imports take\n')
    print('| | data set | sampler | first sample | sum | MB |\n|---|--:|--:|--:|--:|--:|')
    for name, child in (
        ('cold', 'index'), ('cached', 'index'), ('torchgeo', 'torchgeo'),
    ):  # fmt: skip
        out = start_child(child, arguments, capture=True, GERSP_GEO_CACHE=str(remembered))
        *parts, memory = (float(number) for number in out.split())
        cells = ' | '.join(f'{seconds:.2f}' for seconds in (*parts, sum(parts)))
        limit = INDEX_SECONDS.get(name)
        verdict = '' if limit is None else ' met' if sum(parts) < limit else ' MISSED'
        print(
            f'| {name}{"" if limit is None else f" (< {limit:g} s:{verdict})"} | {cells} | {memory:.0f} |'
        )


def write_tiny(folder: Path, count: int) -> None:
    """Write small GeoTIFFs on a grid, a thousand per folder."""
    pixels = np.random.default_rng(0).integers(0, 255, (3, 32, 32), dtype=np.uint8)
    files = [folder / f'{number // 1000:02d}' / f'{number:05d}.tif' for number in range(count)]
    missing = [file for file in files if not file.exists()]
    for file in track(missing, 'Writing files', console=Console(stderr=True), transient=True):
        file.parent.mkdir(parents=True, exist_ok=True)
        down, across = divmod(int(file.stem), 142)
        transform = from_origin(500000 + 320 * across, 5000000 - 320 * down, 10, 10)
        with rasterio.open(
            file, 'w', driver='GTiff', height=32, width=32, count=3, dtype='uint8',
            crs='EPSG:32633', transform=transform,
        ) as dst:  # fmt: skip
            dst.write(pixels)


def index_child(arguments: argparse.Namespace) -> None:
    folder = arguments.folder / 'many'
    steps: list[Callable[..., object]] = [
        lambda: GeoTIFFPatches(folder, raw=True),
        lambda dataset: (dataset, PatchSampler(dataset, size=16, length=1000)),
        lambda pair: pair[0][next(iter(pair[1]))],
    ]
    time_steps(steps)


def torchgeo_child(arguments: argparse.Namespace) -> None:
    folder = arguments.folder / 'many'
    steps: list[Callable[..., object]] = [
        lambda: RasterDataset(folder),
        lambda dataset: (dataset, RandomPatchSampler(dataset, size=16, length=1000)),
        lambda pair: pair[0][next(iter(pair[1]))],
    ]
    time_steps(steps)


def time_steps(steps: Sequence[Callable[..., object]]) -> None:
    """Run steps, each on the result of the one before; print seconds of each and MB of all."""
    before = getrusage(RUSAGE_SELF).ru_maxrss
    taken: list[float] = []
    results: list[object] = []
    for step in steps:
        begin = perf_counter()
        results.append(step(*results[-1:]))
        taken.append(perf_counter() - begin)
    memory = (getrusage(RUSAGE_SELF).ru_maxrss - before) / 1024
    print(' '.join(map(str, taken)), memory)


def photographs(folder: Path, count: int = 256) -> Path:
    """Write JPEGs in two classes."""
    target = folder / 'natural'
    for number in range(count):
        file = target / 'ab'[number % 2] / f'{number}.jpg'
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            pixels = texture((375, 500), number).transpose(1, 2, 0)
            Image.fromarray(pixels).save(file, quality=90)
    return target


def natural(arguments: argparse.Namespace) -> None:
    """Decode and crop natural images in one process."""
    folder = photographs(arguments.folder)
    stream = open_natural(folder, size=SIZE, seed=0, crop_scale=CROP)
    files = [str(file) for file, _ in stream.samples]  # type: ignore[union-attr]
    times = measure(
        {
            'ours': lambda: [
                stream.draw(cycle=0, index=i)['label'] is None for i in range(len(stream))
            ],
            'PIL, resized by PIL': lambda: [pil_loop(file) is None for file in files],
            'PIL, resized by torch': lambda: [mixed_loop(file) is None for file in files],
            'torchvision': lambda: [torchvision_loop(file) is None for file in files],
        },
        samples=len(files),
        rounds=2 * arguments.rounds + 1,
    )
    plain = [ms for name, ms in times.items() if name != 'ours']
    report('natural', times | {'fastest plain loop': min(plain)})


def draw_box(height: int, width: int) -> tuple[int, int, int, int]:
    """Draw a crop as torchvision does."""
    top, left, rows, cols = RandomResizedCrop.get_params(
        torch.empty(1, 1, 1).expand(3, height, width), CROP, (3 / 4, 4 / 3)
    )
    return top, left, rows, cols


def pil_loop(file: str) -> torch.Tensor:
    image = Image.open(file).convert('RGB')
    top, left, rows, cols = draw_box(image.height, image.width)
    box = (left, top, left + cols, top + rows)
    small = image.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1)


def mixed_loop(file: str) -> torch.Tensor:
    pixels = torch.from_numpy(np.array(Image.open(file).convert('RGB'))).permute(2, 0, 1)
    return crop_and_resize(pixels)


def torchvision_loop(file: str) -> torch.Tensor:
    # deprecated since torchvision 0.29, and the fastest where it exists
    from torchvision.io import ImageReadMode, decode_jpeg, read_file

    return crop_and_resize(decode_jpeg(read_file(file), mode=ImageReadMode.RGB))


def crop_and_resize(pixels: torch.Tensor) -> torch.Tensor:
    top, left, rows, cols = draw_box(*pixels.shape[1:])
    part = pixels[None, :, top : top + rows, left : left + cols]
    return F.interpolate(part, size=(SIZE, SIZE), mode='bilinear', antialias=True)[0]


def keeping_up(arguments: argparse.Namespace) -> None:
    """See whether workers that could just keep up by bare decoding do."""
    start_child('keeping-up', arguments, GDAL_CACHEMAX='2')


def keeping_up_child(arguments: argparse.Namespace) -> None:
    files, folder = large_tiles(arguments.folder, 10), photographs(arguments.folder)
    batch, steps, warm_up = 64, 20 if arguments.quick else 60, 10
    data = GeRSPDataModule(
        files, folder, size=SIZE, batch_size=batch, steps_per_epoch=steps, num_workers=WORKERS,
        natural_crop_scale=CROP, prefetch_factor=4,
    )  # fmt: skip
    data.setup('fit')
    sampler = PatchSampler(GeoTIFFPatches(files, raw=True), size=SIZE, length=batch)
    places = [
        (files[tile], window.row_off, window.col_off)
        for tile, window in (sampler.patch(0, i) for i in range(batch))
    ]
    images = [str(file) for file in sorted(folder.rglob('*.jpg'))[:batch]]
    with ProcessPoolExecutor(WORKERS) as pool:
        rounds = []
        for _ in range(arguments.rounds + 1):
            begin = perf_counter()
            # a batch per process, all at once: the cores share caches and memory
            list(pool.map(bare_batch, [places] * WORKERS, [images] * WORKERS))
            rounds.append(perf_counter() - begin)
    bare = statistics.median(rounds[1:])
    model = 1.15 * bare / WORKERS
    loader = iter(data.train_dataloader())
    waited = []
    for _ in range(steps):
        begin = perf_counter()
        batch_read = next(loader)
        waited.append(perf_counter() - begin)
        sleep(model)
        # as in a training loop, where the model has used it by now
        del batch_read
    waiting = sum(waited[warm_up:])
    share = waiting / (waiting + model * (steps - warm_up))
    verdict = 'met' if share < MOST_WAITING else 'MISSED'
    print(
        f'Bare decoding of a batch ({batch} patches and {batch} photographs) takes each of '
        f'{WORKERS} processes {bare:.3f} s; model {model:.3f} s per step; waiting '
        f'{1000 * waiting / (steps - warm_up):.1f} ms per step, {share:.2%} '
        f'(below {MOST_WAITING:.0%}: {verdict})'
    )


def bare_batch(places: Sequence[Place], images: Sequence[str]) -> int:
    """Decode one batch by the fastest plain means."""
    torch.set_num_threads(1)
    return bare_reads(places) + sum(int(torchvision_loop(file)[0, 0, 0]) for file in images)


def start_child(
    name: str, arguments: argparse.Namespace, *, capture: bool = False, **environment: str
) -> str:
    """Run a part in a process of its own; returns what it printed if that is captured."""
    command = [sys.executable, __file__, '--child', name, '--folder', str(arguments.folder)]
    command += ['--rounds', str(arguments.rounds), *(['--quick'] if arguments.quick else [])]
    done = subprocess.run(
        command, env=os.environ | environment, check=True, text=True,
        stdout=subprocess.PIPE if capture else None,
    )  # fmt: skip
    return done.stdout if capture else ''


SECTIONS: dict[str, Callable[[argparse.Namespace], None]] = {
    'warm': warm, 'cold': cold, 'objects': objects, 'decoding': decoding, 'index': index, 'natural': natural, 'keeping-up': keeping_up,
}  # fmt: skip
CHILDREN: dict[str, Callable[[argparse.Namespace], None]] = {
    'warm': warm_child, 'cold': cold_child, 'objects': objects_child, 'index': index_child, 'torchgeo': torchgeo_child,
    'keeping-up': keeping_up_child,
}  # fmt: skip

if __name__ == '__main__':
    main()
