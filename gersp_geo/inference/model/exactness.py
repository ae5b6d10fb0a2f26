"""Compute in single precision where that is asked for."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from ...shared_context import SharedContext

# modules in whose place torch puts objects with more attributes
_backends: Any = torch.backends

_CONVOLUTION, _RECURRENT = _backends.cudnn.conv, _backends.cudnn.rnn
_CUDA_PRODUCT, _CPU_PRODUCT = _backends.cuda.matmul, _backends.mkldnn.matmul

# what torch rounds to fewer bits on its own, on GPUs, or where it is told to, on CPUs too
_ROUNDED = _CONVOLUTION, _RECURRENT, _CUDA_PRODUCT, _backends.mkldnn.conv, _CPU_PRODUCT


@contextmanager
def _exact_floats() -> Iterator[None]:
    with ExitStack() as stack:
        # torch keeps each setting under two names, and compiled code reads both; writing the older
        # one writes the newer, and it is not read where the newer ones do not fit
        for backend in _ROUNDED:
            stack.callback(setattr, backend, 'fp32_precision', backend.fp32_precision)
        convolves = _read_older(
            lambda: _backends.cudnn.allow_tf32,
            {_CONVOLUTION: ('tf32', 'ieee'), _RECURRENT: ('tf32', 'ieee')},
        )
        stack.callback(setattr, _backends.cudnn, 'allow_tf32', convolves)
        multiplies = _read_older(
            torch.get_float32_matmul_precision,
            {_CUDA_PRODUCT: ('ieee', 'tf32', 'tf32'), _CPU_PRODUCT: ('ieee', 'tf32', 'bf16')},
        )
        stack.callback(torch.set_float32_matmul_precision, multiplies)
        torch.set_float32_matmul_precision('highest')
        _backends.cudnn.allow_tf32 = False
        for backend in _ROUNDED:
            backend.fp32_precision = 'ieee'
        yield


def _read_older[Value](read: Callable[[], Value], fitting: dict[Any, tuple[str, ...]]) -> Value:
    """Read a setting by its older name, with the newer ones set to whatever fits it.

    Args:
        read: Reads it.
        fitting: What may be set for each backend; those at one place belong together.
    """
    for settings in zip(*fitting.values(), strict=True):
        for backend, value in zip(fitting, settings, strict=True):
            backend.fp32_precision = value
        try:
            return read()
        except RuntimeError:
            continue
    raise AssertionError('torch reads the older name of a setting beside none of the newer ones')


exact_floats = SharedContext(_exact_floats)
"""Keep all bits of single precision in convolutions and products of matrices.

cuDNN rounds what it convolves to TF32, 10 bits of 23, unless told otherwise. Mixed precision is none
of this: what it computes in bfloat16 stays so.
"""
