"""What several workers bring, and what it costs that they claim parts.

    python benchmarks/workers.py                            # all sections, about 20 minutes on two cores
    python benchmarks/workers.py simulation --workers 100 --parts 10000    # a part of it
    python benchmarks/workers.py claims --folder /dev/shm   # on another file system

- scaling: two workers over one, each of them with one thread, in turn (A B B A ...); medians of the
  pixels per second while all are at work. Once for a U-Net on ResNet-18, which is bound by a core,
  and once for five convolutions of one filter, which are bound by memory. The time until all have
  finished a part, and until the map is there, is stated apart.
- simulation: the driver, queue and claims as they are, with 1,000 workers as coroutines with a
  clock of their own, and 100,000 parts of one second. CPU time of this process is measured.
- claims: parts that a file system lets be claimed and settled per second, by 1, 2 and 8 processes in
  a folder that holds 0, 10,000 and 100,000 claims; and the time that one look at all takes.
"""

import argparse
import asyncio
import multiprocessing
import os
import platform
import statistics
import tempfile
from contextlib import redirect_stderr
from io import StringIO
from itertools import pairwise
from pathlib import Path
from time import perf_counter, process_time, time
from typing import Any

# before libraries look; processes that are started inherit it
os.environ['OMP_NUM_THREADS'] = '1'

import numpy as np
import torch
from rasterio.transform import from_origin
from torchgeo.tasks import SemanticSegmentation

from gersp_geo.geoio.write import write_raster
from gersp_geo.inference.options import MapOptions
from gersp_geo.inference.resume.parts import PlannedPart
from gersp_geo.inference.scenes import Done, Job, Jobs
from gersp_geo.inference.workers import processes
from gersp_geo.inference.workers.claims import Claims, Worker
from gersp_geo.inference.workers.driver import Ledger, drive
from gersp_geo.inference.workers.events import Begun, Event, PartDone, SceneDone, WorkerStopped
from gersp_geo.inference.workers.part_queue import PartQueue
from gersp_geo.inference.workers.together import predict_together
from gersp_geo.windows import Panel

# of one worker, and of the CPU time of all parts
LEAST_SPEEDUP, MOST_OF_PARTS = 1.8, 0.02
RECORD = {
    'bands': ['red', 'green', 'blue'], 'scale': [1 / 255] * 3, 'mean': [0.5] * 3,
    'std': [0.2] * 3, 'class_names': ['land', 'water'],
    'task_class': 'torchgeo.tasks.SemanticSegmentation',
}  # fmt: skip
# columns and rows; a part has at least one row of patches
MODELS: dict[str, tuple[int, int, dict[str, Any]]] = {
    'U-Net on ResNet-18': (1024, 9216, {'model': 'unet', 'backbone': 'resnet18', 'num_classes': 2}),
    'five convolutions of one filter': (
        4096,
        16_384,
        {'model': 'fcn', 'num_filters': 1, 'num_classes': 2},
    ),
}
HELD = (0, 10_000, 100_000)
NEVER = 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('sections', nargs='*', default=[], help=f'of {", ".join(SECTIONS)}')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--scale', type=float, default=1.0, help='of the rows of scenes')
    parser.add_argument('--workers', type=int, default=1000, help='of the simulation')
    parser.add_argument('--parts', type=int, default=100_000, help='of the simulation')
    parser.add_argument('--folder', type=Path, help='where claims lie')
    arguments = parser.parse_args()
    unknown = set(arguments.sections) - set(SECTIONS)
    if unknown:
        parser.error(f'sections must be of {", ".join(SECTIONS)}, got {", ".join(unknown)}')
    print(f'{platform.platform()}, {len(os.sched_getaffinity(0))} cores, torch {torch.__version__}')
    print('load', *(f'{load:.1f}' for load in os.getloadavg()))
    for name in arguments.sections or SECTIONS:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            print(f'\n{name}', flush=True)
            SECTIONS[name](Path(folder), arguments)


def judge(is_met: bool) -> str:
    """Say whether a target is met."""
    return 'MET' if is_met else 'MISSED'


class TimedCrew(processes.ProcessCrew):
    """Workers as processes, and when they told what."""

    told: list[tuple[float, int, Event]]
    """Seconds, worker and event; of the last crew."""

    def start(self) -> None:
        """Start all workers."""
        type(self).told = []
        super().start()

    def events(self, timeout: float) -> list[tuple[int, Event]]:
        """Wait for news, for some seconds at most."""
        found = super().events(timeout)
        self.told += [(perf_counter(), number, event) for number, event in found]
        return found


def run_scaling(folder: Path, arguments: argparse.Namespace) -> None:
    """Compare two workers with one."""
    processes.ProcessCrew = TimedCrew  # type: ignore[misc]  # for what hires it
    for name, (width, height, settings) in MODELS.items():
        scene, model = folder / 'scene.tif', folder / 'model.ckpt'
        write_scene(scene, width=width, height=round(height * arguments.scale / 512) * 512)
        torch.manual_seed(0)
        task = SemanticSegmentation(**settings)
        content = {'hyper_parameters': dict(task.hparams), 'pytorch-lightning_version': '2.6.0'}
        torch.save(content | {'state_dict': task.state_dict(), 'gersp_geo': RECORD}, model)
        rates: dict[int, list[float]] = {1: [], 2: []}
        for number in range(arguments.rounds):
            for workers in (1, 2) if number % 2 == 0 else (2, 1):
                rate, begun, whole = time_map(scene, folder / 'map.tif', model, workers=workers)
                rates[workers].append(rate)
                print(
                    f'{name}, {workers} worker(s): {rate:.3f} Mpx/s while all work; '
                    f'{begun:.1f} s until all have finished a part, {whole:.1f} s in all',
                    flush=True,
                )
        ratio = statistics.median(rates[2]) / statistics.median(rates[1])
        aim = f' (at least {LEAST_SPEEDUP}: {judge(ratio >= LEAST_SPEEDUP)})' * (width < 4096)
        print(f'{name}: two workers have {ratio:.2f} times the rate of one{aim}')


def write_scene(path: Path, *, width: int, height: int) -> None:
    """Write a scene of noise, three bands of uint8."""
    noise = np.random.default_rng(0).integers(1, 255, (3, 512, 512), dtype=np.uint8)
    pixels = np.tile(noise, (1, height // 512, width // 512))
    place = from_origin(4e5, 5e6, 10, 10)
    write_raster(path, pixels, crs='EPSG:32633', transform=place, overwrite=True)


def time_map(scene: Path, final: Path, model: Path, *, workers: int) -> tuple[float, float, float]:
    """Make a map; return megapixels per second while all work, and seconds until then and in all.

    The rate is that of the parts between the first one of whichever worker is last to finish one,
    and the last one of whichever has none left first.
    """
    options = MapOptions(
        workers=workers, threads=1, size=512, overlap=64, part_pixels=2**18, runtime='channels-last',
        progress=False, overwrite=True,
    )  # fmt: skip
    job = Job(scene=str(scene), final=final)
    started = perf_counter()
    predict_together('maps', str(model), Jobs(scenes=(job,), is_single=True), options)
    whole = perf_counter() - started
    parts = [
        (when, number, event.pixels)
        for when, number, event in TimedCrew.told
        if isinstance(event, PartDone)
    ]
    each = [[when for when, number, _ in parts if number == worker] for worker in range(workers)]
    if not all(each):
        raise SystemExit('a worker came too late to finish a part; pass a larger --scale')
    first, last = max(map(min, each)), min(map(max, each))
    pixels = sum(pixels for when, _, pixels in parts if first < when <= last)
    return pixels / 1e6 / (last - first), first - started, whole


class VirtualLoop(asyncio.SelectorEventLoop):
    """Has a clock that goes to the next thing that is due, whenever nothing is left to do."""

    now = 0.0

    def time(self) -> float:
        """Say what time it is."""
        return self.now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self.now = max(self.now, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


class VirtualCrew:
    """Workers that take the time of a part, and compute nothing."""

    def __init__(self, size: int, parts: list[PlannedPart], folder: Path) -> None:
        """Set up; each worker is on a machine of its own."""
        self.size, self.parts, self.folder = size, parts, folder
        self.loop, self.seconds = VirtualLoop(), 0.0
        self.news: list[tuple[int, Event]] = []
        self.made: list[int] = []
        (folder / 'claims').mkdir()

    def start(self) -> None:
        """Start all workers."""
        self.tasks = [self.loop.create_task(self._work(number)) for number in range(self.size)]
        pixels = sum(part.pixels for part in self.parts)
        self.news.append((0, Begun(scene=0, pixels=pixels, pixels_before=0)))

    def events(self, timeout: float) -> list[tuple[int, Event]]:
        """Let all workers work for a while; that is not counted as the driver's time."""
        started = process_time()
        self.loop.run_until_complete(asyncio.sleep(timeout))
        found, self.news = self.news, []
        self.seconds += process_time() - started
        return found

    def replace(self, number: int) -> None:
        """Nobody dies here."""
        raise RuntimeError(f'worker {number} has died')

    def stop(self) -> None:
        """End all workers."""
        self.loop.close()

    async def _work(self, number: int) -> None:
        worker = Worker(name=f'worker-{number}', run='run', host=f'host-{number}')
        queue = PartQueue(self.parts, Claims(self.folder, worker, lease=NEVER))
        for run in queue.runs():
            for part in run:
                await asyncio.sleep(1)
                queue.done(part)
                self.made.append(part.number)
                self.news.append((number, PartDone(scene=0, pixels=part.pixels)))
        if len(self.made) >= len(self.parts):
            self.news.append((number, SceneDone(scene=0, done=Done(summary=None))))
        self.news.append((number, WorkerStopped(reason=None)))


def run_simulation(folder: Path, arguments: argparse.Namespace) -> None:
    """Count the CPU time that driver and claims take, with workers that take none."""
    panel = Panel(col_off=0, col_stop=4096, patches=range(9))
    rows = pairwise(range(0, 1024 * (arguments.parts + 1), 1024))
    parts = [
        PlannedPart(
            number=number, panel=panel, rows=range(number, number + 1), row_off=top, row_stop=stop
        )
        for number, (top, stop) in enumerate(rows)
    ]
    crew = VirtualCrew(arguments.workers, parts, folder)
    job = Job(scene='scene.tif', final=folder / 'map.tif')
    ledger, started = Ledger(scenes=1), process_time()
    with redirect_stderr(StringIO()):
        drive(crew, Jobs(scenes=(job,), is_single=True), ledger, progress=True)
    driver, count = process_time() - started - crew.seconds, len(parts)
    assert sorted(crew.made) == list(range(count))
    print(
        f'{arguments.workers:,} workers made {count:,} parts of 1 s, each once, in '
        f'{crew.loop.now:,.1f} s of their clock (at best {count / arguments.workers:,.1f} s)\n'
        f'driver: {driver:.2f} s of CPU, {driver / count:.4%} of the parts '
        f'(at most {MOST_OF_PARTS:.0%}: {judge(driver <= MOST_OF_PARTS * count)})\n'
        f'claims of all workers: {crew.seconds:.0f} s of CPU, {crew.seconds / count:.2%} of the parts'
    )


def run_claims(folder: Path, arguments: argparse.Namespace) -> None:
    """Count claims per second."""
    print(f'in {folder.parent}')
    for held in HELD:
        place = folder / str(held)
        (place / 'claims').mkdir(parents=True)
        for number in range(held):
            (place / 'claims' / f'{number}.0.done').touch()
        claims = Claims(place, Worker(name='0', run='run', host='host'), lease=NEVER)
        claims.survey()
        started = perf_counter()
        claims.survey()
        look = perf_counter() - started
        rates = [count_claims(place, workers) for workers in (1, 2, 8)]
        each = ', '.join(f'{rate:,.0f}' for rate in rates)
        print(
            f'{held:,} claims: {each} taken and settled per second by 1, 2, 8 processes; '
            f'a look at all takes {look * 1e3:.1f} ms'
        )


def count_claims(place: Path, workers: int) -> float:
    """Have processes take and settle what nobody else does; return how many per second."""
    # forked, as imports would be counted else
    with multiprocessing.get_context('fork').Pool(workers) as pool:
        begin = time() + 1
        each = pool.starmap(claim_many, [(place, name, begin) for name in range(workers)])
    for path in (place / 'claims').glob('*-*'):
        path.unlink()
    return sum(count for count, _ in each) / (max(end for _, end in each) - begin)


def claim_many(place: Path, name: int, begin: float, count: int = 2000) -> tuple[int, float]:
    """Take and settle, from a time on; return how much that was, and when it ended."""
    claims = Claims(place, Worker(name=str(name), run='run', host='host'), lease=NEVER)
    while time() < begin:
        pass
    for number in range(count):
        key = f'{name}-{number}'
        claims.take(key, None)
        claims.settle(key, 'done')
    return count, time()


SECTIONS = {'scaling': run_scaling, 'simulation': run_simulation, 'claims': run_claims}

if __name__ == '__main__':
    main()
