"""Maps judged by a reference: samples, accuracies and areas with intervals, objects."""

from typing import TYPE_CHECKING

from ..lazy import public_names

if TYPE_CHECKING:
    from .assessing import assess_map
    from .estimators import estimate_accuracy
    from .figures import Accuracy, Calibration, ClassAccuracy, Estimate, MapClass, SampledCounts
    from .objects import ClassObjects, ObjectAccuracy, assess_objects
    from .sampling.drawing import SampleSummary, draw_sample
    from .sampling.files import read_sample
    from .sampling.samples import Sample, SampleDesign
    from .tables import as_record, describe, write_csv, write_json
    from .value_figures import BandAccuracy, ValueAccuracy

__all__ = (
    'Accuracy', 'BandAccuracy', 'Calibration', 'ClassAccuracy', 'ClassObjects', 'Estimate',
    'MapClass', 'ObjectAccuracy', 'Sample', 'SampleDesign', 'SampleSummary', 'SampledCounts',
    'ValueAccuracy', 'as_record', 'assess_map', 'assess_objects', 'describe', 'draw_sample',
    'estimate_accuracy', 'read_sample', 'write_csv', 'write_json',
)  # fmt: skip

__getattr__, __dir__ = public_names(
    __name__,
    {
        'Accuracy': 'figures', 'BandAccuracy': 'value_figures', 'Calibration': 'figures',
        'ClassAccuracy': 'figures', 'ClassObjects': 'objects', 'Estimate': 'figures',
        'MapClass': 'figures', 'ObjectAccuracy': 'objects', 'Sample': 'sampling.samples',
        'SampleDesign': 'sampling.samples', 'SampleSummary': 'sampling.drawing', 'SampledCounts': 'figures',
        'ValueAccuracy': 'value_figures', 'as_record': 'tables', 'assess_map': 'assessing',
        'assess_objects': 'objects', 'describe': 'tables', 'draw_sample': 'sampling.drawing',
        'estimate_accuracy': 'estimators', 'read_sample': 'sampling.files', 'write_csv': 'tables',
        'write_json': 'tables',
    },
)  # fmt: skip
