"""Tiled prediction: a scene of any size becomes a map of the same grid, in bounded memory.

``preparing`` decides everything from headers and writes it into a ``plan``; ``loading`` brings the
model and how its input is prepared; ``supply`` reads, ``forward`` scores and ``streaming`` stitches;
``outputs`` turns scores into map values, ``parts`` writes them, and ``engine`` runs it all.
``dispatch`` chooses by the kind of model what the command does with ``scenes``, which ``command`` does
for maps.
"""

from typing import TYPE_CHECKING

from ..lazy import public_names

if TYPE_CHECKING:
    from .detection import detect_objects
    from .engine import predict_geotiff
    from .patches import classify_scene, embed_scene
    from .polygons import polygonize
    from .preparing import plan_prediction
    from .preview import write_objects_preview, write_preview

__all__ = (
    'classify_scene',
    'detect_objects',
    'embed_scene',
    'plan_prediction',
    'polygonize',
    'predict_geotiff',
    'write_objects_preview',
    'write_preview',
)

__getattr__, __dir__ = public_names(
    __name__,
    {
        'classify_scene': 'patches',
        'detect_objects': 'detection',
        'embed_scene': 'patches',
        'plan_prediction': 'preparing',
        'polygonize': 'polygons',
        'predict_geotiff': 'engine',
        'write_objects_preview': 'preview',
        'write_preview': 'preview',
    },
)
