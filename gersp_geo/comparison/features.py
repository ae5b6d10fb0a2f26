"""Features of all images of a data set by one candidate, computed once and kept."""

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..geoio.write import new_file
from ..messages import one_line
from .candidate_words import MEAN_COLORS, RANDOM, STATISTICS
from .candidates import open_features
from .fitting import place_colors
from .image_sets import ImageSet
from .image_splits import SPLITS
from .records import Candidate, FeatureSet, Normalization, Split, SplitName

# what features depend on beside candidate and images; another number makes all of them anew
DEFINITION = '1'

KEY = 'gersp_geo_features'


def extract(
    candidate: Candidate,
    images: ImageSet,
    *,
    cache: Path,
    batch_size: int = 64,
    device: str | torch.device = 'cpu',
    normalization: Normalization = 'data',
    rgb_bands: Sequence[int] | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> FeatureSet:
    """Compute the features of all images by a candidate, or read those that were kept.

    Args:
        candidate: From :func:`.candidates.parse_candidates`.
        images: The images.
        cache: Folder with a file per candidate and setting, made if needed. Several processes may
            write to it.
        batch_size: Images that go through a network at a time, >= 1.
        device: Where it runs.
        normalization: See :func:`.candidates.open_features`.
        rgb_bands: Bands where red, green and blue are, 0-based; None goes by the names.
        advance: Called with numbers of images that are done, which sum up to all of them.

    Returns:
        Features, float32 on the CPU, in the order of ``images.files(split)``; no validation where
        there are no such images.

    Raises:
        FileNotFoundError: If the weights are gone.
        UnreadableFileError: If an image cannot be read.
        ValueError: If weights do not fit the images, or features of an image are not finite.

    Warns:
        UserWarning: If a file that was kept is damaged; it is made anew.
    """
    if batch_size < 1:
        raise ValueError(f'batch_size must be at least 1, got {batch_size}')
    settings = describe(candidate, images, normalization=normalization, rgb_bands=rgb_bands)
    text = json.dumps(settings, sort_keys=True)
    path = cache / f'{hashlib.sha256(text.encode()).hexdigest()[:32]}.safetensors'
    features = recall(path, images, text)
    if features is not None:
        advance(sum(len(part) for part in features.values()))
    else:
        network = open_features(
            candidate,
            in_channels=len(images.bands),
            size=images.size,
            record_of_data=images.record(),
            normalization=normalization,
            rgb_bands=rgb_bands,
        ).to(device)
        features = {
            name: compute(
                network, images, name, label=candidate.label, batch_size=batch_size, device=device,
                advance=advance,
            )
            for name in SPLITS
            if len(images.labels(name))
        }  # fmt: skip
        with new_file(path, overwrite=True) as temporary:
            save_file(
                {str(name): part for name, part in features.items()},
                temporary,
                metadata={KEY: text},
            )
    splits = {
        name: Split(features=part, labels=images.labels(name)) for name, part in features.items()
    }
    return FeatureSet(train=splits['train'], val=splits.get('val'), test=splits['test'])


def describe(
    candidate: Candidate,
    images: ImageSet,
    *,
    normalization: Normalization,
    rgb_bands: Sequence[int] | None,
) -> dict[str, str]:
    """Name all that features depend on, and nothing else, such as labels or the size of batches."""
    has_weights = not candidate.source.startswith(RANDOM) and candidate.source not in (
        MEAN_COLORS,
        STATISTICS,
    )
    return {
        'definition': DEFINITION,
        'candidate': candidate.digest,
        'first_layer': candidate.first_layer,
        'drawn': str(candidate.seed) if candidate.first_layer == 'random' else '',
        'images': images.digest,
        'size': str(images.size),
        'normalization': normalization if has_weights else 'data',
        'rgb_bands': str(place_colors(images.bands, rgb_bands)) if has_weights else '',
    }


@torch.no_grad()
def compute(
    network: nn.Module,
    images: ImageSet,
    split: SplitName,
    *,
    label: str,
    batch_size: int,
    device: str | torch.device,
    advance: Callable[[int], None],
) -> Tensor:
    """Compute the features of one split, shape (N, D); what is not finite is refused."""
    parts: list[Tensor] = []
    done = 0
    for batch in images.batches(split, batch_size=batch_size):
        features = network(batch.to(device)).float().cpu()
        if not (is_finite := features.isfinite().all(dim=1)).all():
            file = images.files(split)[done + int((~is_finite).nonzero()[0])]
            raise ValueError(
                f'{label} gives features of {file} that are not finite; look at the values of the '
                'image, and at the weights'
            )
        parts.append(features)
        done += len(batch)
        advance(len(batch))
    return torch.cat(parts)


def recall(path: Path, images: ImageSet, text: str) -> dict[SplitName, Tensor] | None:
    """Read features that were kept under the same settings; None where there are none, or damaged."""
    if not path.is_file():
        return None
    counts = {name: len(images.labels(name)) for name in SPLITS}
    try:
        with safe_open(path, framework='pt', device='cpu') as file:
            metadata: Mapping[str, str] = file.metadata() or {}
            kept = {name: file.get_tensor(name) for name in SPLITS if counts[name]}
    except (SafetensorError, OSError, ValueError) as error:
        fault = one_line(error)
    else:
        if (
            metadata.get(KEY) == text
            and all(part.ndim == 2 and len(part) == counts[name] for name, part in kept.items())
            and all(part.isfinite().all() for part in kept.values())
        ):
            return kept
        fault = 'it holds something else'
    warnings.warn(f'{path} is damaged ({fault}), and is made anew', stacklevel=3)
    return None
