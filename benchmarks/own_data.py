"""Own data of every task: public sets in the layouts they come in, through the command alone.

    python -m benchmarks.own_data FOLDER --sets epfl dubai --minutes 3 --output runs/own

FOLDER holds the unpacked sets (``own_data_sets.py`` has the options a user would type for each). Each
set is trained from random weights with the configuration of its task, for so many minutes; its best
checkpoint is tested on ground that neither training nor validation saw, and makes a prediction of one
image. Prints a Markdown table: figures of validation and test, and that of the answer that needs no
model. Everything else is in --output/SET: log.txt, reports with pictures, and the prediction.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from .own_data_sets import SETS, OwnSet

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = ('torch', 'torchvision', 'torchgeo', 'lightning', 'rasterio')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=Path, help='of unpacked sets')
    parser.add_argument('--sets', nargs='+', choices=sorted(SETS), default=list(SETS))
    parser.add_argument('--minutes', type=float, default=3.0, help='of training, per set')
    parser.add_argument('--output', type=Path, default=Path('runs/own'))
    arguments = parser.parse_args()
    print(describe_machine())
    print('\n| set | task | given | best of | minutes | figure | validation | test | no model |')
    print('|---|---|---|--:|--:|---|--:|--:|--:|', flush=True)
    for name in arguments.sets:
        print(run_set(name, arguments), flush=True)


def describe_machine() -> str:
    """Name the processor, the versions and the commit."""
    cpus = Path('/proc/cpuinfo')
    found = re.search('model name\\s*: (.+)', cpus.read_text()) if cpus.exists() else None
    libraries = ', '.join(f'{name} {version(name)}' for name in LIBRARIES)
    commit = subprocess.run(
        ['git', 'rev-parse', '--short', 'HEAD'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return (
        f'{found[1] if found else platform.machine()}, one thread; Python '
        f'{platform.python_version()}, {libraries}; commit {commit}; {datetime.now(UTC):%Y-%m-%d}'
    )


def run_set(name: str, arguments: argparse.Namespace) -> str:
    """Train, test and predict one set, and give its row of the table."""
    chosen, folder = SETS[name], (arguments.output / name).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    data = next(arguments.folder.resolve().rglob(chosen.folder))
    (words, image) = chosen.words(data, folder)
    config = ['--config', str(ROOT / f'configs/finetune/{chosen.task}.yaml'), *words]
    limit = f'00:00:{int(arguments.minutes):02d}:{int(arguments.minutes % 1 * 60):02d}'
    begin = perf_counter()
    text = run(['fit', *config, '--trainer.max_time', limit, *chosen.fit], folder)
    minutes = (perf_counter() - begin) / 60
    checkpoint = choose_checkpoint(folder / 'runs' / chosen.task / 'checkpoints')
    text += run(['test', *config, '--ckpt_path', str(checkpoint)], folder)
    prediction = ['-o', str(folder / chosen.prediction), '--preview', str(folder / 'preview.png')]
    run(['predict', str(checkpoint), *image, *prediction, '--overwrite'], folder)
    val, test = (read_report(folder, stage) for stage in ('val', 'test'))
    values = ' | '.join(f'{chosen.value(report):.3f}' for report in (val, test))
    patches = re.search('training: ([\\d,]+) patches', text)
    steps = f'step {val["step"]:,}, {patches[1] if patches else "?"} patches per epoch'
    return (
        f'| {chosen.title} | {chosen.task} | {chosen.given} | {steps} | {minutes:.1f} | '
        f'{chosen.figure} | {values} | {answer_without_model(chosen, test):.3f} |'
    )


def run(words: Sequence[str], folder: Path) -> str:
    """Run the command on one thread in a folder of its own, and keep what it says."""
    command = [str(Path(sys.executable).with_name('gersp-geo')), *words]
    threads = {'OMP_NUM_THREADS': '1', 'MKL_NUM_THREADS': '1'}
    done = subprocess.run(
        command, cwd=folder, env=os.environ | threads, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    with (folder / 'log.txt').open('a', encoding='utf-8') as log:
        log.write(f'$ gersp-geo {" ".join(words)}\n{done.stdout}\n')
    if done.returncode:
        raise SystemExit(f'gersp-geo {" ".join(words)}\n{done.stdout[-2000:]}')
    return done.stdout


def choose_checkpoint(folder: Path) -> Path:
    """Take the best checkpoint; the last one where time was up before the first validation."""
    best = sorted(folder.glob('epoch=*.ckpt'), key=lambda file: file.stat().st_mtime)
    return best[-1] if best else folder / 'last.ckpt'


def read_report(folder: Path, stage: str) -> dict[str, Any]:
    """Read the newest report of validation or test, and its counts of true and predicted classes."""
    reports = folder.rglob(f'report/{stage}/metrics.json')
    newest = max(reports, key=lambda file: file.stat().st_mtime)
    report: dict[str, Any] = json.loads(newest.read_text(encoding='utf-8'))
    counts = newest.with_name('confusion_matrix.json')
    if counts.exists():
        report['counts'] = json.loads(counts.read_text(encoding='utf-8'))['counts']
    return report


def answer_without_model(chosen: OwnSet, report: dict[str, Any]) -> float:
    """Give the figure of the best answer that looks at no image: one class everywhere, or nothing."""
    if chosen.figure.startswith('AP50'):
        return 0.0
    true = np.asarray(report['counts'], dtype=float).sum(axis=1)
    shares = true / true.sum()
    if chosen.figure == 'accuracy':
        return float(shares.max())
    if chosen.counted is not None:
        # that class everywhere
        share = float(shares[list(report['classes']).index(chosen.counted)])
        return 2 * share / (1 + share)
    return float(shares.max() / (true > 0).sum())


if __name__ == '__main__':
    main()
