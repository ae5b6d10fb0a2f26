"""Metadata that the QGIS plugin Deepness reads from a graph.

Its documentation is followed, of models and of their metadata:
https://qgis-plugin-deepness.readthedocs.io/en/latest/creators/creators_description_classes.html
https://qgis-plugin-deepness.readthedocs.io/en/latest/creators/creators_add_metadata_to_model.html

The plugin cuts square tiles of bytes, divides them by 255, and takes probabilities of classes, or
values. Numbers and names are JSON.
"""

import json
from typing import Any

from ...preprocessing import Preprocessing
from ..model.signature import Scores
from ..scene.patch_choice import OVERLAP, SIZE

FACTOR = 1 / 255
"""What bytes are multiplied by before a graph sees them."""

_CENTIMETRES = 100


def find_obstacle(
    record: Preprocessing, *, scores: Scores, dates: int, axes: int, is_included: bool
) -> str | None:
    """Say why a graph cannot follow the contract of Deepness; None where it can.

    Args:
        record: How images are prepared.
        scores: What the model returns.
        dates: That it takes.
        axes: Of what it returns: 4 of pixels, 2 of patches.
        is_included: Whether the preprocessing is in the graph.
    """
    if axes != 4 or dates != 1:
        return 'it is for models of pixels and one date'
    if scores == 'labels':
        return 'it is for classes that exclude each other'
    if record.dtype != 'uint8':
        return f'it is for bytes, and the model was trained on {record.dtype or "an unknown type"}'
    if record.nodata is not None:
        return f'the plugin knows no missing values, and {record.nodata:g} was one in training'
    return None if is_included else 'pass --include-preprocessing'


def describe(record: Preprocessing, *, scores: Scores, channels: int, side: int) -> dict[str, str]:
    """Say in the plugin's words what a graph is.

    Args:
        record: Names classes and resolution.
        scores: What the model returns.
        channels: Number of its outputs per pixel.
        side: Of its tiles in pixels.

    Returns:
        Metadata.
    """
    names = record.class_names
    is_regression = scores == 'values'
    if channels == 1 and not is_regression:
        # one probability is that of the second class
        names = names[1:] if len(names) == 2 else names or ('class',)
    told: dict[str, Any] = {
        'model_type': 'Regressor' if is_regression else 'Segmentor',
        'class_names': {
            str(index): names[index] if index < len(names) else f'output {index}'
            for index in range(channels)
        },
        # documented, and what the plugin's code reads
        'tiles_size': side,
        'tile_size': side,
        'tiles_overlap': round(100 * OVERLAP / SIZE),
        # the graph standardises by itself
        'standardization_mean': [0.0] * len(record.bands),
        'standardization_std': [1.0] * len(record.bands),
    }
    if record.res_m is not None:
        told['resolution'] = record.res_m * _CENTIMETRES
    if is_regression:
        told['reg_output_scaling'] = 1.0
    else:
        # below its threshold a pixel is given to class 0, and of several the best may lie there
        told |= {'seg_thresh': 0.5 if channels == 1 else 0.0, 'seg_small_segment': 0}
    return {key: json.dumps(value, ensure_ascii=False) for key, value in told.items()}
