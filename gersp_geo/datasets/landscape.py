"""Former home of ``gersp_geo.sample_data``, for one release."""

from ..lazy import warn_of_former_home
from ..sample_data import CLASS_COLORS, CLASS_NAMES, write_sample_data

__all__ = ('CLASS_COLORS', 'CLASS_NAMES', 'write_sample_data')

warn_of_former_home(__name__, 'gersp_geo.sample_data')
