"""Rasters and other files written: complete, or not at all."""

from .atomic import (
    NO_ROOM,
    STALE_SIDECARS,
    DiskFullError,
    check_absent,
    check_local,
    check_not_read,
    check_writable,
    describe_room,
    free_bytes,
    new_file,
    new_folder,
    publish,
    sync_folder,
)
from .cog import MapLayout, OverviewResampling
from .figure_files import finite_or_none, write_csv, write_json
from .geotiff import write_raster
from .mosaic import finish_map
from .parts import BLOCK_SIZE, Part, checksum, is_sound, write_part
from .patch_maps import new_patch_map
from .point_styles import write_point_form
from .styles import Color, check_legend, class_color, write_qml, write_symbols

__all__ = (
    'BLOCK_SIZE', 'NO_ROOM', 'STALE_SIDECARS', 'Color', 'DiskFullError', 'MapLayout',
    'OverviewResampling', 'Part', 'check_absent', 'check_legend', 'check_local',
    'check_not_read', 'check_writable', 'checksum', 'class_color', 'describe_room',
    'finish_map', 'finite_or_none', 'free_bytes', 'is_sound', 'new_file', 'new_folder',
    'new_patch_map', 'publish', 'sync_folder', 'write_csv', 'write_json', 'write_part',
    'write_point_form', 'write_qml', 'write_raster', 'write_symbols',
)  # fmt: skip
