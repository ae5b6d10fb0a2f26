"""Tiled prediction: a scene of any size becomes a map of the same grid, in bounded memory.

``preparing`` decides everything from headers and writes it into a ``plan``; ``loading`` brings the
model and how its input is prepared; ``supply`` reads, ``forward`` scores and ``streaming`` stitches;
``outputs`` turns scores into map values, ``parts`` writes them, and ``engine`` runs it all.
``dispatch`` chooses by the kind of model what the command does with ``scenes``, which ``command`` does
for maps.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .engine import predict_geotiff
    from .preparing import plan_prediction

__all__ = ('plan_prediction', 'predict_geotiff')

# models need torch, which takes seconds to import; polygons and pictures do without
_HOMES = {'plan_prediction': 'preparing', 'predict_geotiff': 'engine'}


def __getattr__(name: str) -> object:
    """Import a public name on its first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'.{_HOMES[name]}', __name__), name)


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted(__all__)
