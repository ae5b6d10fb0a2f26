"""A grid of patches over a scene of any size: a class or a vector for each.

``models`` brings backbones and classifiers; ``grid`` places patches; ``preparing`` decides everything
from headers; ``streaming`` reads and forwards; ``outputs`` writes the table and the map of patches;
``engine`` runs it all, and ``command`` serves the command.
"""

from .engine import classify_scene, embed_scene
from .summary import PatchSummary

__all__ = ('PatchSummary', 'classify_scene', 'embed_scene')
