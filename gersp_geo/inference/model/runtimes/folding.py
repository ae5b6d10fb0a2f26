"""Fold batch normalisation into the convolutions before it."""

from collections import Counter
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .trials import TOLERANCE, compare


def fold(module: nn.Module, images: Tensor) -> nn.Module:
    """Copy a module for evaluation, with each BatchNorm2d as a part of the convolution before it.

    A pair is found by what it passes on while the module looks at some images. That the output of a
    convolution is used elsewhere too cannot be seen from outside: if the copy does not return the
    same for these images, nothing is folded.

    Args:
        module: Stays as it is.
        images: What it takes, one with some variety; small is enough.

    Returns:
        The copy, in evaluation mode; the same to rounding.
    """
    copy = deepcopy(module).eval()
    calls: Counter[str] = Counter()
    # tensors are kept, so that no two have one identity
    returned: dict[int, tuple[str, Tensor]] = {}
    pairs: dict[str, str] = {}

    def note(name: str, layer: nn.Module, given: Any, found: Tensor) -> None:
        calls[name] += 1
        if type(layer) is nn.BatchNorm2d:
            before, _ = returned.get(id(given[0]), ('', None))
            pairs[name] = before
        else:
            returned[id(found)] = (name, found)

    hooks = [
        layer.register_forward_hook(
            lambda layer, given, found, name=name: note(name, layer, given, found)
        )
        for name, layer in copy.named_modules()
        # subclasses may do more than their base
        if type(layer) in (nn.Conv2d, nn.BatchNorm2d)
    ]
    try:
        with torch.no_grad():
            expected = copy(images)
    finally:
        for hook in hooks:
            hook.remove()
    for norm, convolution in pairs.items():
        layer = copy.get_submodule(norm)
        assert isinstance(layer, nn.BatchNorm2d)
        is_once = calls[norm] == calls[convolution] == 1
        if convolution and is_once and layer.track_running_stats:
            before = copy.get_submodule(convolution)
            assert isinstance(before, nn.Conv2d)
            with torch.no_grad():
                copy.set_submodule(convolution, fuse_conv_bn_eval(before, layer))
            copy.set_submodule(norm, nn.Identity())
    with torch.no_grad():
        is_same = compare(expected, copy(images)) <= TOLERANCE['float32']
    return copy if is_same else deepcopy(module).eval()
