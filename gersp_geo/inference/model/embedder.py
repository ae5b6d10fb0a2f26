"""What turns patches into vectors or classes."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torchgeo import tasks

from ...models.backbones import open_backbone
from ...models.weight_sources import PublishedWeights
from ...preprocessing import Preprocessing
from .load import Forward, evaluating, load_model, read_preprocessing
from .signature import Scores

type Describe = Callable[[Tensor], 'PatchScores']
"""From normalised images (B, C, H, W)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchScores:
    """What a model says about some patches."""

    vectors: Tensor | None = None
    """Features, shape (B, D); None if the model keeps them to itself."""

    logits: Tensor | None = None
    """Shape (B, K); None without a classifier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchModel:
    """A model of whole patches."""

    describe: Describe
    """The model itself."""

    module: object
    """What may have to be moved to a device, and to be switched to evaluation."""

    scores: Scores | None
    """What its logits mean; None without a classifier."""

    preprocessing: Preprocessing
    """How its input is prepared, and what its output means."""

    name: str
    """File name, name of the weights, or class or function name."""

    length: int | None = None
    """Length of its vectors; None without, or before :meth:`probed`."""

    channels: int | None = None
    """Number of its logits; alike."""

    def probed(self, *, size: int, device: str, channels_last: bool = False) -> 'PatchModel':
        """Forward one patch of zeros, to learn lengths and to fail early.

        Raises:
            ValueError: If the model returns something else than one vector per patch.
        """
        if isinstance(self.module, nn.Module):
            self.module.to(device)
            if channels_last:
                self.module.to(memory_format=torch.channels_last)
        shape = (1, len(self.preprocessing.bands), size, size)
        with self.evaluating():
            found = self.describe(torch.zeros(shape, device=device))
        for name, values in (('vectors', found.vectors), ('logits', found.logits)):
            if values is not None:
                _check(values, name, count=1)
        return replace(
            self,
            length=None if found.vectors is None else found.vectors.shape[1],
            channels=None if found.logits is None else found.logits.shape[1],
        )

    def evaluating(self) -> AbstractContextManager[None]:
        """Switch to evaluation without gradients, and back afterwards."""
        forward: Any = self.module
        return evaluating(forward)


@runtime_checkable
class _Featured(Protocol):
    """A model of timm, which gives its features on the way to its logits."""

    def forward_features(self, images: Tensor) -> Tensor:
        """Compute the last feature map."""

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Pool a feature map; then classify, if wanted."""


def load_embedder(
    model: str | PathLike[str] | PublishedWeights | Forward,
    *,
    preprocessing: Preprocessing | str | PathLike[str] | None,
    size: int,
) -> PatchModel:
    """Open what gives one vector per patch.

    Args:
        model: Weights of a backbone in any known format, their enum member or its name, an ONNX
            graph, or a module or function from (B, C, H, W) to (B, D).
        preprocessing: Record, or JSON file of one; goes before that of the weights.
        size: Side of the patches in pixels.

    Returns:
        The model on the CPU, or where it was.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If a file is of no known format, or nothing says how its input is prepared.
    """
    is_graph = isinstance(model, str | PathLike) and fspath(model).lower().endswith('.onnx')
    # a member of an enum is callable where torchgeo says so
    if is_graph or (callable(model) and not isinstance(model, PublishedWeights)):
        return _vectors_of(model, preprocessing)
    weights: Any = model
    module, found = open_backbone(weights, size=size)
    name = Path(model).name if isinstance(model, str | PathLike) else str(model)
    record = _as_record(preprocessing) or found.preprocessing
    if record is None:
        raise ValueError(
            f'{name} does not say how its input is prepared; pass preprocessing '
            '(--preprocessing FILE.json)'
        )
    return PatchModel(
        describe=lambda images: PatchScores(vectors=module(images)),
        module=module, scores=None, preprocessing=record, name=name,
    )  # fmt: skip


def _vectors_of(
    model: Any, preprocessing: Preprocessing | str | PathLike[str] | None
) -> PatchModel:
    """Take the output of a graph or a function for vectors."""
    loaded = load_model(model, preprocessing=preprocessing)
    forward: Any = loaded.forward
    return PatchModel(
        describe=lambda images: PatchScores(vectors=forward(images)),
        module=forward, scores=None, preprocessing=loaded.preprocessing, name=loaded.name,
    )  # fmt: skip


def load_classifier(
    model: str | PathLike[str] | Forward,
    *,
    preprocessing: Preprocessing | str | PathLike[str] | None,
    task_class: str | type[LightningModule] | None,
) -> PatchModel:
    """Open what gives one class, or several labels, per patch.

    Args:
        model: Checkpoint of torchgeo's Classification or of a task made of it, ONNX graph, or a
            module or function from (B, C, H, W) to logits (B, K).
        preprocessing: As in :func:`.load.load_model`.
        task_class: As in :func:`.load.load_model`.

    Returns:
        The model. That of a task gives the features before its classifier too.

    Raises:
        FileNotFoundError: As :func:`.load.load_model`.
        ValueError: As :func:`.load.load_model`.
    """
    loaded = load_model(model, preprocessing=preprocessing, task_class=task_class)
    forward: Any = loaded.forward
    if loaded.scores == 'values' or isinstance(forward, tasks.Regression):
        raise ValueError(
            f'{loaded.name} returns quantities, and patches are classified by logits of classes; pass '
            'a classifier, or embed patches (--task embed)'
        )
    # of anything else, only the whole gives the logits
    is_plain = isinstance(forward, tasks.Classification) and (
        type(forward).forward is tasks.Classification.forward
    )
    network = forward.model if is_plain else forward
    describe = _with_features(network) if isinstance(network, _Featured) else _logits_only(forward)
    return PatchModel(
        describe=describe,
        module=forward,
        scores=loaded.scores,
        preprocessing=loaded.preprocessing,
        name=loaded.name,
    )


def _as_record(given: Preprocessing | str | PathLike[str] | None) -> Preprocessing | None:
    """Read a record if it is a file."""
    if given is None or isinstance(given, Preprocessing):
        return given
    return read_preprocessing(given)


def _with_features(network: _Featured) -> Describe:
    """Give the features on the way to the logits."""

    def describe(images: Tensor) -> PatchScores:
        features = network.forward_features(images)
        return PatchScores(
            vectors=network.forward_head(features, pre_logits=True),
            logits=network.forward_head(features),
        )

    return describe


def _logits_only(forward: Any) -> Describe:
    """Give logits."""
    return lambda images: PatchScores(logits=forward(images))


def score_patches(
    model: PatchModel, images: Tensor, *, autocast: AbstractContextManager[Any] | None = None
) -> tuple[Tensor | None, Tensor | None]:
    """Describe normalised patches.

    Args:
        model: A model that was probed.
        images: Shape (B, C, H, W).
        autocast: Precision to compute in.

    Returns:
        Vectors, shape (B, D), and probabilities, shape (B, K), at least two; float32 on the CPU. None
        for what the model does not give.

    Raises:
        ValueError: If the model returns another shape than for the patch of zeros, or NaN.
    """
    with autocast or nullcontext():
        found = model.describe(images)
    vectors, logits = found.vectors, found.logits
    if vectors is not None:
        _check(vectors, 'vectors', count=len(images), length=model.length)
        # a copy: a view of the images would change with the next batch, in whose place they lie
        vectors = vectors.to('cpu', torch.float32, copy=True)
    if logits is not None:
        _check(logits, 'logits', count=len(images), length=model.channels)
        logits = _activate(logits.float().cpu(), model.scores)
    for values in (vectors, logits):
        if values is not None and bool(values.isnan().any()):
            raise ValueError('the model returned NaN for a patch with observations')
    return vectors, logits


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
            f'the model must return {name} of shape ({count}, {length or "any length"}) for {count} '
            f'patches, got {found}{advice}'
        )
