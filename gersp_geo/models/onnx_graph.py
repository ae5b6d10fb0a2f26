"""Modules as ONNX graphs; backbones above all."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from .backbone_weights import BackboneWeights
from .backbones import create_backbone
from .loading import load_backbone

# the latest that runtimes of 2024 run
OPSET = 20

# where weights do not say for which size they are
USUAL_SIZE = 224


def write_graph(weights: BackboneWeights, path: Path, *, record: Mapping[str, str]) -> None:
    """Write a graph from normalised images to pooled features.

    Input ``image``: float32, shape (B, C, H, W), B any; H and W any too unless the network has
    position embeddings for one size. Output ``features``: shape (B, F).

    Args:
        weights: Of a known architecture.
        path: New file.
        record: Becomes the metadata.

    Raises:
        ValueError: If the extra ``onnx`` is not installed.
    """
    channels = weights.in_channels or 3
    size = (weights.preprocessing and weights.preprocessing.size) or USUAL_SIZE
    backbone = create_backbone(weights.model or '', in_channels=channels, size=size).eval()
    load_backbone(backbone, weights.state_dict)
    write_module(
        backbone, torch.zeros(2, channels, size, size), path, output='features', record=record,
        free_sides=not hasattr(backbone, 'patch_embed'),
    )  # fmt: skip


def write_module(
    module: nn.Module,
    images: Tensor,
    path: Path,
    *,
    output: str,
    record: Mapping[str, str],
    free_sides: bool,
) -> None:
    """Write a module as a graph for batches of any number of images.

    Args:
        module: In evaluation mode, from images to one tensor.
        images: Two or more, shape (B, ..., H, W): of one, the batch would be taken for fixed.
        path: New file.
        output: Name of what it returns; its input is called ``image``.
        record: Becomes the metadata.
        free_sides: Leave rows and columns free; else they are those of *images*.

    Raises:
        ValueError: If the extra ``onnx`` is not installed.
        Exception: Anything, if the module cannot be traced.
    """
    onnx = import_onnx()
    rows, cols = images.ndim - 2, images.ndim - 1
    sides = {rows: Dim.AUTO, cols: Dim.AUTO} if free_sides else {}
    torch.onnx.export(
        module, (images,), str(path), input_names=['image'], output_names=[output],
        opset_version=OPSET, dynamic_shapes=({0: Dim('batch'), **sides},), dynamo=True,
        external_data=False, verbose=False,
    )  # fmt: skip
    graph = onnx.load(path)
    onnx.helper.set_model_props(graph, dict(record))
    onnx.save(graph, path)


def import_onnx() -> Any:
    """Import what writes graphs.

    Raises:
        ValueError: If the extra ``onnx`` is not installed.
    """
    try:
        import_module('onnxscript')
        return import_module('onnx')
    except ImportError as error:
        raise ValueError(
            f"the onnx format needs more packages: pip install 'gersp-geo[onnx]' ({error})"
        ) from error
