"""Time of one GeRSP step beside the bare backbones' and torchgeo's, in one process.

    python benchmarks/step.py
    python benchmarks/step.py --device cuda --compile

On a CPU, glibc gives tensors above 32 MiB fresh pages each time, which makes a batch of 32 slower
than two of 16; `make bench` turns that off for everything that is compared, as
https://docs.pytorch.org/tutorials/recipes/recipes/tuning_guide.html advises for allocators.

- bare: student forward and backward on both streams in one batch, teacher forward; timm modules;
- step: GeRSPTask on normalised images with augmentation off, backward, SGD;
- step+aug: the same from uint8 with the default augmentation;
- torchgeo: MoCo version 2 on the remote-sensing images with augmentation off, then Classification
  on the natural ones, each with its own backward and optimiser;
- torchgeo+aug: the same with MoCo's default augmentation, from images in [0, 1].

They run in turn, in reverse order in every other round. No task has a Trainer attached, so that
none pays for logging: torchgeo's call ``self.log``, which warns and returns.
"""

import argparse
import platform
import subprocess
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from os import environ
from pathlib import Path
from time import perf_counter
from typing import Any, cast

import numpy as np
import timm
import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.utils.flop_counter import FlopCounterMode
from torchgeo.tasks import BaseTask, Classification, MoCo

from gersp_geo import GeRSPTask
from gersp_geo.bands import RGB
from gersp_geo.losses import info_nce
from gersp_geo.momentum import enqueue, update_teacher

# common to GeRSPTask and torchgeo's tasks
NUM_CLASSES, OUTPUT_DIM, TEMPERATURE, MOMENTUM = 1000, 128, 0.07, 0.996
# what is compared, with what, and per device the largest ratio of their times that is acceptable
LIMITS = (
    ('step', 'bare', {'cpu': 1.04, 'cuda': 1.05}),
    ('step+aug', 'bare', {'cpu': 1.07, 'cuda': 1.10}),
    ('step', 'torchgeo', {'cpu': 1.0, 'cuda': 1.0}),
    ('step+aug', 'torchgeo+aug', {'cpu': 1.0, 'cuda': 1.0}),
)
DEFAULTS: dict[str, dict[str, Any]] = {
    'cpu': {'size': 128, 'batch': 16, 'rounds': 11, 'precision': 'fp32', 'channels_last': False},
    'cuda': {'size': 224, 'batch': 256, 'rounds': 30, 'precision': 'bf16', 'channels_last': True},
}

Run = Callable[[], object]
# seconds, and GiB of device memory above what was held before, of each timed step
Taken = list[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What every contender shares; *batch* counts the images of one stream."""

    model: str
    size: int
    batch: int
    queue: int
    rounds: int
    device: str
    precision: str
    channels_last: bool
    compile: bool

    def autocast(self) -> AbstractContextManager[object]:
        """Lower the precision of a forward pass as Lightning's mixed precision does."""
        return torch.autocast(self.device, torch.bfloat16, enabled=self.precision == 'bf16')

    def place(self, module: nn.Module, *networks: nn.Module) -> None:
        """Move a module to the device and compile its *networks* in place."""
        layout = torch.channels_last if self.channels_last else torch.preserve_format
        module.to(self.device).to(memory_format=layout)
        for network in networks if self.compile else ():
            network.compile()


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Both streams as uint8 and normalised, the remote-sensing one also in [0, 1]."""

    raw: tuple[Tensor, Tensor]
    unit: Tensor
    normalised: tuple[Tensor, Tensor]
    label: Tensor


def main() -> None:
    settings = parse_settings()
    torch.manual_seed(0)
    warnings.filterwarnings('ignore', message=r'You are trying to `self\.log')
    images = draw_images(settings)
    runs: dict[str, Run] = {
        'bare': bare_step(settings, images),
        'step': gersp_step(settings, images, augmented=False),
        'step+aug': gersp_step(settings, images, augmented=True),
        'torchgeo': torchgeo_step(settings, images, augmented=False),
        'torchgeo+aug': torchgeo_step(settings, images, augmented=True),
    }
    taken = measure(runs | parts_of_step(settings, images), settings)
    print(
        *describe(settings), *tabulate(taken, settings), *tabulate_ratios(taken, settings), sep='\n'
    )


def parse_settings() -> Settings:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    parser.add_argument('--device', choices=tuple(DEFAULTS), default=device)
    parser.add_argument('--model', default='resnet50', help='name of a timm model')
    parser.add_argument('--size', type=int, help='pixels; 128, on cuda 224')
    parser.add_argument('--batch', type=int, help='images of each stream; 16, on cuda 256')
    parser.add_argument('--queue', type=int, default=65536, help='number of keys')
    parser.add_argument('--rounds', type=int, help='timed steps of each; 11, on cuda 30')
    parser.add_argument('--precision', choices=('fp32', 'bf16'), help='fp32, on cuda bf16')
    yes_or_no = argparse.BooleanOptionalAction
    parser.add_argument('--channels-last', action=yes_or_no, help='no, on cuda yes')
    parser.add_argument('--compile', action='store_true', help='compile every backbone')
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    return Settings(**(DEFAULTS[given['device']] | given))


def draw_images(settings: Settings) -> Images:
    shape = (2, settings.batch, 3, settings.size, settings.size)
    raw = torch.randint(0, 256, shape, dtype=torch.uint8, device=settings.device)
    layout = torch.channels_last if settings.channels_last else torch.contiguous_format
    statistics = torch.tensor([RGB.mean, RGB.std], device=settings.device)
    mean, std = statistics[..., None, None]
    first, second = (stream.float().div(255).contiguous(memory_format=layout) for stream in raw)
    return Images(
        raw=(raw[0], raw[1]),
        unit=first,
        normalised=((first - mean) / std, (second - mean) / std),
        label=torch.randint(0, NUM_CLASSES, (settings.batch,), device=settings.device),
    )


def bare_step(settings: Settings, images: Images) -> Run:
    student = timm.create_model(settings.model, num_classes=0)
    teacher = deepcopy(student).requires_grad_(False)
    settings.place(student, student)
    settings.place(teacher, teacher)
    # the gradient of a plain sum nearly vanishes in BatchNorm
    columns = cast(int, student.num_features)
    weights = torch.randn(2 * settings.batch, columns, device=settings.device)

    def run() -> None:
        with settings.autocast():
            features = student(torch.cat(images.normalised))
            with torch.no_grad():
                teacher(images.normalised[0])
        (features * weights).mean().backward()
        student.zero_grad()

    return run


def gersp_step(settings: Settings, images: Images, *, augmented: bool) -> Run:
    task = new_task(settings, augmentation=None if augmented else nn.Identity())
    remote, natural = images.raw if augmented else images.normalised
    labelled = {'image': natural, 'label': images.label}
    batch = {'remote_sensing': {'image': remote}, 'natural': labelled}
    return partial(optimise, task, optimizer_of(task), batch, settings)


def new_task(settings: Settings, *, augmentation: nn.Module | None) -> GeRSPTask:
    task = GeRSPTask(
        settings.model,
        output_dim=OUTPUT_DIM,
        temperature=TEMPERATURE,
        memory_bank_size=settings.queue,
        moco_momentum=MOMENTUM,
        size=settings.size,
        num_classes=NUM_CLASSES,
        augmentation1=augmentation,
        augmentation_natural=augmentation,
    )
    settings.place(task, task.backbone, task.backbone_momentum)
    return task


def torchgeo_step(settings: Settings, images: Images, *, augmented: bool) -> Run:
    augmentation = None if augmented else nn.Identity()
    moco = MoCo(
        settings.model,
        version=2,
        # what torchgeo documents for version 2, where GeRSP does not say otherwise
        layers=2,
        hidden_dim=2048,
        output_dim=OUTPUT_DIM,
        lr=0.03 * settings.batch / 256,
        weight_decay=1e-4,
        temperature=TEMPERATURE,
        memory_bank_size=settings.queue,
        moco_momentum=MOMENTUM,
        size=settings.size,
        augmentation1=augmentation,
        augmentation2=augmentation,
    )
    classification = Classification(settings.model, num_classes=NUM_CLASSES)
    settings.place(moco, moco.backbone, moco.backbone_momentum)
    settings.place(classification, classification.model)
    optimizers = optimizer_of(moco), optimizer_of(classification)
    pairs = {'image': images.unit if augmented else images.normalised[0]}
    labelled = {'image': images.normalised[1], 'label': images.label}

    def run() -> None:
        optimise(moco, optimizers[0], pairs, settings)
        optimise(classification, optimizers[1], labelled, settings)

    return run


def optimizer_of(task: BaseTask) -> Optimizer:
    return cast(Optimizer, cast(dict[str, object], task.configure_optimizers())['optimizer'])


def optimise(task: BaseTask, optimizer: Optimizer, batch: object, settings: Settings) -> None:
    with settings.autocast():
        loss = cast(Tensor, task.training_step(batch, 1))  # GeRSPTask checks labels in batch 0 only
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()


def parts_of_step(settings: Settings, images: Images) -> dict[str, Run]:
    """What a GeRSP step does beside the bare passes and small heads, on a task of its own."""
    task = new_task(settings, augmentation=None)
    optimizer = optimizer_of(task)
    for parameter in task.parameters():
        if parameter.requires_grad:
            parameter.grad = 1e-3 * torch.randn_like(parameter)
    embeddings = torch.randn(2, settings.batch, OUTPUT_DIM, device=settings.device)
    query, key = F.normalize(embeddings, dim=2)
    query.requires_grad_()

    def teacher() -> None:
        update_teacher(task.backbone_momentum, task.backbone, momentum=MOMENTUM)
        update_teacher(task.projection_head_momentum, task.projection_head, momentum=MOMENTUM)

    def contrast() -> None:
        with settings.autocast():
            loss = info_nce(query, key, task.queue.clone(), temperature=TEMPERATURE)
        loss.backward()
        enqueue(task.queue, task.queue_ptr, key)

    def augment() -> None:
        with settings.autocast():
            task.two_views(images.raw[0])
            task.natural_view(images.raw[1])

    return {
        # not `optimizer.step`, which a scheduler has replaced by one that holds it weakly
        'optimiser': lambda: optimizer.step(),
        'teacher update': teacher,
        'queue and contrastive loss': contrast,
        'augmentation (step+aug only)': augment,
    }


def measure(runs: Mapping[str, Run], settings: Settings) -> dict[str, Taken]:
    taken: dict[str, Taken] = {name: [] for name in runs}
    # first runs allocate; on an accelerator they also choose and compile kernels
    untimed = 3 if settings.device == 'cuda' or settings.compile else 1
    with Progress(console=Console(stderr=True)) as bar:
        work = bar.add_task('steps', total=len(runs) * (untimed + settings.rounds))
        for turn in range(-untimed, settings.rounds):
            for name in list(runs)[:: -1 if turn % 2 else 1]:
                cost = time_once(runs[name], cuda=settings.device == 'cuda')
                if turn >= 0:
                    taken[name].append(cost)
                bar.advance(work)
    return taken


def time_once(run: Run, *, cuda: bool) -> tuple[float, float]:
    if cuda:
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.synchronize()
    started, held = perf_counter(), torch.cuda.memory_allocated() if cuda else 0
    run()
    if cuda:
        torch.cuda.synchronize()
    peak = torch.cuda.max_memory_allocated() if cuda else 0
    return perf_counter() - started, (peak - held) / 2**30


def tabulate(taken: Mapping[str, Taken], settings: Settings) -> list[str]:
    bare = float(np.median(taken['bare'], axis=0)[0])
    steps = {name for pair in LIMITS for name in pair[:2]}
    lines = ['| | median | of bare | pairs/s | working memory |', '|---|---|---|---|---|']
    for name, costs in taken.items():
        seconds, gib = np.median(costs, axis=0)
        rate = f'{settings.batch / seconds:.4g}' if name in steps else ''
        memory = f'{gib:.2f} GiB' if gib else ''
        lines.append(
            f'| {name} | {seconds * 1e3:.4g} ms | {seconds / bare:.1%} | {rate} | {memory} |'
        )
    speed = count_flops(settings) / bare / 1e9
    return [*lines, '', f'bare computes {speed:,.0f} GFLOP/s (a multiply-add is two)']


def tabulate_ratios(taken: Mapping[str, Taken], settings: Settings) -> list[str]:
    lines = ['', '| ratio | median of rounds | quartiles | at most | |', '|---|---|---|---|---|']
    for ours, other, limits in LIMITS:
        limit = limits[settings.device]
        ratios = np.array(taken[ours])[:, 0] / np.array(taken[other])[:, 0]
        low, middle, high = np.percentile(ratios, (25, 50, 75))
        numbers = f'{middle:.3f} | {low:.3f} to {high:.3f} | {limit:.2f}'
        lines.append(f'| {ours} / {other} | {numbers} | {"met" if middle <= limit else "missed"} |')
    return lines


def count_flops(settings: Settings) -> int:
    with torch.device('meta'), FlopCounterMode(display=False) as counter:
        network = timm.create_model(settings.model, num_classes=0)
        images = torch.empty(2 * settings.batch, 3, settings.size, settings.size)
        network(images).sum().backward()
        with torch.no_grad():
            network(images[: settings.batch])
    return int(counter.get_total_flops())


def describe(settings: Settings) -> list[str]:
    names = ('torch', 'timm', 'torchgeo', 'lightning', 'lightly', 'kornia')
    versions = ', '.join(f'{name} {version(name)}' for name in names)
    python, today = platform.python_version(), datetime.now(UTC).date()
    count = f'{settings.batch} pairs and {settings.batch} natural images'
    options = f'{", channels last" * settings.channels_last}{", compiled" * settings.compile}'
    allocator = [f'{name}={value}' for name, value in environ.items() if name.startswith('MALLOC_')]
    return [
        f'{device_name(settings)}; Python {python}, {versions}; commit {find_commit()}; {today}',
        '',
        f'{settings.model}, {settings.size} px, {count}, queue of {settings.queue:,} keys, '
        + f'{settings.precision}{options}; {settings.rounds} rounds',
        *([f'with {" ".join(allocator)}'] if allocator else []),
        '',
    ]


def find_commit() -> str:
    """Name the commit; a copy of the tree has none, and a table that took minutes is not lost."""
    command = ('git', '-C', str(Path(__file__).parent), 'describe', '--always', '--dirty')
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return 'unknown'


def device_name(settings: Settings) -> str:
    if settings.device == 'cuda':
        return torch.cuda.get_device_name()
    information = Path('/proc/cpuinfo')
    lines = information.read_text().splitlines() if information.exists() else []
    models = [line.partition(': ')[2] for line in lines if line.startswith('model name')]
    return f'{(models or [platform.processor()])[0]}, {torch.get_num_threads()} threads'


if __name__ == '__main__':
    main()
