"""Tiled prediction: a scene of any size becomes a map, objects or a table, in bounded memory.

``prepare`` decides everything from headers and writes it into a ``plan``, which ``run`` carries
out: ``scene`` reads batches of patches, ``model`` says something of each, and one of ``outputs``
(maps, objects, patches) settles that, writes it part by part and makes files of all parts;
``resume`` remembers which parts are done. ``api`` has the functions, and ``jobs`` what the command
does. ``exporting`` writes a whole model as one file.
"""

from typing import TYPE_CHECKING

from ..lazy import public_names

if TYPE_CHECKING:
    from .api import classify_scene, detect_objects, embed_scene, plan_prediction, predict_geotiff
    from .exporting.whole import export_model
    from .polygons import polygonize
    from .preview import write_objects_preview, write_preview

__all__ = (
    'classify_scene',
    'detect_objects',
    'embed_scene',
    'export_model',
    'plan_prediction',
    'polygonize',
    'predict_geotiff',
    'write_objects_preview',
    'write_preview',
)

__getattr__, __dir__ = public_names(
    __name__,
    {
        'classify_scene': 'api',
        'detect_objects': 'api',
        'embed_scene': 'api',
        'export_model': 'exporting.whole',
        'plan_prediction': 'api',
        'polygonize': 'polygons',
        'predict_geotiff': 'api',
        'write_objects_preview': 'preview',
        'write_preview': 'preview',
    },
)
