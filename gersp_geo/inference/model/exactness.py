"""Compute in single precision where that is asked for."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import torch

# modules in whose place torch puts objects with more attributes
_backends: Any = torch.backends

# what torch rounds to fewer bits on its own, on GPUs, or where it is told to, on CPUs too
_ROUNDED: tuple[Any, ...] = (
    _backends.cudnn.conv, _backends.cudnn.rnn, _backends.cuda.matmul, _backends.mkldnn.conv,
    _backends.mkldnn.matmul,
)  # fmt: skip


@contextmanager
def exact_floats() -> Iterator[None]:
    """Keep all bits of single precision in convolutions and products of matrices.

    cuDNN rounds what it convolves to TF32, 10 bits of 23, unless told otherwise. Mixed precision
    is none of this: what it computes in bfloat16 stays so.
    """
    with ExitStack() as stack:
        # torch keeps each setting under two names, refuses to read the older one where they do not
        # fit together, and compiled code reads both; writing the older one writes the newer
        for backend in _ROUNDED:
            stack.callback(setattr, backend, 'fp32_precision', backend.fp32_precision)
        with suppress(RuntimeError):
            before = _backends.cudnn.allow_tf32
            stack.callback(setattr, _backends.cudnn, 'allow_tf32', before)
        with suppress(RuntimeError):
            products = torch.get_float32_matmul_precision()
            stack.callback(torch.set_float32_matmul_precision, products)
        torch.set_float32_matmul_precision('highest')
        _backends.cudnn.allow_tf32 = False
        for backend in _ROUNDED:
            backend.fp32_precision = 'ieee'
        yield
