"""Tiled prediction: a scene of any size becomes a map of the same grid, in bounded memory.

``plan`` decides everything from headers, ``loading`` brings the model and how its input is
prepared, ``streaming`` reads, forwards and stitches, ``outputs`` turns scores into map values, ``engine``
writes them.
"""

from .engine import predict_geotiff
from .plan import plan_prediction

__all__ = ('plan_prediction', 'predict_geotiff')
