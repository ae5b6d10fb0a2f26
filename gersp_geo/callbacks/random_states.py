"""States of all random generators, as tensors."""

import random
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

type States = dict[str, Tensor]
"""One tensor of integers per generator."""


def read_states(device: torch.device) -> States:
    """Read the states of all generators that augmentation and dropout may draw from on a device."""
    _, numpy_keys, numpy_position, *_ = np.random.get_state()
    _, python_state, _ = random.getstate()
    states = {
        'torch': torch.get_rng_state(),
        'numpy': torch.tensor([*numpy_keys.tolist(), numpy_position]),
        'python': torch.tensor(python_state),
    }
    if device.type != 'cpu':
        states[device.type] = backend(device.type).get_rng_state()
    return states


def write_states(states: States) -> None:
    """Set generators to states that were read; an absent accelerator has none to set."""
    torch.set_rng_state(states['torch'])
    *numpy_keys, numpy_position = states['numpy'].tolist()
    keys = np.array(numpy_keys, dtype=np.uint32)
    np.random.set_state(('MT19937', keys, numpy_position, 0, 0.0))
    random.setstate((3, tuple(states['python'].tolist()), None))
    for name in states.keys() - {'torch', 'numpy', 'python'}:
        if backend(name).is_available():
            backend(name).set_rng_state(states[name])


def seed_states(seed: int, *, device: torch.device) -> States:
    """Make the states that a seed in [0, 2 ** 32) leads to; the generators stay as they are."""
    before = read_states(device)
    torch.manual_seed(seed)  # of accelerators, too
    np.random.seed(seed)
    random.seed(seed)
    seeded = read_states(device)
    write_states(before)
    return seeded


def backend(name: str) -> ModuleType:
    """Find the module of an accelerator: ``torch.cuda``, ``torch.mps``, ``torch.xpu``."""
    module: ModuleType = getattr(torch, name)
    return module
