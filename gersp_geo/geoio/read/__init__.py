"""Rasters opened and read: headers, windows, blocks, and which pixels are observations."""

from .alpha import look_like_data, open_on_grid, sample_band
from .block_decoder import BlockDecoder, open_decoder
from .block_reader import CellReader
from .cache import hash_stamps, recall, remember
from .cells import CellGrid, CellSource, plan_cells
from .chips import read_chip
from .georeference import Georeference
from .headers import WORTH_KEEPING, read_headers
from .observation_rules import Observed, Rule, find_rule
from .observations import Shown, read_observed, read_unmasked, read_valid
from .padding import padded_window
from .reader import (
    RasterHeader,
    Reader,
    UnreadableFileError,
    describe_reader,
    list_files,
    open_reader,
    read_header,
    read_tags,
    read_window,
)
from .sidecars import find_owner, is_local
from .stored_blocks import stored_blocks
from .thumbnail import read_reduced
from .truncation import check_whole

__all__ = (
    'WORTH_KEEPING', 'BlockDecoder', 'CellGrid', 'CellReader', 'CellSource', 'Georeference',
    'Observed', 'RasterHeader', 'Reader', 'Rule', 'Shown', 'UnreadableFileError', 'check_whole',
    'describe_reader', 'find_owner', 'find_rule', 'hash_stamps', 'is_local', 'list_files', 'look_like_data',
    'open_decoder', 'open_on_grid', 'open_reader', 'padded_window', 'plan_cells', 'read_chip',
    'read_header', 'read_headers', 'read_observed', 'read_reduced', 'read_tags', 'read_unmasked',
    'read_valid', 'read_window', 'recall', 'remember', 'sample_band', 'stored_blocks',
)  # fmt: skip
