"""What turns patches into vectors or classes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ...models.weight_sources import PublishedWeights
from ...preprocessing import Preprocessing
from ..options import RuntimeName
from .load import Forward, LoadedModel, evaluating, load_model, read_preprocessing
from .onnx import OnnxGraph
from .predictor import Views
from .runtimes.availability import FORMS, MODULE_FORMS
from .signature import Scores
from .task_bases import is_plain, tasks_of

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule

type Read = Callable[[Any], 'PatchScores']
"""From what a model returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchScores:
    """What a model says about some patches."""

    vectors: Tensor | None = None
    """Features, or values of a regression, shape (B, D); None if the model keeps them to itself."""

    logits: Tensor | None = None
    """Shape (B, K); None without a classifier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchModel:
    """A model of whole patches."""

    read: Read
    """From what the model returns to what that means."""

    loaded: LoadedModel
    """The model itself."""

    scores: Scores | None
    """What its logits mean, or that its vectors are values; None of a backbone."""

    length: int | None = None
    """Length of its vectors; None without, or before :meth:`probed`."""

    channels: int | None = None
    """Number of its logits; alike."""

    @property
    def forms(self) -> tuple[RuntimeName, ...]:
        """Forms that the model can run in."""
        return MODULE_FORMS if isinstance(self.loaded.forward, _FeaturesAndLogits) else FORMS

    def describe(self, images: Tensor) -> PatchScores:
        """Run the model on normalised images (B, C, H, W)."""
        return self.read(self.loaded.score(images))

    def probed(self, *, size: int, device: str) -> 'PatchModel':
        """Forward one patch of zeros, to learn lengths and to fail early.

        Raises:
            ValueError: If the model returns something else than one vector per patch.
        """
        with evaluating(self.loaded.forward):
            images = torch.zeros((1, self.loaded.in_channels, size, size), device=device)
            found = self.describe(images)
        for name, values in (('vectors', found.vectors), ('logits', found.logits)):
            if values is not None:
                _check(values, name, count=1)
        return replace(
            self,
            length=None if found.vectors is None else found.vectors.shape[1],
            channels=None if found.logits is None else found.logits.shape[1],
        )


class PatchPredictor:
    """Turns batches of patches as stored into vectors and probabilities, averaged over views."""

    def __init__(self, model: PatchModel, views: Views) -> None:
        """Set up.

        Args:
            model: A model that was probed.
            views: Prepare the images.
        """
        self.model = model
        self.views = views

    def __call__(self, pixels: Tensor, valid: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """Describe one batch.

        Args:
            pixels: As in :meth:`.predictor.Views.look`.
            valid: As in :meth:`.predictor.Views.look`.

        Returns:
            Vectors, shape (B, D), and probabilities, shape (B, K), at least two; float32 on the
            CPU. None for what the model does not give.

        Raises:
            ValueError: If the model returns another shape than for the patch of zeros, or NaN.
        """
        seen = [
            self._read(found, count=len(pixels))
            for _, found in self.views.look(self.model.describe, pixels, valid)
        ]
        vectors, probabilities = (_average(values) for values in zip(*seen, strict=True))
        return vectors, probabilities

    def _read(self, found: PatchScores, *, count: int) -> tuple[Tensor | None, Tensor | None]:
        """Check what the model said about a batch, and bring it to the host."""
        vectors, logits = found.vectors, found.logits
        if vectors is not None:
            _check(vectors, 'vectors', count=count, length=self.model.length)
            # a copy: a view of the images would change with the next batch, in whose place they lie
            vectors = vectors.to('cpu', torch.float32, copy=True)
        if logits is not None:
            _check(logits, 'logits', count=count, length=self.model.channels)
            logits = _activate(logits.float().cpu(), self.model.scores)
        for values in (vectors, logits):
            if values is not None and bool(values.isnan().any()):
                raise ValueError('the model returned NaN for a patch with observations')
        return vectors, logits


def _average(values: Sequence[Tensor | None]) -> Tensor | None:
    """Average what was found in several views."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return known[0] if len(known) == 1 else torch.stack(known).mean(dim=0)


@runtime_checkable
class _Featured(Protocol):
    """A model of timm, which gives its features on the way to its logits."""

    def forward_features(self, images: Tensor) -> Tensor:
        """Compute the last feature map."""

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Pool a feature map; then classify, if wanted."""


class _FeaturesAndLogits(nn.Module):
    """Gives the features on the way to the logits too."""

    def __init__(self, network: _Featured) -> None:
        """Take a model of timm."""
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Give both of images (B, C, H, W)."""
        features = self.network.forward_features(images)
        pooled = self.network.forward_head(features, pre_logits=True)
        return pooled, self.network.forward_head(features)


def load_embedder(
    model: str | PathLike[str] | PublishedWeights | Forward,
    *,
    preprocessing: Preprocessing | str | PathLike[str] | None,
    size: int,
    dates: int = 1,
) -> PatchModel:
    """Open what gives one vector per patch.

    Args:
        model: Weights of a backbone in any known format, their enum member or its name, an ONNX
            graph, or a module or function from (B, C, H, W) to (B, D).
        preprocessing: Record, or JSON file of one; goes before that of the weights.
        size: Side of the patches in pixels.
        dates: As in :func:`.load.load_model`; weights of a backbone take one.

    Returns:
        The model on the CPU, or where it was.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If a file is of no known format, or nothing says how its input is prepared.
    """
    is_graph = isinstance(model, str | PathLike) and fspath(model).lower().endswith('.onnx')
    # a member of an enum is callable where torchgeo says so
    given: Any = model
    if is_graph or (callable(model) and not isinstance(model, PublishedWeights)):
        return _vectors_only(load_model(given, preprocessing=preprocessing, dates=dates))
    # timm takes seconds to import, and graphs do without
    from ...models.backbones import open_backbone

    module, found = open_backbone(given, size=size)
    name = Path(model).name if isinstance(model, str | PathLike) else str(model)
    record = _as_record(preprocessing) or found.preprocessing
    if record is None:
        raise ValueError(
            f'{name} does not say how its input is prepared; pass preprocessing '
            '(--preprocessing FILE.json)'
        )
    loaded = LoadedModel(forward=module, scores='values', preprocessing=record, name=name)
    return _vectors_only(loaded)


def _vectors_only(loaded: LoadedModel) -> PatchModel:
    """Take the output of a model for vectors."""
    return PatchModel(read=lambda found: PatchScores(vectors=found), loaded=loaded, scores=None)


def load_classifier(
    model: str | PathLike[str] | Forward,
    *,
    preprocessing: Preprocessing | str | PathLike[str] | None,
    task_class: 'str | type[LightningModule] | None',
    dates: int = 1,
) -> PatchModel:
    """Open what gives one class, or several labels, per patch.

    Args:
        model: Checkpoint of torchgeo's Classification or of a task made of it, or of Regression;
            ONNX graph, or a module or function from (B, C, H, W) to logits (B, K).
        preprocessing: As in :func:`.load.load_model`.
        task_class: As in :func:`.load.load_model`.
        dates: As in :func:`.load.load_model`.

    Returns:
        The model. That of a task gives the features before its classifier too; that of a
        regression gives values for vectors.

    Raises:
        FileNotFoundError: As :func:`.load.load_model`.
        ValueError: As :func:`.load.load_model`.
    """
    loaded = load_model(model, preprocessing=preprocessing, task_class=task_class, dates=dates)
    forward: Any = loaded.forward
    tasks = tasks_of(forward)
    is_regression = 'Regression' in tasks and 'PixelwiseRegression' not in tasks
    if isinstance(forward, OnnxGraph):
        is_regression = forward.returns_vectors and loaded.scores == 'values'
    if is_regression:
        return replace(_vectors_only(loaded), scores='values')
    if loaded.scores == 'values':
        raise ValueError(
            f'{loaded.name} returns quantities of pixels or features, and patches are described by '
            'logits of classes or values of their own; pass a classifier, or embed patches (--task '
            'embed)'
        )
    # of anything else, only the whole gives the logits
    network = forward.model if is_plain(forward, 'Classification') else forward
    if not isinstance(network, _Featured):
        return PatchModel(
            read=lambda found: PatchScores(logits=found), loaded=loaded, scores=loaded.scores
        )
    return PatchModel(
        read=lambda found: PatchScores(vectors=found[0], logits=found[1]),
        loaded=replace(loaded, forward=_FeaturesAndLogits(network)),
        scores=loaded.scores,
    )


def _as_record(given: Preprocessing | str | PathLike[str] | None) -> Preprocessing | None:
    """Read a record if it is a file."""
    if given is None or isinstance(given, Preprocessing):
        return given
    return read_preprocessing(given)


def _activate(logits: Tensor, scores: Scores | None) -> Tensor:
    """Turn logits into probabilities; one logit means two classes."""
    if scores == 'labels':
        return logits.sigmoid()
    if logits.shape[1] == 1:
        second = logits.sigmoid()
        return torch.cat([1 - second, second], dim=1)
    return logits.softmax(dim=1)


def _check(values: object, name: str, *, count: int, length: int | None = None) -> None:
    """Refuse anything but one row of numbers per patch."""
    found = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
    is_right = isinstance(values, Tensor) and values.ndim == 2 and len(values) == count
    if not is_right or (length is not None and found[1] != length):
        advice = ''
        if isinstance(values, Tensor) and values.ndim == 4:
            advice = '; average feature maps over rows and columns, predict_geotiff is for pixels'
        raise ValueError(
            f'the model must return {name} of shape ({count}, {length or "any length"}) for '
            f'{count} patches, got {found}{advice}'
        )
