"""Where a model runs, and how many patches at a time."""

from dataclasses import replace

import torch
from torch import nn

from .load import LoadedModel
from .onnx import OnnxGraph

# Pixels per batch for batch_size='auto': 16 patches of 512 px keep an accelerator busy; on a CPU,
# whose cores share the work within a patch, 4 do.
_AUTO_PIXELS = {'accelerator': 2**22, 'cpu': 2**20}


def find_device(device: str) -> str:
    """Choose an accelerator if there is one; refuse a device that is not there.

    Raises:
        ValueError: If *device* cannot be used.
    """
    if device != 'auto':
        try:
            torch.empty(0, device=device)
        # AssertionError is what builds of torch without CUDA raise
        except (RuntimeError, AssertionError) as error:
            reason = str(error).partition('\n')[0]
            raise ValueError(f'device {device!r} cannot be used: {reason}') from error
        kind = torch.device(device).type
        if kind == 'meta':
            raise ValueError(
                "device 'meta' holds no numbers; pass cpu, cuda, or another one that computes"
            )
        # of the one processor, whatever number it is given
        return 'cpu' if kind == 'cpu' else device
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return 'cpu' if accelerator is None else accelerator.type


def place_model(loaded: LoadedModel, *, device: str, channels_last: bool) -> LoadedModel:
    """Move a model to its device."""
    forward = loaded.forward
    if isinstance(forward, nn.Module):
        forward.to(device)
        if channels_last:
            forward.to(memory_format=torch.channels_last)
    return loaded


def compile_model(loaded: LoadedModel) -> LoadedModel:
    """Compile a model; a graph of ONNX is compiled by its own runtime."""
    if isinstance(loaded.forward, OnnxGraph):
        return loaded
    return replace(loaded, forward=torch.compile(loaded.forward))


def fitting_batch(size: int, *, device: str) -> int:
    """Choose how many patches of a side in pixels fill a batch on a device."""
    budget = _AUTO_PIXELS['cpu' if device == 'cpu' else 'accelerator']
    return max(1, budget // size**2)
