"""Run models that are stored as ONNX graphs."""

import json
from collections.abc import Callable, Mapping
from copy import copy
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...messages import one_line
from .graph_form import GraphForm

# types of the input that hold normalised values
_DTYPES = {'tensor(float)': np.float32, 'tensor(float16)': np.float16, 'tensor(double)': np.float64}

# What onnxruntime raises; its exceptions have no common base.
_ERRORS = (
    'EPFail', 'EngineError', 'Fail', 'InvalidArgument', 'InvalidGraph', 'InvalidProtobuf',
    'ModelRequiresCompilation', 'NoModel', 'NoSuchFile', 'NotFound', 'NotImplemented',
    'RuntimeException',
)  # fmt: skip


type Run = Callable[[NDArray[np.generic]], NDArray[np.generic]]
"""From images to scores, as arrays."""


class OnnxGraph:
    """A graph from normalised images to scores, run by onnxruntime.

    On the CPU until an image comes on a CUDA device and onnxruntime can use one. A graph holds data
    and known operations only: running one runs no code from the file.
    """

    def __init__(
        self,
        path: Path,
        *,
        content: bytes | None = None,
        threads: int | None = None,
        form: GraphForm | None = None,
    ) -> None:
        """Load the graph.

        Args:
            path: File that ends in .onnx; with *content*, what it is called in messages.
            content: The graph itself, where it is in no file.
            threads: That one operation uses; those of torch unless given.
            form: What it takes and returns, where that is not normalised images and scores.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the extra ``onnx`` is not installed, the file is no graph, or it is not
                one from one image to scores per pixel or to a vector.
        """
        self.path, self.content, self.form = path, content, form or GraphForm()
        self._threads = threads or torch.get_num_threads()
        self._runtime = _import_runtime(path)
        self._sessions = {'cpu': self._open('CPUExecutionProvider')}
        self._input, self._output = _check_signature(self._sessions['cpu'], path=path)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process as a path, or as what would be in the file."""
        make = partial(type(self), content=self.content, threads=self._threads, form=self.form)
        return make, (self.path,)

    def using(self, threads: int) -> 'OnnxGraph':
        """Give the same graph with some threads within one operation."""
        if threads == self._threads:
            return self
        return OnnxGraph(self.path, content=self.content, threads=threads, form=self.form)

    def formed(self, form: GraphForm) -> 'OnnxGraph':
        """Give the same graph, of which is known what it takes and returns."""
        graph = copy(self)
        graph.form = form
        return graph

    @property
    def source(self) -> Path | bytes:
        """The file, or what would be in it."""
        return self.path if self.content is None else self.content

    @property
    def returns_vectors(self) -> bool:
        """Whether it returns one vector per image."""
        return len(self._output.shape) == 2

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of everything that it returns."""
        return tuple(output.name for output in self._sessions['cpu'].get_outputs())

    def run_all(self, values: NDArray[np.generic]) -> dict[str, NDArray[Any]]:
        """Run the graph on the CPU, and give everything that it returns.

        Args:
            values: As the graph takes them.

        Returns:
            By name.

        Raises:
            ValueError: If it fails.
        """
        try:
            found = self._sessions['cpu'].run(None, {self._input.name: values})
        except _errors() as error:
            raise ValueError(f'{self.path} cannot be run: {_reason(error)}') from error
        return dict(zip(self.outputs, found, strict=True))

    @property
    def input_name(self) -> str:
        """What it calls the images."""
        return str(self._input.name)

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the file says about itself."""
        return dict(self._sessions['cpu'].get_modelmeta().custom_metadata_map)

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Batch, maybe dates, channels, rows and columns of the input; None where any will do."""
        sizes = self._input.shape
        return tuple(size if isinstance(size, int) and size > 0 else None for size in sizes)

    def __call__(self, images: Tensor) -> Tensor:
        """Run the graph by onnxruntime, as :meth:`run_by`."""
        return self.run_by(partial(self._run, self._session(images.device)), images)

    def run_by(self, run: Run, images: Tensor) -> Tensor:
        """Run the graph by anything that does, in the batches and the type that it is made for.

        Args:
            run: From arrays to arrays.
            images: Normalised, shape (B, C, H, W), or (B, 2, C, H, W) for a graph of two dates.

        Returns:
            The first output, as a rule scores of shape (B, K, H, W), on the device of *images*.

        Raises:
            ValueError: If the graph does not take images of this size, or fails.
        """
        batch, *_, channels, height, width = self.shape
        sides = (height, width)
        if any(
            size not in (None, found) for size, found in zip(sides, images.shape[-2:], strict=True)
        ):
            wanted = ' x '.join('any' if size is None else str(size) for size in sides)
            raise ValueError(
                f'{self.path} takes images of {wanted} px, got {images.shape[-2]} x '
                f'{images.shape[-1]}; pass another size (--size), or export it with free sides'
            )
        if channels not in (None, images.shape[-3]):
            raise ValueError(f'{self.path} takes {channels} channels, got {images.shape[-3]}')
        dtype = _DTYPES[self._input.type]
        stored = self.form.to_stored(images.detach().cpu().numpy())
        values = np.ascontiguousarray(stored, dtype=dtype)
        step = len(values) if batch is None else batch
        parts = [
            run(_fill_up(values[start : start + step], step))[: len(values) - start]
            for start in range(0, len(values), step)
        ]
        scores = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return torch.from_numpy(self.form.to_scores(scores)).to(images.device)

    def _run(self, session: Any, values: NDArray[np.generic]) -> NDArray[np.generic]:
        """Run one batch."""
        try:
            (scores,) = session.run([self._output.name], {self._input.name: values})
        except _errors() as error:
            raise ValueError(
                f'{self.path} cannot be run on images of shape {values.shape}: {_reason(error)}'
            ) from error
        found: NDArray[np.generic] = scores
        return found

    def _session(self, device: torch.device) -> Any:
        """Find the session for a device."""
        if device.type == 'cpu' or not can_run_on(device.type):
            return self._sessions['cpu']
        index = device.index or 0
        key = f'cuda:{index}'
        if key not in self._sessions:
            self._sessions[key] = self._open(
                ('CUDAExecutionProvider', {'device_id': index}), 'CPUExecutionProvider'
            )
        return self._sessions[key]

    def _open(self, *providers: object) -> Any:
        """Load the file for some processors."""
        if self.content is None and not self.path.is_file():
            raise FileNotFoundError(f'{self.path} does not exist')
        options = self._runtime.SessionOptions()
        options.intra_op_num_threads = self._threads
        # errors are raised; nothing else is to appear between the lines of a progress bar
        options.log_severity_level = 4
        try:
            return self._runtime.InferenceSession(self.source, options, providers=list(providers))
        except _errors() as error:
            raise ValueError(f'{self.path} is no ONNX graph that runs: {_reason(error)}') from error


def can_run_on(device: str) -> bool:
    """Say whether onnxruntime, which is installed, can use a device: a CPU, and one of CUDA."""
    kind = torch.device(device).type
    available = import_module('onnxruntime').get_available_providers()
    return kind == 'cpu' or (kind == 'cuda' and 'CUDAExecutionProvider' in available)


def _fill_up(values: NDArray[np.generic], count: int) -> NDArray[np.generic]:
    """Repeat the last image until there are as many as a graph is fixed to."""
    missing = count - len(values)
    return np.concatenate([values, np.repeat(values[-1:], missing, axis=0)]) if missing else values


def _import_runtime(path: Path) -> Any:
    """Import what runs graphs."""
    try:
        return import_module('onnxruntime')
    except ImportError as error:
        raise ValueError(
            f"{path} needs onnxruntime, which is not installed: pip install 'gersp-geo[onnx]', or "
            f'onnxruntime-gpu for CUDA ({error})'
        ) from error


def _errors() -> tuple[type[Exception], ...]:
    """List what onnxruntime raises; a release may lack one of them."""
    state = import_module('onnxruntime.capi.onnxruntime_pybind11_state')
    found = (getattr(state, name, None) for name in _ERRORS)
    return (RuntimeError, *(error for error in found if error is not None))


def _check_signature(session: Any, *, path: Path) -> tuple[Any, Any]:
    """Refuse graphs that are not from one image to scores per pixel, or to one vector per patch.

    Returns:
        Its input and its first output.
    """
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(inputs[0].shape) not in (4, 5) or inputs[0].type not in _DTYPES:
        found = ', '.join(f'{entry.name} {entry.shape} {entry.type}' for entry in inputs) or 'none'
        raise ValueError(
            f'{path} must have one input, images of floats of shape (B, C, H, W), or two dates of '
            f'shape (B, 2, C, H, W), got {found}'
        )
    # an output of unknown rank has an empty shape; its values tell
    if len(outputs[0].shape) not in (0, 2, 4):
        raise ValueError(
            f'{path} must return scores of shape (B, K, H, W), or vectors of shape (B, D) for '
            f'--task embed or classify, got {outputs[0].name} of shape {tuple(outputs[0].shape)}'
        )
    return inputs[0], outputs[0]


def parse_metadata(text: str, *, source: str) -> object:
    """Read JSON from the metadata of a graph.

    Args:
        text: Value of one key.
        source: Named in errors.

    Returns:
        What it says.

    Raises:
        ValueError: If it is not JSON.
    """
    try:
        return json.loads(text)
    # RecursionError: brackets within brackets
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{source} is not JSON: {error}') from error


def _reason(error: Exception) -> str:
    """Say in one line what is wrong; onnxruntime puts a code of its own first."""
    text = one_line(error)
    return text.rpartition('ONNXRuntimeError] : ')[2]
