"""One candidate judged by one protocol."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from ..devices import find_device
from ..provenance import software
from . import few_shot, linear_probe, neighbours
from .candidates import open_features
from .features import extract
from .finetuning import finetune
from .image_sets import ImageSet
from .image_splits import SPLITS
from .intervals import bootstrap, difference
from .options import EvaluationOptions
from .progress import EvaluationProgress
from .records import Candidate, FeatureSet, Finding, Interval, Judged, Protocol
from .results import row_key

DEFINITIONS: Mapping[Protocol, str] = {
    'knn': 'torchgeo-bench 0.4',
    'linear': 'torchgeo-bench 0.4',
    'few-shot': 'linear probe at its minimum, one C for all draws',
    'finetune': 'torchgeo Classification with flips',
}
"""Whose protocols these are; another one whenever a figure would be."""

type Trial = tuple[Protocol, int | None]
"""A protocol, and labels per class of few-shot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """What candidates are judged on, and how."""

    options: EvaluationOptions
    images: ImageSet
    data: str
    """Folder of the images, as given."""

    folder: Path
    """Keeps features, and what trainings came to."""

    progress: EvaluationProgress

    def judge(
        self, candidate: Candidate, trial: Trial, settings: Mapping[str, str], *, anew: bool
    ) -> Finding:
        """Do what a protocol does with one candidate."""
        asked, (protocol, count) = self.options, trial
        labels = self.images.labels('test').numpy()
        judged: list[Judged]
        if protocol == 'finetune':
            judged = [self.train(candidate, settings, anew=anew)]
        else:
            features = self.features(candidate)
            judged = self.judge_features(features, protocol, count)
        right = [one.predictions == labels for one in judged]
        draws = tuple(float(one.mean()) for one in right) if protocol == 'few-shot' else ()
        return Finding(
            candidate=candidate,
            protocol=protocol,
            labels_per_class=count,
            accuracy=_average(draws)
            if draws
            else bootstrap(right[0], resamples=asked.resamples, seed=asked.seed),
            draws=draws,
            chosen=judged[0].chosen,
            settings=settings,
            predictions=() if draws else tuple(judged[0].predictions.tolist()),
        )

    def judge_features(
        self, features: FeatureSet, protocol: Protocol, count: int | None
    ) -> list[Judged]:
        """Judge frozen features: one result, or one per draw of few-shot."""
        train, val, test, asked = features.train, features.val, features.test, self.options
        if protocol == 'linear':
            return [linear_probe.probe(train, val, test)]
        if count is not None:
            return few_shot.judge(
                train, val, test, per_class=count, draws=asked.draws, seed=asked.seed, k=asked.k
            )
        found = neighbours.classify(
            test.features, bank=train.features, bank_labels=train.labels, k=asked.k
        )
        return [Judged(predictions=found.classes)]

    def train(self, candidate: Candidate, settings: Mapping[str, str], *, anew: bool) -> Judged:
        """Fine-tune a candidate; seeds of one label begin with other random numbers."""
        asked = self.options
        # a learning rate stays as it is when others are added
        key = row_key(candidate, 'finetune', None, {**settings, 'lrs': ''})
        rates = sorted(set(asked.lrs))
        return finetune(
            lambda: open_features(
                candidate,
                in_channels=len(self.images.bands),
                size=asked.size,
                record_of_data=self.images.record(),
                normalization=asked.normalization,
                rgb_bands=asked.rgb_bands,
            ),
            self.images,
            label=candidate.label,
            key=key,
            epochs=asked.epochs,
            lrs=rates,
            seed=candidate.seed,
            batch_size=asked.batch_size,
            device=torch.device(find_device(asked.device)),
            folder=self.folder / 'finetuning',
            anew=anew,
            advance=self.progress.begin(f'training {candidate.label}', asked.epochs * len(rates)),
        )

    def features(self, candidate: Candidate) -> FeatureSet:
        """Compute features, or read those that are kept."""
        asked = self.options
        return extract(
            candidate,
            self.images,
            cache=self.folder / 'features',
            batch_size=asked.batch_size,
            device=torch.device(find_device(asked.device)),
            normalization=asked.normalization,
            rgb_bands=asked.rgb_bands,
            advance=self.progress.begin(
                f'features of {candidate.label}', sum(count_images(self.images).values())
            ),
        )

    def settings(self, protocol: Protocol) -> dict[str, str]:
        """Write what the rows of a protocol depend on."""
        counts = {f'n_{name}': str(number) for name, number in count_images(self.images).items()}
        return {
            'data': self.data,
            'data_digest': self.images.digest[:16],
            'classes': str(len(self.images.classes)),
            **counts,
            'bands': ' '.join(self.images.bands),
            **self.options.decisive(protocol),
            'definition': DEFINITIONS[protocol],
            **software_versions(),
            'seconds': '',
        }


@cache
def software_versions() -> dict[str, str]:
    """Name the versions that a figure was found with."""
    return {
        'gersp_geo': ' '.join(software().values()),
        **{name: version(name) for name in ('torch', 'timm')},
    }


def count_images(images: ImageSet) -> dict[str, int]:
    """Count the images of each split."""
    return {name: len(images.files(name)) for name in SPLITS}


def _average(draws: Sequence[float]) -> Interval:
    """Find the mean of draws, and where that of all possible ones probably lies."""
    one = np.asarray([draws])
    found = difference(one, np.zeros_like(one))
    return replace(found, low=max(found.low, 0.0), high=min(found.high, 1.0))
