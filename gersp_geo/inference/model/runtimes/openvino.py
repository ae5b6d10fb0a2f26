"""Run models by OpenVINO."""

from importlib import import_module
from io import BytesIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.export import ExportedProgram

from ...options import Precision
from ..onnx import OnnxGraph

_HINTS: dict[Precision, str] = {'float32': 'f32', 'bfloat16': 'bf16', 'int8': 'f32'}


class OpenVinoGraph:
    """A graph from normalised images to scores, run by OpenVINO on the CPU."""

    def __init__(
        self, source: ExportedProgram | OnnxGraph, *, precision: Precision, threads: int
    ) -> None:
        """Convert and compile.

        Args:
            source: What is to run.
            precision: Type in which it computes; left to itself, OpenVINO would take bfloat16
                where a CPU has instructions for it. A graph that is rounded to int8 says itself
                what is.
            threads: That it uses.
        """
        openvino = import_module('openvino')
        self._graph = source if isinstance(source, OnnxGraph) else None
        given: object = source
        if self._graph is not None:
            given = (
                self._graph.source if self._graph.content is None else BytesIO(self._graph.content)
            )
        model = openvino.convert_model(given)
        settings = {
            'INFERENCE_PRECISION_HINT': _HINTS[precision],
            'INFERENCE_NUM_THREADS': threads,
            'PERFORMANCE_HINT': 'LATENCY',
        }
        self._compiled = openvino.Core().compile_model(model, 'CPU', settings)

    def __call__(self, images: Tensor) -> Tensor:
        """Run the graph.

        Args:
            images: Normalised, as the model takes them, float32, on the CPU.

        Returns:
            Its first output.
        """
        if self._graph is not None:
            return self._graph.run_by(self._run, images)
        return torch.from_numpy(self._run(np.ascontiguousarray(images.detach().numpy())))

    def _run(self, values: NDArray[np.generic]) -> NDArray[np.generic]:
        """Run one batch; what is returned stays as it is."""
        found: NDArray[np.generic] = self._compiled(values)[0]
        return found
