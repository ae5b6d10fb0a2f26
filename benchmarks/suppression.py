"""Suppression of a million boxes over a scene of 100,000 x 100,000 px, streamed row by row.

    python benchmarks/suppression.py                 # three layouts
    python benchmarks/suppression.py --boxes 100000

Layouts: boxes anywhere; twenty guesses per object, as detectors without suppression of their own
give; and chains that overlap from the top of the scene to its end. Patches of 512 px, 64 of them
shared. Each case has a process of its own: time without making the boxes, and the highest resident
set (VmHWM) of the whole process, libraries and boxes included. A case that fits is then held
against torchvision's batched_nms over all boxes at once.
"""

import argparse
import json
import os
import subprocess
import sys
from importlib.metadata import version
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from gersp_geo.suppression import Detections, Suppressor
from gersp_geo.tiling import plan_tile

SIDE, SIZE, OVERLAP, THRESHOLD = 100_000, 512, 64, 0.5
LAYOUTS = ('anywhere', 'guesses', 'chains')
MOST_SECONDS, MOST_GIB = 60, 1.0
# more take batched_nms minutes
COMPARED = 50_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--boxes', type=int, default=1_000_000)
    parser.add_argument('--layout', choices=LAYOUTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.layout:
        print(json.dumps(measure(arguments.layout, arguments.boxes)))
        return
    print(f'{os.cpu_count()} cores, numpy {version("numpy")}, {arguments.boxes:,} boxes\n')
    print('| layout | kept | most open | s | peak, MiB | |\n|---|--:|--:|--:|--:|---|')
    for layout in LAYOUTS:
        command = [sys.executable, __file__, '--layout', layout, '--boxes', str(arguments.boxes)]
        done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE)
        result = json.loads(done.stdout.splitlines()[-1])
        is_met = result['seconds'] <= MOST_SECONDS and result['peak'] <= MOST_GIB * 2**30
        print(
            f'| {layout} | {result["kept"]:,} | {result["open"]:,} | {result["seconds"]:.1f} '
            f'| {result["peak"] / 2**20:,.0f} | {"met" if is_met else "MISSED"} |',
            flush=True,
        )
        if result['equal'] is not None:
            print(f'|  equal to batched_nms at once: {"yes" if result["equal"] else "NO"} |||||')
    print(f'\nAt most {MOST_SECONDS} s and {MOST_GIB:g} GiB.')


def measure(layout: str, count: int) -> dict[str, object]:
    """Suppress one layout, row of patches by row of patches."""
    found = make_boxes(layout, count)
    offsets = plan_tile(SIDE, SIDE, size=SIZE, overlap=OVERLAP).row_offs
    # a box comes with the last row of patches that may hold it
    row = np.searchsorted(offsets, found.boxes[:, 1], side='right') - 1
    order = np.argsort(row, kind='stable')
    edges = np.searchsorted(row[order], np.arange(len(offsets) + 1))
    suppressor = Suppressor(threshold=THRESHOLD)
    kept, most_open = [], 0
    begin = perf_counter()
    for number, following in enumerate((*offsets[1:], np.inf)):
        some = found.take(order[edges[number] : edges[number + 1]])
        kept.append(suppressor.add(some, open_row=following))
        most_open = max(most_open, len(suppressor))
    seconds = perf_counter() - begin
    result = Detections.join(kept)
    peak = highest_resident_set()
    equal = None if count > COMPARED else is_equal(found, result)
    return {
        'kept': len(result),
        'open': most_open,
        'seconds': seconds,
        'peak': peak,
        'equal': equal,
    }


def make_boxes(layout: str, count: int) -> Detections:
    """Make boxes of ten classes, with sides of 10 to 60 px unless in chains."""
    random = np.random.default_rng(0)
    guesses = 20 if layout == 'guesses' else 1
    objects = -(-count // guesses)
    if layout == 'chains':
        columns = max(1, count * 20 // SIDE)
        step = SIDE / (count / columns)
        number = np.arange(count)
        corners = np.column_stack([number % columns * SIDE / columns, number // columns * step])
        # neighbours share three fifths of what they cover together
        sides = np.full((count, 2), 4 * step)
        labels = number % columns % 10
    else:
        corners = random.uniform(0, SIDE - 70, (objects, 2))
        sides = random.uniform(10, 60, (objects, 2))
        labels = random.integers(0, 10, objects)
    boxes = np.repeat(np.hstack([corners, corners + sides]), guesses, axis=0)[:count]
    if guesses > 1:
        boxes += random.normal(0, 1, boxes.shape)
    return Detections(
        boxes=boxes,
        labels=np.repeat(labels, guesses)[:count],
        scores=random.uniform(0, 1, count),
        is_cut=np.zeros(count, dtype=np.bool_),
        is_wanted=np.ones(count, dtype=np.bool_),
        outlines=np.full(count, None),
    )


def is_equal(found: Detections, result: Detections) -> bool:
    """Compare with all boxes at once."""
    import torch
    from torchvision.ops import batched_nms

    keep = batched_nms(
        torch.from_numpy(found.boxes), torch.from_numpy(found.scores),
        torch.from_numpy(found.labels), THRESHOLD,
    )  # fmt: skip
    return np.array_equal(sorted_rows(found.boxes[keep.numpy()]), sorted_rows(result.boxes))


def sorted_rows(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Order boxes by their coordinates."""
    return boxes[np.lexsort(boxes.T)]


def highest_resident_set() -> int:
    """Read how many bytes of memory this process has had at most."""
    with open('/proc/self/status') as status:
        line = next(line for line in status if line.startswith('VmHWM'))
    return int(line.split()[1]) * 1024


if __name__ == '__main__':
    main()
