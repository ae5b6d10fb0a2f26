"""Make a form of a model: a copy that returns the same, sooner."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from ....messages import one_line
from ...options import Precision, RuntimeName
from ..load import LoadedModel
from ..onnx import OnnxGraph
from .folding import fold
from .openvino import OpenVinoGraph


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How a model is to run."""

    device: str
    """Where."""

    precision: Precision
    """Type in which it computes."""

    size: int
    """Side of a patch in pixels."""

    batch_size: int
    """Patches per forward pass."""

    threads: int
    """Threads within one operation."""


# side of a patch that most models take, and that costs nothing
_SMALL = 128


class UnbuildableFormError(Exception):
    """A model cannot be brought into a form; says why in one line."""


def build(name: RuntimeName, loaded: LoadedModel, setting: Setting) -> LoadedModel:
    """Bring a model into a form.

    Args:
        name: One that :func:`.availability.find_obstacle` has nothing against.
        loaded: The model as it is, on its device, in evaluation mode, without gradients.
        setting: How it is to run.

    Returns:
        The model in this form.

    Raises:
        UnbuildableFormError: If it cannot be brought into it.
    """
    if name == 'eager':
        return loaded
    try:
        # weights of the copies are no tensors of inference, which exporters refuse
        with quiet(), torch.inference_mode(mode=False), torch.no_grad():
            return _BUILDERS[name](loaded, setting)
    # exporters, compilers and models raise anything
    except Exception as error:
        raise UnbuildableFormError(one_line(error) or type(error).__name__) from error


def _lay_out(loaded: LoadedModel, setting: Setting) -> LoadedModel:
    """Fold batch normalisation, and lay weights out with bands last; of a function, images only."""
    if not isinstance(loaded.forward, nn.Module):
        return replace(loaded, is_channels_last=True)
    folded = _fold(loaded, setting)
    return replace(
        loaded, forward=folded.to(memory_format=torch.channels_last), is_channels_last=True
    )


def _fold(loaded: LoadedModel, setting: Setting) -> nn.Module:
    """Fold batch normalisation, looking at a small patch unless the model takes one size only."""
    shape = (1, loaded.in_channels, setting.size, setting.size)
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(setting.device)
    small = images[..., :_SMALL, :_SMALL]
    # models raise anything
    with suppress(Exception):
        return fold(_module(loaded), loaded.arrange(small))
    return fold(_module(loaded), loaded.arrange(images))


def _compile(loaded: LoadedModel, setting: Setting) -> LoadedModel:
    """Compile a folded copy whose weights do not change, for full batches."""
    laid_out = _lay_out(loaded, setting)
    options: dict[str, Any] = {'freezing': True}
    if torch.device(setting.device).type == 'cuda':
        options['triton.cudagraphs'] = True
    compiled = torch.compile(laid_out.forward, dynamic=False, options=options)
    return replace(laid_out, forward=_FullBatches(compiled, setting.batch_size))


class _FullBatches(nn.Module):
    """Fills batches up, since each number of patches would be compiled anew."""

    def __init__(self, forward: Callable[[Tensor], Any], count: int) -> None:
        """Take a compiled function, and the patches that it is compiled for."""
        super().__init__()
        self.compiled, self.count = forward, count

    def forward(self, images: Tensor) -> Any:
        """Repeat the last patch, and leave out what is said about it."""
        given = len(images)
        if given < self.count:
            more = images[-1:].expand(self.count - given, *images.shape[1:])
            layout = torch.channels_last if images.ndim == 4 else torch.contiguous_format
            images = torch.cat([images, more]).contiguous(memory_format=layout)
        found = self.compiled(images)
        if isinstance(found, tuple):
            return tuple(values[:given] for values in found)
        return found[:given]


def _to_onnx(loaded: LoadedModel, setting: Setting) -> LoadedModel:
    """Write a graph, and let onnxruntime run it."""
    if isinstance(loaded.forward, OnnxGraph):
        # those that a job began with, whatever this process was started with
        return replace(loaded, forward=loaded.forward.using(setting.threads))
    program = torch.onnx.export(_export(loaded, setting), dynamo=True, verbose=False)
    assert program is not None
    content = program.model_proto.SerializeToString()
    graph = OnnxGraph(Path(loaded.name), content=content, threads=setting.threads)
    return replace(loaded, forward=graph)


def _to_openvino(loaded: LoadedModel, setting: Setting) -> LoadedModel:
    """Let OpenVINO run the graph, or one of the module."""
    is_graph = isinstance(loaded.forward, OnnxGraph)
    source: Any = loaded.forward if is_graph else _export(loaded, setting)
    graph = OpenVinoGraph(source, precision=setting.precision, threads=setting.threads)
    return replace(loaded, forward=graph)


def _export(loaded: LoadedModel, setting: Setting) -> torch.export.ExportedProgram:
    """Trace a module on patches of the size that it is used for, in batches of any size."""
    # of one patch, a dimension would be taken for fixed
    images = loaded.arrange(_example(loaded, setting, count=2))
    return torch.export.export(
        _module(loaded), (images,), dynamic_shapes=({0: Dim('batch', min=1)},)
    )


def _module(loaded: LoadedModel) -> nn.Module:
    """Give what runs; only modules come here."""
    assert isinstance(loaded.forward, nn.Module)
    return loaded.forward


def _example(loaded: LoadedModel, setting: Setting, *, count: int) -> Tensor:
    """Make images of the right shape."""
    shape = (count, loaded.in_channels, setting.size, setting.size)
    return torch.zeros(shape, device=setting.device)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what exporters say to developers off the lines of a progress bar."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        logging.disable(before)


_BUILDERS: dict[RuntimeName, Callable[[LoadedModel, Setting], LoadedModel]] = {
    'channels-last': _lay_out,
    'compiled': _compile,
    'onnx': _to_onnx,
    'openvino': _to_openvino,
}
