"""What gives features: words of the user turned into candidates, and candidates into modules."""

import hashlib
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.error import URLError

import torch
from torch import nn

from ..messages import one_line
from ..models.architectures import is_counter
from ..models.backbone_weights import BackboneWeights
from ..models.downloads import weight_folders
from ..models.fitted_backbones import check_name, draw_backbone, fit_backbone, read_timm
from ..models.weight_sources import resolve_weights
from ..preprocessing import Preprocessing
from .feature_modules import ImageStatistics, MeanColors, Standardized
from .fitting import check_fit, place_colors, plain_record
from .records import Candidate, FirstLayer, Normalization

MEAN_COLORS = 'mean-colours'
STATISTICS = 'image-statistics'
RANDOM = 'random:'
TIMM = 'timm:'
LOCAL = 'local-dir:'

# hexadecimal digits of a digest
DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class _Word:
    """One word of the command."""

    text: str
    label: str | None
    """None where the user gave none."""

    source: str

    @property
    def name(self) -> str:
        """What tables call it: the label, else the name of the source, or the stem of its file."""
        if self.label is not None:
            return self.label
        path = Path(self.source)
        return path.stem if path.is_file() else path.name if path.is_dir() else self.source


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
        normalization: As :func:`open_features` will get it.
        rgb_bands: Bands where red, green and blue are, 0-based; None goes by the names.

    Raises:
        FileNotFoundError: If a source is neither a file nor a name, or cannot be downloaded.
        ValueError: If a candidate is given twice, two files would share a label that nobody gave,
            weights do not tell their architecture, or images and weights do not fit.

    Warns:
        UserWarning: If *first_layers* do nothing.
    """
    if not words or not first_layers:
        raise ValueError('nothing to compare: give weights, random:resnet18 or mean-colours')
    parsed = [parse_word(word) for word in words]
    _check_labels(parsed)
    images = None if bands is None else plain_record(bands, dtype)
    counts: Counter[str] = Counter()
    known: dict[tuple[str, str], _Word] = {}
    found: list[Candidate] = []
    for word in parsed:
        one = Candidate(
            label=word.name, source=word.source, seed=seed + counts[word.name], digest=''
        )
        counts[word.name] += 1
        weights = read_weights(one)
        one = replace(one, digest=_digest(one, weights))
        if (other := known.setdefault((one.label, one.digest), word)) is not word:
            raise ValueError(
                f'{one.label} is given twice: {other.text} and {word.text} hold the same weights; '
                'leave one out, or give it another label (LABEL=SOURCE)'
            )
        for candidate in _with_layers(one, weights, first_layers, bands):
            if images is not None:
                check_fit(candidate, weights, images, normalization, rgb_bands)
            found.append(candidate)
    if set(first_layers) - {one.first_layer for one in found}:
        warnings.warn(
            f'first layers {", ".join(first_layers)} do nothing where weights read as many bands as '
            'the images have',
            stacklevel=2,
        )
    return tuple(found)


def parse_word(text: str) -> _Word:
    """Tell the label of a word from its source.

    Raises:
        FileNotFoundError: If the source is neither a file, a folder nor a name that is known.
        ValueError: If the word means two files, or its label is empty or not printable.
    """
    before, equals, after = text.partition('=')
    is_path = Path(text).exists()
    if equals and '/' not in before and is_path and Path(after).exists():
        raise ValueError(
            f'{text} is a file, and {after} with the label {before} is another; write ./{text}, or '
            'rename one'
        )
    has_label = bool(equals) and not is_path and '/' not in before
    label, source = (before.strip(), after) if has_label else (None, text)
    if label is not None and not (label and label.isprintable()):
        raise ValueError(f'a label is printable text before the =, got {text!r}')
    source = source.removeprefix(TIMM) if source.startswith(TIMM + LOCAL) else source
    source = source.removeprefix(LOCAL)
    if not (
        source in (MEAN_COLORS, STATISTICS)
        or source.startswith((RANDOM, TIMM))
        or '_Weights.' in source
        or Path(source).exists()
    ):
        raise FileNotFoundError(
            f'{text}: there is no file or folder {source}, nor are these weights by name: '
            'GeRSP_Weights.RESNET50 and the like, timm:NAME, random:NAME, mean-colours, '
            'image-statistics'
        )
    return _Word(text=text, label=label, source=source)


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
        ValueError: If they have changed since, or do not fit the images.
    """
    if candidate.source == STATISTICS:
        return ImageStatistics(record_of_data.mean).eval()
    found = read_weights(candidate)
    if _digest(candidate, found) != candidate.digest:
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
    return nn.Sequential(Standardized(record), network).eval()


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


def _digest(candidate: Candidate, found: BackboneWeights | None) -> str:
    """Identify weights by their values, and what has none by its name and seed."""
    if found is not None:
        return digest_weights(found)
    is_random = candidate.source.startswith(RANDOM)
    drawn = f'{candidate.source} {candidate.seed}' if is_random else candidate.source
    return hashlib.sha256(drawn.encode()).hexdigest()[:DIGITS]


def _check_labels(parsed: Sequence[_Word]) -> None:
    """Refuse files of one name in several folders: nobody said that they are seeds of one method."""
    paths: dict[str, str] = {}
    for word in parsed:
        if word.label is None and Path(word.source).exists():
            other = paths.setdefault(word.name, word.source)
            if other != word.source:
                raise ValueError(
                    f'{other} and {word.source} would both be called {word.name!r}; write '
                    f'LABEL={other}, with one label for seeds of one method'
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
