"""A reproduction that fits two CPU cores: GeRSP and single streams, equal numbers of images seen.

    python benchmarks/reproduction.py prepare EUROSAT TINY_IMAGENET UC_MERCED WORK
    python benchmarks/reproduction.py run WORK --runs FOLDER

EUROSAT holds a folder per class and split_seeded.csv; only its split 'train' is ever trained on.
TINY_IMAGENET and UC_MERCED hold a folder per class; benchmarks/reproduction_results.py judges
weights by the latter, on which nothing is trained. `run` does what is missing of the list below,
one run at a time, and may run several times at once; each finished run is a row of runs.csv in the
folder of --runs, and what it logged is in curves.csv there. Weights are chosen by validation images
alone. simclr-remote needs lightly (1.6.0), whose transform, head and loss it takes; without it, it
is left out.
"""

import argparse
import csv
import fcntl
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any, cast

import lightning
import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader, Dataset, RandomSampler

from gersp_geo import GeRSPDataModule, GeRSPTask
from gersp_geo.batch_types import JointBatch
from gersp_geo.callbacks import PreprocessingRecord
from gersp_geo.datasets.decoding import decode_image
from gersp_geo.evaluation import evaluation_mode, top_k_accuracy
from gersp_geo.models.backbones import create_backbone

MODEL, SIDE, CLASSES, IMAGES = 'resnet18', 64, 200, 128
SEARCH_STEPS, STEPS, EPOCHS = 100, 400, 20
# at most half of the images, so that no image meets its own key
QUEUE = 2048
RATES = (0.03, 0.1)
THREE_SEEDS = (0, 1, 2)


type Key = tuple[str, str, int, float]
"""Method, role, seed and learning rate of a run."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """How a backbone is trained."""

    remote: str | None = None
    """Folder of the unlabelled stream; None where only natural images are learned from."""

    natural: bool = False
    """Whether labels of natural images are learned from."""

    settings: tuple[tuple[str, Any], ...] = ()
    start: str | None = None
    """Method whose weights are the start; None for random ones."""

    seeds: Sequence[int] = (0,)
    rates_of: str | None = None
    """Method whose learning rate is taken; None where it is chosen."""

    size: int = SIDE
    """Side of the views in pixels; the images have 64 px, and are judged so."""

    steps: int = STEPS
    queue: int = QUEUE


RELEASED = (('moco_momentum', 0.999), ('teacher_projector', 'frozen'))
SHORT = (('moco_momentum', 0.99),)
# views keep half of an image at least, and colours change a quarter as much
GENTLE = (('crop_scale', (0.5, 1.0)), ('color_strength', 0.25))
CHANGES: dict[str, dict[str, Any]] = {
    'gentle': {'settings': (*RELEASED, *GENTLE)},
    'queue-512': {'queue': 512},
    '32-px': {'size': 32},
    '800-steps': {'steps': 800},
    '96-px': {'size': 96},
}
METHODS = {
    'supervised-natural': Method(natural=True, seeds=THREE_SEEDS),
    'gersp-released': Method(remote='eurosat', natural=True, settings=RELEASED, seeds=THREE_SEEDS),
    'moco-remote': Method(remote='eurosat', settings=SHORT, seeds=THREE_SEEDS),
    'moco-union': Method(remote='union', settings=SHORT, seeds=THREE_SEEDS),
    # the teacher of the released variant alone, without natural labels
    'moco-union-released': Method(remote='union', settings=RELEASED, seeds=THREE_SEEDS),
    'gersp-from-supervised': Method(
        remote='eurosat',
        natural=True,
        settings=RELEASED,
        start='supervised-natural',
        rates_of='gersp-released',
        seeds=THREE_SEEDS,
    ),
    # the same start and the same images, without natural labels in the second half
    'moco-union-from-supervised': Method(
        remote='union',
        settings=RELEASED,
        start='supervised-natural',
        rates_of='moco-union-released',
        seeds=THREE_SEEDS,
    ),
    'gersp-paper': Method(remote='eurosat', natural=True, settings=(('moco_momentum', 0.996),)),
    'gersp-short': Method(remote='eurosat', natural=True, settings=SHORT),
    'simclr-remote': Method(remote='eurosat'),
    'moco-natural': Method(remote='natural_flat', settings=SHORT),
    **{
        f'gersp-released-weight-{weight}': Method(
            remote='eurosat',
            natural=True,
            settings=(*RELEASED, ('supervised_weight', weight)),
            rates_of='gersp-released',
        )
        for weight in (0.0, 0.3, 3.0)
    },
    # what may keep natural labels from showing, with them and without
    **{
        f'{name}-{change}': Method(
            remote=remote,
            natural=natural,
            rates_of=name,
            # what is best by validation images at the first seed
            seeds=THREE_SEEDS if change == 'gentle' else (0,),
            **({'settings': RELEASED} | options),
        )
        for change, options in CHANGES.items()
        for name, remote, natural in (
            ('gersp-released', 'eurosat', True),
            ('moco-union-released', 'union', False),
        )
    },
    'supervised-natural-gentle': Method(
        natural=True, settings=GENTLE, rates_of='supervised-natural', seeds=THREE_SEEDS
    ),
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """A row of runs.csv."""

    method: str
    role: str
    seed: int
    lr: float
    steps: int
    images_seen: int
    val_knn5: float
    """Share of validation images right by five neighbours among the training images."""

    last_loss: float
    seconds: float
    threads: int
    precision: str
    torch: str
    lightning: str
    commit: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True)
    prepare_words = commands.add_parser('prepare')
    prepare_words.add_argument('eurosat', type=Path)
    prepare_words.add_argument('natural', type=Path)
    prepare_words.add_argument('merced', type=Path)
    prepare_words.add_argument('work', type=Path)
    run_words = commands.add_parser('run')
    run_words.add_argument('work', type=Path)
    run_words.add_argument('--runs', type=Path, required=True)
    run_words.add_argument('--threads', type=int, default=1)
    # bfloat16 is fast only where the processor multiplies it, and ten times as slow elsewhere
    run_words.add_argument('--precision', default='32-true', choices=('32-true', 'bf16-mixed'))
    options = parser.parse_args()
    if options.command == 'prepare':
        prepare(options.eurosat, options.natural, options.merced, options.work)
        return
    check_precision(options.runs, options.precision)
    options.runs.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    while run_next(options.work, options.runs, options.precision):
        pass


def prepare(eurosat: Path, natural: Path, merced: Path, work: Path) -> None:
    """Lay out, by links, what is trained on and what is judged.

    What is trained on are EuroSAT's training images, natural ones, and their union.
    """
    with (eurosat / 'split_seeded.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    photographs = sorted(natural.glob('*/*'))
    sources = {
        'eurosat': [eurosat / row['filename'] for row in rows if row['split'] == 'train'],
        'natural_flat': photographs,
    }
    sources['union'] = sources['eurosat'] + sources['natural_flat']
    for name, files in sources.items():
        shutil.rmtree(work / name, ignore_errors=True)
        (work / name).mkdir(parents=True)
        for image in files:
            (work / name / f'{image.parent.name}_{image.name}').symlink_to(image.resolve())
    for name, folder in (('natural', natural), ('eurosat_rgb', eurosat), ('ucmerced', merced)):
        (work / name).unlink(missing_ok=True)
        (work / name).symlink_to(folder.resolve())
    shutil.copy(eurosat / 'split_seeded.csv', work / 'eurosat_rgb.csv')
    with (work / 'ucmerced.csv').open('w', newline='') as file:
        csv.writer(file, lineterminator='\n').writerows(split_merced(merced))
    for split in ('train', 'val'):
        chosen = [row for row in rows if row['split'] == split]
        text = ''.join(f'{(eurosat / r["filename"]).resolve()}\t{r["label"]}\n' for r in chosen)
        (work / f'{split}.tsv').write_text(text)
    print({name: len(files) for name, files in sources.items()})


def split_merced(folder: Path) -> Iterator[tuple[str, str]]:
    """Draw 10 training and 4 validation images of each class; the rest, about half, are tested."""
    yield 'filename', 'split'
    draw = Random(0)
    for images in (sorted(one.iterdir()) for one in sorted(folder.iterdir()) if one.is_dir()):
        draw.shuffle(images)
        for place, image in enumerate(images):
            split = 'train' if place < 10 else 'val' if place < 14 else 'test'
            yield f'{image.parent.name}/{image.name}', split


def check_precision(folder: Path, precision: str) -> None:
    """Refuse to compare final runs of two precisions."""
    others = {row['precision'] for row in read(folder) if row['role'] == 'final'} - {precision}
    if others:
        raise SystemExit(
            f'final runs in {folder} are of {", ".join(sorted(others))}, got --precision '
            f'{precision}; pass the same one, or another WORK and another --runs'
        )


def run_next(work: Path, folder: Path, precision: str) -> bool:
    """Do the first run that is neither done nor begun; False if there is none."""
    done = {
        (row['method'], row['role'], int(row['seed']), float(row['lr'])): row
        for row in read(folder)
    }
    for method, role, seed, lr in list_runs(done):
        claim = work / 'claims' / f'{method}-{role}-{seed}-{lr}'
        claim.parent.mkdir(parents=True, exist_ok=True)
        try:
            claim.touch(exist_ok=False)
        except FileExistsError:
            continue
        try:
            train(work, folder, method=method, role=role, seed=seed, lr=lr, precision=precision)
        finally:
            claim.unlink(missing_ok=True)
        return True
    return False


def list_runs(done: dict[Key, dict[str, str]]) -> Iterator[Key]:
    """List what is missing, as far as it is known, in the order of its use."""
    for is_single in (False, True):
        # what is compared over seeds comes before what has one
        names = [name for name in METHODS if (len(METHODS[name].seeds) == 1) == is_single]
        if not find_spec('lightly'):
            names = [name for name in names if name != 'simclr-remote']
        searches = [(name, lr) for name in names for lr in RATES if not METHODS[name].rates_of]
        for name, lr in searches:
            if (name, 'search', 0, lr) not in done:
                yield name, 'search', 0, lr
        for seed in range(max(len(METHODS[name].seeds) for name in names)):
            for name in names:
                rate = best_rate(done, METHODS[name].rates_of or name)
                if rate is None or seed not in METHODS[name].seeds:
                    continue
                if (name, 'final', seed, rate) not in done:
                    yield name, 'final', seed, rate


def best_rate(done: dict[Key, dict[str, str]], method: str) -> float | None:
    """Choose the learning rate by validation images; None before all were tried."""
    tried = {lr: done[key] for lr in RATES if (key := (method, 'search', 0, lr)) in done}
    if len(tried) < len(RATES):
        return None
    return max(RATES, key=lambda lr: float(tried[lr]['val_knn5']))


class Supervised(GeRSPTask):
    """The supervised stream alone: the same augmentation, student and head."""

    def training_step(self, batch: JointBatch, batch_idx: int, dataloader_idx: int = 0) -> Tensor:
        """Classify natural images."""
        views = self.natural_view(batch['natural']['image'])
        logits, label = self.classification_head(self(views)), batch['natural']['label']
        loss = F.cross_entropy(logits, label)
        accuracy = top_k_accuracy(logits.detach(), label, k=1)
        logged = {
            'train_loss': loss,
            'train_supervised_loss': loss,
            'train_supervised_acc1': accuracy,
        }
        self.log_step(logged, batch_size=len(label))
        return loss


class SimCLR(LightningModule):
    """A rival without teacher and queue, of lightly's parts; temperature as in its benchmarks."""

    def __init__(self, files: Sequence[Path], *, lr: float, batches: int) -> None:
        """Initialize a new SimCLR instance."""
        super().__init__()
        loss, heads, transforms = (
            import_module(f'lightly.{name}')
            for name in ('loss', 'models.modules.heads', 'transforms')
        )
        self.files, self.lr, self.batches = files, lr, batches
        self.backbone = create_backbone(MODEL, in_channels=3, size=SIDE)
        self.projection_head = heads.SimCLRProjectionHead(512, 512, 128)
        self.criterion = loss.NTXentLoss(temperature=0.1)
        self.transform = transforms.SimCLRTransform(input_size=SIDE)

    def train_dataloader(self) -> DataLoader[Path]:
        """Draw the images of an epoch."""
        order = RandomSampler(self.files, num_samples=self.batches * IMAGES)
        files = cast(Dataset[Path], self.files)
        return DataLoader(files, batch_size=IMAGES, sampler=order, collate_fn=list)

    def training_step(self, batch: list[Path], batch_idx: int) -> Tensor:
        """Tell two views of an image from those of others."""
        views = [self.transform(Image.open(file)) for file in batch]
        images = torch.stack([view for pair in zip(*views, strict=True) for view in pair])
        first, second = self.projection_head(self.backbone(images)).float().chunk(2)
        loss: Tensor = self.criterion(first, second)
        self.log('train_loss', loss, on_step=True, on_epoch=True, batch_size=IMAGES)
        return loss

    def configure_optimizers(self) -> Any:
        """Optimise as all others."""
        optimizer = SGD(self.parameters(), lr=self.lr, momentum=0.9, weight_decay=5e-4)
        return [optimizer], [CosineAnnealingLR(optimizer, EPOCHS, eta_min=self.lr / 30)]


class Watch(Callback):
    """Notes losses, and now and then the share of validation images that neighbours classify."""

    def __init__(self, work: Path, every: int) -> None:
        """Initialize a new Watch instance."""
        self.work, self.every = work, every
        self.rows: list[dict[str, Any]] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, *arguments: Any, **more: Any
    ) -> None:
        """Note."""
        step = trainer.global_step
        if step % 10 and step != trainer.max_steps:
            return
        names = ('train_loss', 'train_contrastive_loss', 'train_supervised_loss')
        found = trainer.callback_metrics
        row: dict[str, Any] = {'step': step} | {
            name: f'{float(found[f"{name}_step"]):.5g}' for name in names if f'{name}_step' in found
        }
        if step % self.every == 0 or step == trainer.max_steps:
            row['val_knn5'] = f'{validate(cast(Any, pl_module).backbone, self.work):.4f}'
        self.rows.append(row)


def open_run(
    work: Path, method: str, *, seed: int, lr: float, steps: int
) -> tuple[LightningModule, GeRSPDataModule | None]:
    """Build what is trained, and what it is trained on."""
    chosen = METHODS[method]
    if method == 'simclr-remote':
        files = sorted((work / 'eurosat').iterdir())
        return SimCLR(files, lr=lr, batches=steps // EPOCHS), None
    settings = {'supervised_weight': 1.0 if chosen.natural else 0.0} | dict(chosen.settings)
    weights = None
    if chosen.start:
        pattern = f'{chosen.start}-final-{seed}-*.safetensors'
        weights = next((work / 'backbones').glob(pattern), None)
        if weights is None:
            raise SystemExit(
                f'{method} starts from {work / "backbones" / pattern}, which must exist; train '
                f'{chosen.start} here first, with a folder for --runs that has no row of it'
            )
    only_natural = chosen.remote is None
    task = (Supervised if only_natural else GeRSPTask)(
        model=MODEL,
        weights=None if weights is None else str(weights),
        size=chosen.size,
        num_classes=CLASSES,
        memory_bank_size=chosen.queue,
        lr=lr,
        min_lr=lr / 30,
        restart_period=EPOCHS,
        **settings,
    )
    both = chosen.natural and not only_natural
    data = GeRSPDataModule(
        str(work / (chosen.remote or 'eurosat')),
        str(work / 'natural') if chosen.natural else None,
        size=chosen.size,
        batch_size=1 if only_natural else IMAGES // 2 if both else IMAGES,
        natural_batch_size=IMAGES if only_natural else IMAGES // 2,
        steps_per_epoch=steps // EPOCHS,
        seed=seed,
    )
    return task, data


def train(
    work: Path, folder: Path, *, method: str, role: str, seed: int, lr: float, precision: Any
) -> None:
    """Train one backbone, keep it and its figures."""
    steps = SEARCH_STEPS if role == 'search' else METHODS[method].steps
    seed_everything(seed, verbose=False)
    task, data = open_run(work, method, seed=seed, lr=lr, steps=steps)
    task.to(memory_format=torch.channels_last)
    watch = Watch(work, every=steps if role == 'search' else steps // 2)
    trainer = Trainer(
        max_steps=steps,
        accelerator='cpu',
        precision=precision,
        # a rival draws its images anew in each epoch
        reload_dataloaders_every_n_epochs=int(data is None),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[watch] if data is None else [PreprocessingRecord(), watch],
    )
    begin = time.perf_counter()
    trainer.fit(task, datamodule=data)
    seconds = time.perf_counter() - begin
    name = f'{method}-{role}-{seed}-{lr}'
    backbones = work / 'backbones'
    backbones.mkdir(exist_ok=True)
    save_file(
        {key: value.contiguous() for key, value in cast(Any, task).backbone.state_dict().items()},
        backbones / f'{name}.safetensors',
    )
    last = watch.rows[-1]
    run = Run(
        method=method,
        role=role,
        seed=seed,
        lr=lr,
        steps=steps,
        images_seen=steps * IMAGES,
        val_knn5=float(last['val_knn5']),
        last_loss=float(last['train_loss']),
        seconds=round(seconds),
        threads=torch.get_num_threads(),
        precision=precision,
        torch=torch.__version__,
        lightning=lightning.__version__,
        commit=read_commit(),
    )
    append(folder / 'runs.csv', [asdict(run)], [field.name for field in fields(Run)])
    names = ('step', 'train_loss', 'train_contrastive_loss', 'train_supervised_loss', 'val_knn5')
    append(folder / 'curves.csv', [{'run': name} | row for row in watch.rows], ['run', *names])
    print(run, flush=True)


def read_commit() -> str:
    words = ['git', 'rev-parse', '--short', 'HEAD']
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def read(folder: Path) -> list[dict[str, str]]:
    path = folder / 'runs.csv'
    if not path.exists():
        return []
    with path.open(newline='') as file:
        return list(csv.DictReader(file))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time write."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix('.lock').open('w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def append(path: Path, rows: Sequence[dict[str, Any]], names: Sequence[str]) -> None:
    """Add rows to a CSV, whole."""
    with locked(path):
        is_new = not path.exists()
        with path.open('a', newline='') as file:
            writer = csv.DictWriter(file, names, lineterminator='\n')
            if is_new:
                writer.writeheader()
            writer.writerows(rows)


def validate(backbone: nn.Module, work: Path) -> float:
    """Classify the validation images by five neighbours among the training images."""
    bank, bank_labels = open_images(work / 'train.tsv')
    images, labels = open_images(work / 'val.tsv')
    classes = sorted(set(bank_labels))
    mean, std = (value[:, None, None] for value in measure(bank.float()))

    @torch.no_grad()
    def describe(pixels: Tensor) -> Tensor:
        found = []
        for rows in pixels.split(256):
            normal = (rows.float() - mean) / std
            found.append(backbone(normal.to(memory_format=torch.channels_last)))
        return torch.cat(found)

    with evaluation_mode(backbone):
        known, wanted = describe(bank), describe(images)
    nearest = torch.cdist(wanted, known).topk(5, largest=False).indices
    of_bank = torch.tensor([classes.index(label) for label in bank_labels])
    votes = F.one_hot(of_bank[nearest], len(classes)).sum(dim=1)
    truth = torch.tensor([classes.index(label) for label in labels])
    return float((votes.argmax(dim=1) == truth).float().mean())


def measure(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Measure mean and deviation of each band of images (N, C, rows, cols)."""
    values = pixels.transpose(0, 1).flatten(1)
    return values.mean(dim=1), values.std(dim=1)


_OPENED: dict[Path, tuple[Tensor, list[str]]] = {}


def open_images(table: Path) -> tuple[Tensor, list[str]]:
    """Decode the images of a table once."""
    if table not in _OPENED:
        rows = [line.split('\t') for line in table.read_text().splitlines()]
        images = torch.stack([decode_image(Path(file), size=SIDE) for file, _ in rows])
        _OPENED[table] = images, [label for _, label in rows]
    return _OPENED[table]


if __name__ == '__main__':
    main()
