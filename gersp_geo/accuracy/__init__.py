"""Maps judged by a reference: samples, accuracies and areas with intervals, objects."""

from typing import TYPE_CHECKING

from ..lazy import public_names

if TYPE_CHECKING:
    from .drawing import SampleSummary, draw_sample
    from .estimators import estimate_accuracy
    from .figures import Accuracy, ClassAccuracy, Estimate, MapClass, SampledCounts
    from .sample_files import read_sample
    from .samples import Sample, SampleDesign
    from .tables import as_record, describe, write_csv, write_json

__all__ = (
    'Accuracy', 'ClassAccuracy', 'Estimate', 'MapClass', 'Sample', 'SampleDesign', 'SampleSummary',
    'SampledCounts', 'as_record', 'describe', 'draw_sample', 'estimate_accuracy', 'read_sample',
    'write_csv', 'write_json',
)  # fmt: skip

__getattr__, __dir__ = public_names(
    __name__,
    {
        'Accuracy': 'figures', 'ClassAccuracy': 'figures', 'Estimate': 'figures',
        'MapClass': 'figures', 'Sample': 'samples', 'SampleDesign': 'samples',
        'SampleSummary': 'drawing', 'SampledCounts': 'figures', 'as_record': 'tables',
        'describe': 'tables', 'draw_sample': 'drawing', 'estimate_accuracy': 'estimators',
        'read_sample': 'sample_files', 'write_csv': 'tables', 'write_json': 'tables',
    },
)  # fmt: skip
