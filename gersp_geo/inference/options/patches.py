"""Options of whole patches."""

from dataclasses import dataclass
from typing import Literal

from .common import PredictionOptions
from .words import PathName, option


@dataclass(frozen=True, kw_only=True)
class PatchOptions(PredictionOptions):
    """Options of whole patches: vectors or classes."""

    usual = 224, 0

    size: int | Literal['auto'] = option(
        224, 'Side of a patch in pixels; most backbones were trained with 224.', group='patches'
    )
    overlap: int | Literal['auto'] = option(
        0,
        'Pixels that neighbouring patches share, in [0, size). A pixel of a map of patches covers'
        ' what is not shared, in the middle of its patch.',
        group='patches',
    )
    raster: PathName | None = option(
        None,
        'Map of one pixel per patch to write beside a table.',
        group='whole patches',
        metavar='FILE',
    )
