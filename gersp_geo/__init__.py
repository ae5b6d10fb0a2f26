"""GeRSP pre-training and tiled prediction for the torchgeo ecosystem.

The data flow, which the sub-packages follow:

1. ``datasets``, ``samplers``: GeoTIFFs and natural images become patches;
2. ``datamodules``: two streams become one batch;
3. ``transforms``: kornia augments on the device, inside the task;
4. ``tasks`` (``losses``, ``momentum``): student, teacher, queue and classifier learn;
5. ``models``: weights enum, checkpoint formats, any backbone into any model;
6. a torchgeo task is fine-tuned, and ``callbacks`` record how its input was prepared;
7. ``inference`` (``tiling``, ``stitching``, ``geoio``): a scene of any size becomes a map, objects or a table;
8. ``main``: the ``gersp-geo`` command.
"""

from typing import TYPE_CHECKING

from .lazy import public_names

if TYPE_CHECKING:
    from .datamodules import GeRSPDataModule
    from .inference import (
        classify_scene,
        detect_objects,
        embed_scene,
        plan_prediction,
        polygonize,
        predict_geotiff,
        write_objects_preview,
        write_preview,
    )
    from .models import GeRSP_Weights, export_backbone, gersp_resnet50, load_backbone
    from .preprocessing import Preprocessing
    from .sample_data import write_sample_data
    from .tasks import GeRSPTask

__version__ = '0.1.0'

__all__ = (
    'GeRSPDataModule',
    'GeRSPTask',
    'GeRSP_Weights',
    'Preprocessing',
    '__version__',
    'classify_scene',
    'detect_objects',
    'embed_scene',
    'export_backbone',
    'gersp_resnet50',
    'load_backbone',
    'plan_prediction',
    'polygonize',
    'predict_geotiff',
    'write_objects_preview',
    'write_preview',
    'write_sample_data',
)

__getattr__, _ = public_names(
    __name__,
    {
        'GeRSPDataModule': 'datamodules',
        'GeRSPTask': 'tasks',
        'GeRSP_Weights': 'models',
        'Preprocessing': 'preprocessing',
        'classify_scene': 'inference',
        'detect_objects': 'inference',
        'embed_scene': 'inference',
        'export_backbone': 'models',
        'gersp_resnet50': 'models',
        'load_backbone': 'models',
        'plan_prediction': 'inference',
        'polygonize': 'inference',
        'predict_geotiff': 'inference',
        'write_objects_preview': 'inference',
        'write_preview': 'inference',
        'write_sample_data': 'sample_data',
    },
)


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted(__all__)
