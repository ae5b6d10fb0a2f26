"""Tiled prediction: a scene of any size becomes a map of the same grid, in bounded memory.

``preparing`` decides everything from headers and writes it into a ``plan``; ``loading`` brings the
model and how its input is prepared; ``supply`` reads, ``forward`` scores and ``streaming`` stitches;
``outputs`` turns scores into map values, ``parts`` writes them, and ``engine`` runs it all.
"""

from .engine import predict_geotiff
from .preparing import plan_prediction

__all__ = ('plan_prediction', 'predict_geotiff')
