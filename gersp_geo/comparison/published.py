"""Published values beside ours: only for the same data, split, bands, size and protocol."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..bands import are_colors
from .published_values import SETS, PublishedSet, bench_values, paper_values
from .records import Candidate, Protocol

NAMES = tuple(sorted({*SETS, 'eurosat'}))
"""Data sets of which there are published values."""

# torchgeo-bench's k and size, of the values that are listed
_NEIGHBOURS, _SIZE = 5, 224


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What of an evaluation must be as in a publication."""

    counts: Mapping[str, int]
    """Images of 'train', 'val' and 'test'."""

    classes: int
    bands: Sequence[str]
    size: int
    normalization: str
    brightest: float
    """Highest mean of a band over the training images, in file values."""


def check_benchmark(name: str | None) -> None:
    """Refuse a name that no publication has.

    Raises:
        ValueError: If it is unknown.
    """
    if name is not None and name not in NAMES:
        raise ValueError(f'benchmark (--benchmark) must be one of {", ".join(NAMES)}, got {name!r}')


def find_obstacle(name: str, setting: Setting) -> str:
    """Say why no published value of a data set may stand beside ours; '' if it may.

    Args:
        name: One of :data:`NAMES`, which is what the user says the data are.
        setting: How they are evaluated.
    """
    known = SETS.get(name)
    if known is None:
        return f'the publication does not say which images of {name} are those of the test'
    return next(_obstacles(name, known, setting), '')


def _obstacles(name: str, known: PublishedSet, setting: Setting) -> Iterator[str]:
    """List what differs."""
    if setting.classes != known.classes:
        yield f'{name} has {known.classes} classes, and the data {setting.classes}'
    for split in ('train', 'val', 'test'):
        expected, found = getattr(known, f'n_{split}'), setting.counts.get(split, 0)
        if found != expected:
            yield f'the {split} split of {name} has {expected:,} images, and the data {found:,}'
    if known.reflectances and setting.brightest <= 255:
        yield f'{name} holds reflectances as Sentinel-2 products do, and the data hold bytes'
    names = [band.lower() for band in setting.bands]
    # bands without names are taken for what the user says they are
    if are_colors(names) is False:
        yield f'published values are of red, green and blue, and the data have {", ".join(names)}'
    if setting.size != _SIZE:
        yield f'published values are of {_SIZE} pixels, and --size is {setting.size}'
    if setting.normalization != 'data':
        yield 'published values are of inputs that the statistics of the data normalise'


def find_published(name: str, candidate: Candidate, protocol: Protocol, *, k: int) -> str:
    """Give the published value of some weights, where nothing is in the way of comparing it.

    Returns:
        Such as '76.2 (73.6 to 78.7)'; '' if none is known.
    """
    if protocol == 'knn' and k != _NEIGHBOURS:
        return ''
    for value in bench_values(name):
        if candidate.source in value.sources and protocol == value.protocol:
            return f'{value.value:.1f} {value.spread}'
    return ''


def list_published(name: str, *, obstacle: str) -> list[str]:
    """Write what is published of a data set, a sentence per publication.

    Args:
        name: Of the data set.
        obstacle: Why the values of the benchmark cannot stand beside ours; '' if they do.
    """
    sentences = []
    if obstacle:
        sentences.append(f'No published value stands beside ours: {obstacle}.')
    for values, reason in (
        (bench_values(name) if obstacle else (), obstacle),
        (paper_values(name), 'the split is not known'),
    ):
        if values:
            told = ', '.join(
                f'{(value.sources or (value.weights,))[0]} {value.protocol} '
                f'{value.value:.{value.digits}f} {value.spread}'
                for value in values
            )
            sentences.append(f'Published by {values[0].by}, not comparable ({reason}): {told}.')
    return sentences
