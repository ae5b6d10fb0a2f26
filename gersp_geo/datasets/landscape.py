"""Former name of ``gersp_geo.sample_data``, for one release."""

from warnings import warn

from ..sample_data import CLASS_COLORS, CLASS_NAMES, write_sample_data

__all__ = ('CLASS_COLORS', 'CLASS_NAMES', 'write_sample_data')

warn(
    f'{__name__} is gersp_geo.sample_data now; the former name ends with the next release',
    DeprecationWarning,
    stacklevel=2,
)
