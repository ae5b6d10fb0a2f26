"""The options of a prediction: what they are called, what they mean, and which values they take.

Every option is described once, where it stands. The command makes its words of these fields, and
the functions of :mod:`.api` their signatures and their documentation. Nothing heavy is imported
here, so that ``--help`` answers at once.
"""

from .common import PredictionOptions
from .listing import describe_default, list_options, take_options
from .maps import MapOptions
from .objects import ObjectOptions
from .patches import PatchOptions
from .words import Averaging, Blend, LayerKind, MapKind, PathName, Precision, RuntimeName

__all__ = [
    'Averaging', 'Blend', 'LayerKind', 'MapKind', 'MapOptions', 'ObjectOptions', 'PatchOptions',
    'PathName', 'Precision', 'PredictionOptions', 'RuntimeName', 'describe_default', 'list_options',
    'take_options',
]  # fmt: skip
