"""Rasters seen on another grid, and how they lie beside others."""

from .alignment import on_one_grid, open_aligned, open_scene
from .common_ground import check_common_ground
from .location_text import advise_place, describe_lack, describe_means, describe_place
from .nearest import Nearest, find_nearest
from .overlap import measure_overlap
from .reprojection import BEYOND, Reprojection

__all__ = (
    'BEYOND', 'Nearest', 'Reprojection', 'advise_place', 'check_common_ground', 'describe_lack',
    'describe_means', 'describe_place', 'find_nearest', 'measure_overlap', 'on_one_grid',
    'open_aligned', 'open_scene',
)  # fmt: skip
