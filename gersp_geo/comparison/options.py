"""What an evaluation is asked for, and what of it can be refused before anything is read."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import get_args

from ..devices import find_device
from .published import check_benchmark
from .records import Candidate, FirstLayer, Normalization, Protocol

PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol.__value__)

type Paths = str | PathLike[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOptions:
    """How weights are compared; see :func:`.run.evaluate_weights`."""

    split: Paths | None = None
    bands: Sequence[int | str] | None = None
    size: int = 224
    normalization: Normalization = 'data'
    first_layers: Sequence[FirstLayer] = ('scaled',)
    rgb_bands: Sequence[int] | None = None
    protocols: Sequence[Protocol] = ('knn', 'linear')
    k: int = 5
    labels_per_class: Sequence[int] = (5, 20)
    draws: int = 50
    seed: int = 0
    resamples: int = 200
    baseline: str | None = None
    benchmark: str | None = None
    epochs: int = 10
    lrs: Sequence[float] = (1e-4, 1e-3)
    batch_size: int = 64
    device: str = 'auto'

    def check(self) -> None:
        """Refuse what no data and no weights can make right.

        Raises:
            ValueError: If a number is out of range, a name unknown, or the device is not there.
        """
        least = {
            'size': 1, 'k': 1, 'draws': 2, 'seed': 0, 'resamples': 2, 'epochs': 1, 'batch_size': 1,
        }  # fmt: skip
        for name, lowest in least.items():
            _check_least(name, getattr(self, name), lowest)
        for count in self.labels_per_class:
            _check_least('labels_per_class', count, 1)
        if 'finetune' in self.protocols:
            # batch normalisation has nothing to go by in one image
            _check_least('batch_size', self.batch_size, 2)
        for name in ('protocols', 'first_layers', 'labels_per_class', 'lrs'):
            if not getattr(self, name):
                raise ValueError(f'{name} must not be empty')
        for what, names, known in (
            ('protocols', self.protocols, PROTOCOLS),
            ('first_layers', self.first_layers, get_args(FirstLayer.__value__)),
            ('normalization', [self.normalization], get_args(Normalization.__value__)),
        ):
            if wrong := [name for name in names if name not in known]:
                raise ValueError(f'{what} must be of {", ".join(known)}, got {wrong[0]!r}')
        if wrong_rates := [lr for lr in self.lrs if not (lr > 0 and math.isfinite(lr))]:
            raise ValueError(f'a learning rate (--lr) must be > 0, got {wrong_rates[0]}')
        check_benchmark(self.benchmark)
        find_device(self.device)

    def check_counts(self, counts: Mapping[str, int], *, of_class: Mapping[str, int]) -> None:
        """Refuse what these images are too few for.

        Args:
            counts: Images of each split.
            of_class: Training images of each class.

        Raises:
            ValueError: If they are.
        """
        # a class that is not trained is told by a warning
        trained = {name: number for name, number in of_class.items() if number}
        if len(trained) < 2:
            raise ValueError(
                'training images must be of two classes at least, one sub-folder of the data each, '
                f'got {", ".join(map(repr, trained)) or "none"}'
            )
        if 'few-shot' in self.protocols:
            name, fewest = min(trained.items(), key=lambda pair: pair[1])
            if (most := max(self.labels_per_class)) > fewest:
                raise ValueError(
                    f'labels_per_class (--labels-per-class) must be <= {fewest}, the training '
                    f'images of class {name!r}, got {most}'
                )
        if 'knn' in self.protocols and self.k > counts['train']:
            raise ValueError(
                f'k (--k) must be <= {counts["train"]}, the training images, got {self.k}'
            )
        if 'finetune' in self.protocols and len(set(self.lrs)) > 1 and not counts['val']:
            raise ValueError(
                f'without a validation split nothing chooses among {len(set(self.lrs))} learning '
                'rates (--lr); give one'
            )

    def check_baseline(self, candidates: Sequence[Candidate]) -> None:
        """Refuse a baseline that is not compared.

        Raises:
            ValueError: If no candidate is called so.
        """
        labels = list(dict.fromkeys(candidate.label for candidate in candidates))
        if self.baseline is not None and self.baseline not in labels:
            raise ValueError(
                f'baseline (--baseline) must be one of {", ".join(labels)}, got {self.baseline!r}'
            )

    def decisive(self, protocol: Protocol) -> dict[str, str]:
        """Write what a figure follows from, '' for what has no part in a protocol."""
        trains, few = protocol == 'finetune', protocol == 'few-shot'
        return {
            'size': str(self.size),
            'rgb_bands': '' if self.rgb_bands is None else ' '.join(map(str, self.rgb_bands)),
            'normalization': self.normalization,
            'random_seed': str(self.seed),
            'k': str(self.k) if protocol == 'knn' else '',
            'draws': str(self.draws) if few else '',
            'resamples': '' if few else str(self.resamples),
            'epochs': str(self.epochs) if trains else '',
            'lrs': ' '.join(f'{lr:g}' for lr in sorted(set(self.lrs))) if trains else '',
            'batch_size': str(self.batch_size) if trains else '',
        }


def check_destination(folder: Path, data: Paths) -> None:
    """Refuse a folder whose files would be taken for images of another class.

    Raises:
        ValueError: If *folder* is the folder of the images, or lies in it.
    """
    if folder.resolve().is_relative_to(Path(data).resolve()):
        raise ValueError(
            f'{folder} (-o) lies in {data} (--data), whose folders are classes; pass another one'
        )


def _check_least(name: str, number: int, lowest: int) -> None:
    """Refuse a number that is too small."""
    if number < lowest:
        raise ValueError(f'{name} (--{name.replace("_", "-")}) must be >= {lowest}, got {number}')
