"""Which forms of a model this machine can run."""

from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from torch import nn

from ...options import Precision, RuntimeName
from ..load import LoadedModel
from ..onnx import OnnxGraph, can_run_on

FORMS: tuple[RuntimeName, ...] = ('eager', 'channels-last', 'compiled', 'onnx', 'openvino')

MODULE_FORMS = FORMS[:3]
"""Those that return whatever a module does, not only tensors."""

# packages without which a form cannot be made or run, and the extra that brings them
_NEEDED: dict[RuntimeName, tuple[tuple[str, ...], str]] = {
    'onnx': (('onnx', 'onnxscript', 'onnxruntime'), 'onnx'),
    'openvino': (('openvino',), 'openvino'),
}


def versions() -> dict[str, str]:
    """List what forms are made with, name to version."""
    found = {}
    for name in ('torch', *(package for packages, _ in _NEEDED.values() for package in packages)):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def find_obstacle(
    name: RuntimeName, loaded: LoadedModel, *, device: str, precision: Precision
) -> str | None:
    """Say why a model cannot be run in a form, without trying.

    Args:
        name: The form.
        loaded: The model.
        device: Where it is to run.
        precision: Type in which it is to compute.

    Returns:
        Half a sentence after the name of the form, with what helps; None where nothing is known.
    """
    is_graph = isinstance(loaded.forward, OnnxGraph)
    if is_graph and name not in ('onnx', 'openvino'):
        return f'is for modules of torch, and {loaded.name} is a graph: pass onnx or openvino'
    if name == 'eager':
        return None
    is_function = not is_graph and not isinstance(loaded.forward, nn.Module)
    if is_function and name != 'channels-last':
        return f'is for modules and graphs, and {loaded.name} is a function: pass eager'
    packages, extra = _NEEDED.get(name, ((), ''))
    # a graph is there already
    packages = ('onnxruntime',) if is_graph and name == 'onnx' else packages
    if precision == 'int8':
        # onnx and onnxruntime round it
        packages, extra = (*dict.fromkeys((*packages, *_NEEDED['onnx'][0])),), 'onnx,openvino'
    if missing := [package for package in packages if find_spec(package) is None]:
        named = f'{" and ".join(missing)}, which {"is" if len(missing) == 1 else "are"}'
        return f"needs {named} not installed: pip install 'gersp-geo[{extra}]'"
    is_on_cpu = name == 'openvino' or precision == 'int8'
    needs_cpu = is_on_cpu or (name == 'onnx' and not can_run_on(device))
    if needs_cpu and device != 'cpu':
        return f'runs on a CPU here, and the device is {device}'
    if name == 'onnx' and precision == 'bfloat16':
        return f'computes in float32, and the precision is {precision}'
    return None
