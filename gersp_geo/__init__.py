"""GeRSP pre-training and tiled prediction for the torchgeo ecosystem.

The data flow, which the sub-packages follow:

1. ``datasets``, ``samplers``: GeoTIFFs and natural images become patches;
2. ``datamodules``: two streams become one batch;
3. ``transforms``: kornia augments on the device, inside the task;
4. ``tasks`` (``losses``, ``momentum``): student, teacher, queue and classifier learn;
5. ``models``: weights enum, checkpoint formats, any backbone into any model;
6. a torchgeo task is fine-tuned, and ``callbacks`` record how its input was prepared;
7. ``inference`` (``tiling``, ``stitching``, ``geoio``): a scene of any size becomes a map;
8. ``main``: the ``gersp-geo`` command.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .datamodules import GeRSPDataModule
    from .inference import plan_prediction, predict_geotiff
    from .models import GeRSP_Weights, export_backbone, gersp_resnet50, load_backbone
    from .tasks import GeRSPTask

__version__ = '0.1.0'

__all__ = (
    'GeRSPDataModule',
    'GeRSPTask',
    'GeRSP_Weights',
    '__version__',
    'export_backbone',
    'gersp_resnet50',
    'load_backbone',
    'plan_prediction',
    'predict_geotiff',
)

# torch and torchgeo take seconds to import: a name is imported when it is first used, so that
# `gersp-geo --help` answers at once.
_HOMES = {
    'GeRSPDataModule': 'datamodules',
    'GeRSPTask': 'tasks',
    'GeRSP_Weights': 'models',
    'export_backbone': 'models',
    'gersp_resnet50': 'models',
    'load_backbone': 'models',
    'plan_prediction': 'inference',
    'predict_geotiff': 'inference',
}


def __getattr__(name: str) -> object:
    """Import a public name on its first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'.{_HOMES[name]}', __name__), name)


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted(__all__)
