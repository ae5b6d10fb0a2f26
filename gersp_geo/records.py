"""Former home of windows, the preprocessing record and the types of batches, for one release."""

from warnings import warn

from .batch_types import ImageBatch, ImageSample, JointBatch, LabelledBatch, LabelledSample
from .preprocessing import CHANGE_CLASSES, Preprocessing
from .windows import Panel, Patch, Window

Batch, CHANGE_NAMES = JointBatch, CHANGE_CLASSES

__all__ = (
    'CHANGE_NAMES', 'Batch', 'ImageBatch', 'ImageSample', 'LabelledBatch', 'LabelledSample',
    'Panel', 'Patch', 'Preprocessing', 'Window',
)  # fmt: skip

warn(
    f'{__name__} is gersp_geo.windows, gersp_geo.preprocessing and gersp_geo.batch_types now; the '
    'former name ends with the next release',
    DeprecationWarning,
    stacklevel=2,
)
