"""Sample data without a download: a synthetic landscape seen from the air, and natural images."""

from .files import write_sample_data
from .terrain import CLASS_COLORS, CLASS_NAMES

__all__ = ('CLASS_COLORS', 'CLASS_NAMES', 'write_sample_data')
