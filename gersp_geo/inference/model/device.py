"""Where a model runs, and how many patches at a time."""

import warnings

import torch
from torch import nn

from ..option_values import usable_cores
from .load import LoadedModel
from .onnx import OnnxGraph, can_run_on

# Pixels per batch for batch_size='auto': 16 patches of 512 px keep an accelerator busy; on a CPU,
# whose cores share the work within a patch, 4 do.
_AUTO_PIXELS = {'accelerator': 2**22, 'cpu': 2**20}


def leave_to_cpu(loaded: LoadedModel, *, device: str) -> str:
    """Choose the CPU for a graph that onnxruntime cannot run on a device, and the device else.

    Images would go to the device and back for nothing.

    Warns:
        UserWarning: If it is the CPU instead of the device.
    """
    if not isinstance(loaded.forward, OnnxGraph) or can_run_on(device):
        return device
    warnings.warn(
        f'{loaded.name} runs on the CPU: the installed onnxruntime cannot use {device}; '
        'onnxruntime-gpu can use CUDA',
        stacklevel=2,
    )
    return 'cpu'


def place_model(loaded: LoadedModel, *, device: str) -> LoadedModel:
    """Move a model to its device."""
    if isinstance(loaded.forward, nn.Module):
        loaded.forward.to(device)
    return loaded


def name_device(device: str) -> str:
    """Tell processors apart that do not compute alike, or not at one speed."""
    if device == 'cpu':
        return f'cpu {torch.backends.cpu.get_cpu_capability()} of {usable_cores()} cores'
    return torch.cuda.get_device_name(device) if device.startswith('cuda') else device


def fitting_batch(size: int, *, device: str) -> int:
    """Choose how many patches of a side in pixels fill a batch on a device."""
    budget = _AUTO_PIXELS['cpu' if device == 'cpu' else 'accelerator']
    return max(1, budget // size**2)
