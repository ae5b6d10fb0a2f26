"""What gives features: words of the user turned into candidates, and candidates into modules."""

import hashlib
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from urllib.error import URLError

import torch
from torch import nn

from ..bands import color_order
from ..messages import one_line
from ..models.architectures import is_counter
from ..models.backbone_weights import BackboneWeights
from ..models.downloads import weight_folders
from ..models.fitted_backbones import check_name, draw_backbone, fit_backbone, read_timm
from ..models.weight_sources import resolve_weights
from ..preprocessing import Preprocessing
from .candidate_words import MEAN_COLORS, RANDOM, STATISTICS, TIMM, CandidateWord, parse_words
from .feature_modules import ImageStatistics, MeanColors, Standardized
from .fitting import check_fit, place_colors, plain_record
from .records import Candidate, FirstLayer, Normalization

# hexadecimal digits of a digest
DIGITS = 16


def parse_candidates(
    words: Sequence[str],
    *,
    first_layers: Sequence[FirstLayer] = ('scaled',),
    seed: int = 0,
    bands: Sequence[str] | None = None,
    dtype: str | None = None,
    normalization: Normalization = 'data',
    rgb_bands: Sequence[int] | None = None,
) -> tuple[Candidate, ...]:
    """Turn words into candidates, and refuse those that could not be judged.

    Weights for three bands become one candidate per first layer where the images have others; the
    first layer is then part of the label if there are several. Elsewhere first layers do nothing.

    Args:
        words: ``[LABEL=]SOURCE`` each, see :class:`.records.Candidate`. Several of one label are
            its seeds. A word that is a path is taken whole, whatever it holds.
        first_layers: How filters for three bands are spread over others.
        seed: Of the first candidate of each label; the next one has the next.
        bands: Names of the bands of the images; None leaves what depends on them unchecked.
        dtype: NumPy type of the values of the images.
        normalization: As :func:`open_features` will get it; what weights say about their input is
            part of their digest where it is used.
        rgb_bands: Bands where red, green and blue are, 0-based; None goes by the names.

    Raises:
        FileNotFoundError: If a source is neither a file nor a name, or cannot be downloaded.
        ValueError: If a candidate is given twice, two files would share a label that nobody gave,
            weights do not tell their architecture, or images and weights do not fit.

    Warns:
        UserWarning: If *first_layers* do nothing.
    """
    parsed, first_layers = parse_words(words), tuple(dict.fromkeys(first_layers))
    images = None if bands is None else plain_record(bands, dtype)
    counts: Counter[str] = Counter()
    known: dict[tuple[str, str], CandidateWord] = {}
    found: list[Candidate] = []
    for word in parsed:
        one = Candidate(
            label=word.name, source=word.source, seed=seed + counts[word.name], digest=''
        )
        counts[word.name] += 1
        weights = read_weights(one)
        one = replace(one, digest=_digest(one, weights, normalization))
        if (other := known.setdefault((one.label, one.digest), word)) is not word:
            raise ValueError(
                f'{one.label} is given twice: {other.text} and {word.text} hold the same weights; '
                'leave one out, or give it another label (LABEL=SOURCE)'
            )
        for candidate in _with_layers(one, weights, first_layers, bands):
            if images is not None:
                check_fit(candidate, weights, images, normalization, rgb_bands)
            found.append(candidate)
    _warn_of_equals(found)
    if set(first_layers) - {one.first_layer for one in found}:
        warnings.warn(
            f'first layers {", ".join(first_layers)} do nothing where weights read as many bands as '
            'the images have',
            stacklevel=2,
        )
    return tuple(found)


def read_weights(candidate: Candidate) -> BackboneWeights | None:
    """Read the weights of a candidate; None where it has none.

    Raises:
        FileNotFoundError: If they are not there, or cannot be downloaded.
        ValueError: If they are no backbone, or do not tell their architecture.
    """
    source = candidate.source
    if source in (MEAN_COLORS, STATISTICS):
        return None
    if source.startswith(RANDOM):
        check_name(source.removeprefix(RANDOM))
        return None
    if source.startswith(TIMM):
        return read_timm(source.removeprefix(TIMM))
    try:
        found = resolve_weights(source)
    # what torch.hub raises where a server does not answer
    except URLError as error:
        from ..models.weights import get_weight

        raise FileNotFoundError(
            f'{source} is not here and cannot be downloaded ({one_line(error)}); put '
            f'{get_weight(source).url} into {weight_folders()[-1]}'
        ) from error
    if found.model is None:
        raise ValueError(
            f'{source} does not say which backbone it holds, and its tensors do not tell; export it '
            'with its name (gersp-geo export), or give a timm folder'
        )
    return found


def open_features(
    candidate: Candidate,
    *,
    in_channels: int,
    size: int,
    record_of_data: Preprocessing,
    normalization: Normalization = 'data',
    rgb_bands: Sequence[int] | None = None,
) -> nn.Module:
    """Build what turns the images of a data set into features.

    Args:
        candidate: From :func:`parse_candidates`.
        in_channels: Number of bands.
        size: Side of the images in pixels.
        record_of_data: Names and statistics of the bands.
        normalization: 'data' standardises each band by *record_of_data*, 'record' by what the
            weights say about their own input. What has no weights goes by the data.
        rgb_bands: Bands where red, green and blue are, 0-based; None goes by the names.

    Returns:
        From values as stored, shape (B, *in_channels*, *size*, *size*), to features (B, D), in
        evaluation mode. Values that are not finite count as the mean of their band.

    Raises:
        FileNotFoundError: If the weights are gone.
        ValueError: If they have changed since, or do not fit the images or their size.
    """
    if candidate.source == STATISTICS:
        return ImageStatistics(record_of_data.mean).eval()
    found = read_weights(candidate)
    if _digest(candidate, found, normalization) != candidate.digest:
        raise ValueError(f'{candidate.source} has changed since it was named; start again')
    record = check_fit(candidate, found, record_of_data, normalization, rgb_bands)
    network: nn.Module
    if candidate.source == MEAN_COLORS:
        network = MeanColors()
    elif found is None:
        name = candidate.source.removeprefix(RANDOM)
        network = draw_backbone(name, in_channels=in_channels, size=size, seed=candidate.seed)
    else:
        network = fit_backbone(
            found,
            in_channels=in_channels,
            size=size,
            first_layer=candidate.first_layer,
            rgb_bands=place_colors(record_of_data.bands, rgb_bands) or (0, 1, 2),
            seed=candidate.seed,
        )
    features = nn.Sequential(Standardized(record), network).eval()
    _try_size(features, candidate, (1, in_channels, size, size))
    return features


def _try_size(features: nn.Module, candidate: Candidate, shape: tuple[int, ...]) -> None:
    """Refuse a size that a network cannot read, such as one that is no multiple of its patches."""
    try:
        with torch.no_grad():
            features(torch.zeros(shape))
    except (AssertionError, RuntimeError) as error:
        raise ValueError(
            f'{candidate.source} reads no images of {shape[-1]} px ({one_line(error)}); pass another '
            'size (--size)'
        ) from error


def digest_weights(found: BackboneWeights) -> str:
    """Compute SHA-256 over names and values of a backbone's tensors, whatever file they are in.

    BatchNorm's counters, which some formats leave out, are not part of it.
    """
    digest = hashlib.sha256((found.model or '').partition('.')[0].encode())
    for name, tensor in sorted(found.state_dict.items()):
        if not is_counter(name):
            digest.update(f'\n{name} {tensor.dtype} {tuple(tensor.shape)}\n'.encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:DIGITS]


def _digest(
    candidate: Candidate, found: BackboneWeights | None, normalization: Normalization
) -> str:
    """Identify weights by their values and what is used of their record, all else by its name."""
    if found is None:
        is_random = candidate.source.startswith(RANDOM)
        text = f'{candidate.source} {candidate.seed}' if is_random else candidate.source
    else:
        text, own = digest_weights(found), found.preprocessing
        used: list[object] = []
        if own is not None and (order := color_order(own.bands)) != (0, 1, 2):
            used.append(order)
        if own is not None and normalization == 'record':
            used += own.scale, own.mean, own.std
        if not used:
            return text
        text += repr(used)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def _warn_of_equals(candidates: Sequence[Candidate]) -> None:
    """Say where labels share weights, and so rows of the table, whose keys know no labels."""
    first: dict[tuple[str, FirstLayer], Candidate] = {}
    for one in candidates:
        other = first.setdefault((one.digest, one.first_layer), one)
        if other is not one:
            warnings.warn(
                f'{other.label} and {one.label} hold the same weights; results.csv has one row for '
                'both where they are judged alike, under the last label',
                stacklevel=3,
            )


def _with_layers(
    one: Candidate,
    weights: BackboneWeights | None,
    first_layers: Sequence[FirstLayer],
    bands: Sequence[str] | None,
) -> list[Candidate]:
    """Make a candidate per first layer where that makes a difference."""
    if weights is None or weights.in_channels != 3 or (bands is not None and len(bands) == 3):
        return [one]
    several = len(first_layers) > 1
    return [
        replace(one, label=f'{one.label} ({rule})' if several else one.label, first_layer=rule)
        for rule in first_layers
    ]
