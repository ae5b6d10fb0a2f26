"""Weights compared on labelled images: what is asked for is checked, then judged row by row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

from ..geoio.write import check_writable
from . import neighbours, views
from .candidate_words import MEAN_COLORS, STATISTICS, parse_words
from .candidates import parse_candidates
from .image_sets import ImageSet
from .options import EvaluationOptions, check_destination
from .progress import EvaluationProgress
from .published import Setting, find_obstacle, find_published, list_published
from .records import Candidate, ComparedImages, Comparison, FeatureView, Finding
from .results import ResultsTable
from .tables import find_differences
from .trials import Judge, Trial, count_images


def evaluate_weights(
    weights: Sequence[str],
    data: str | PathLike[str],
    destination: str | PathLike[str],
    *,
    overwrite: bool = False,
    progress: bool = True,
    **options: Any,
) -> Comparison:
    """Compare weights by what their features, or they themselves once trained, tell apart.

    ``results.csv`` of *destination* gets a row as soon as it is known, and rows that are there are
    taken over: the same call goes on where another one was stopped, and a call with more weights
    adds to it.

    Args:
        weights: ``[LABEL=]SOURCE`` each: a name of published weights, a path to any known format,
            ``timm:NAME``, ``random:NAME``, ``mean-colours`` or ``image-statistics``.
        data: Folder with a folder of images per class.
        destination: Folder of results, features and predictions.
        overwrite: Judge anew what is there.
        progress: Show how far it is.
        **options: As in :class:`.options.EvaluationOptions`.

    Returns:
        All that tables and a page show.

    Raises:
        FileNotFoundError: If weights or images are missing.
        ValueError: If an option, weights and images do not fit together, or what is there is of
            something else.
        OSError: If results cannot be written.
    """
    asked = EvaluationOptions(**options)
    asked.check()
    folder = Path(destination)
    check_destination(folder, data)
    # files of images are only read once the words make sense
    parse_words(weights)
    check_writable(folder / 'results.csv')
    table = ResultsTable(folder)
    with EvaluationProgress(shown=progress) as shown:
        images = ImageSet(
            data, split=asked.split, bands=asked.bands, size=asked.size, seed=asked.seed,
            begin=shown.begin,
        )  # fmt: skip
        candidates = _choose_candidates(weights, asked, images)
        pairs = _pair(list(_list_trials(asked)), candidates, asked.baseline)
        shown.expect(len(pairs))
        evaluation = _Evaluation(
            judge=Judge(
                options=asked, images=images, data=str(data), folder=folder, progress=shown
            ),
            candidates=candidates,
            pairs=pairs,
            table=table,
        )
        findings = evaluation.find_all(anew=overwrite)
        seen = evaluation.look()
    return evaluation.compare(findings, seen)


def _choose_candidates(
    weights: Sequence[str], asked: EvaluationOptions, images: ImageSet
) -> tuple[Candidate, ...]:
    """Read what is compared, and refuse what does not fit the images."""
    per_class = np.bincount(images.labels('train').numpy(), minlength=len(images.classes))
    asked.check_counts(
        count_images(images), of_class=dict(zip(images.classes, per_class.tolist(), strict=True))
    )
    candidates = parse_candidates(
        weights,
        first_layers=asked.first_layers,
        seed=asked.seed,
        bands=images.bands,
        dtype=images.dtype,
        normalization=asked.normalization,
        rgb_bands=asked.rgb_bands,
    )
    asked.check_baseline(candidates)
    return candidates


def _list_trials(options: EvaluationOptions) -> Iterator[Trial]:
    """List what each candidate goes through, in the order asked for."""
    for protocol in dict.fromkeys(options.protocols):
        if protocol == 'few-shot':
            for count in dict.fromkeys(options.labels_per_class):
                yield protocol, count
        else:
            yield protocol, None


def _pair(
    trials: Sequence[Trial], candidates: Sequence[Candidate], baseline: str | None
) -> list[tuple[Trial, Candidate]]:
    """List what is judged how, trial by trial; what is no network is not trained."""
    pairs = [
        (trial, candidate)
        for trial in trials
        for candidate in candidates
        if trial[0] != 'finetune' or candidate.source not in (MEAN_COLORS, STATISTICS)
    ]
    if not pairs:
        raise ValueError(
            'nothing to train (--protocol finetune): mean-colours and image-statistics are no '
            'networks'
        )
    if baseline is not None and all(candidate.label != baseline for _, candidate in pairs):
        raise ValueError(
            f'baseline (--baseline) {baseline} is no network, and --protocol finetune trains networks '
            'alone; pass another baseline, or another protocol besides'
        )
    return pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class _Evaluation:
    """Everything that is known before the work."""

    judge: Judge
    candidates: tuple[Candidate, ...]
    pairs: Sequence[tuple[Trial, Candidate]]
    table: ResultsTable

    def find_all(self, *, anew: bool) -> list[Finding]:
        """Judge protocol by protocol, so that each of them is soon complete."""
        findings: list[Finding] = []
        for trial, candidate in self.pairs:
            findings.append(self.find(candidate, trial, anew=anew))
            self.judge.progress.judged()
        return findings

    def find(self, candidate: Candidate, trial: Trial, *, anew: bool) -> Finding:
        """Look a row up, or judge and add it."""
        settings = self.judge.settings(trial[0])
        found = None if anew else self.table.find(candidate, *trial, settings)
        if found is None:
            started = perf_counter()
            found = self.judge.judge(candidate, trial, settings, anew=anew)
            seconds = f'{perf_counter() - started:.1f}'
            found = replace(found, settings={**settings, 'seconds': seconds})
            self.table.add(found)
        return found

    def look(self) -> tuple[ComparedImages, list[FeatureView]]:
        """Picture a few test images, and what the features of each label take for alike."""
        images, asked = self.judge.images, self.judge.options
        labels = images.labels('test').numpy()
        shown = views.choose_shown(labels, seed=asked.seed)
        tests = [images.read('test', index).numpy() for index in shown]
        limits = views.shown_limits(tests, bands=images.bands)
        compared = ComparedImages(
            classes=images.classes,
            labels=labels,
            thumbnails=views.paint_thumbnails(tests, bands=images.bands, limits=limits),
            shown=shown,
        )
        if set(asked.protocols) == {'finetune'}:
            return compared, []
        firsts = {candidate.label: candidate for candidate in reversed(self.candidates)}
        seen = []
        for candidate in reversed(firsts.values()):
            features = self.judge.features(candidate)
            nearest = neighbours.classify(
                features.test.features[shown],
                bank=features.train.features,
                bank_labels=features.train.labels,
                k=min(asked.k, 5),
            )
            seen.append(
                views.view(
                    candidate.label,
                    features.test.features,
                    indices=torch.from_numpy(nearest.indices),
                    bank_labels=features.train.labels,
                    read=lambda index: images.read('train', index).numpy(),
                    bands=images.bands,
                    limits=limits,
                )
            )
        return compared, seen

    def compare(
        self, findings: Sequence[Finding], seen: tuple[ComparedImages, list[FeatureView]]
    ) -> Comparison:
        """Put everything together, with published values where they may stand beside ours."""
        asked, (images, pictures) = self.judge.options, seen
        notes = [self.judge.images.note, *self.judge.images.doubts]
        if asked.benchmark is not None:
            obstacle = find_obstacle(asked.benchmark, self.describe())
            notes += list_published(asked.benchmark, obstacle=obstacle)
            if not obstacle:
                findings = [self.publish(one, asked.benchmark) for one in findings]
                if not any(one.published for one in findings):
                    notes.append(
                        f'Nothing is published of these weights on {asked.benchmark} by k-NN with '
                        'k = 5 or a linear probe.'
                    )
        return Comparison(
            title=f'Weights compared on {Path(self.judge.data).resolve().name}',
            findings=findings,
            differences=find_differences(findings, images.labels, baseline=asked.baseline),
            baseline=asked.baseline,
            images=images,
            views=pictures,
            settings=self.tell(),
            notes=notes,
        )

    def publish(self, finding: Finding, benchmark: str) -> Finding:
        """Put a published value beside a finding, if there is one."""
        text = find_published(
            benchmark, finding.candidate, finding.protocol, k=self.judge.options.k
        )
        if not text:
            return finding
        found = replace(finding, published=text)
        self.table.publish(found)
        return found

    def describe(self) -> Setting:
        """Say what has to be as in a publication."""
        images, asked = self.judge.images, self.judge.options
        mean, _ = images.statistics()
        return Setting(
            counts=count_images(images),
            classes=len(images.classes),
            bands=images.bands,
            size=asked.size,
            normalization=asked.normalization,
            brightest=float(mean.max()),
        )

    def tell(self) -> dict[str, str]:
        """Write settings for people: those of all protocols together, without empty ones."""
        told: dict[str, dict[str, None]] = {}
        for (protocol, _), _ in self.pairs:
            for name, text in self.judge.settings(protocol).items():
                if text:
                    told.setdefault(name, {})[text] = None
        return {name.replace('_', ' '): '; '.join(texts) for name, texts in told.items()}
