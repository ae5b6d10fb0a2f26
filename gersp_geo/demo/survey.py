"""The map judged by a few points, as somebody does who cannot look at every pixel."""

from pathlib import Path

import geopandas
import numpy as np
from numpy.typing import NDArray

from ..accuracy import Accuracy, assess_map, draw_sample
from ..reports import write_map_report

POINTS = 300


def survey(
    prediction: Path,
    truth: NDArray[np.integer],
    *,
    scene: Path,
    points: Path,
    page: Path,
    seed: int,
) -> Accuracy:
    """Draw points, say what is there, and write a page about what follows.

    Args:
        prediction: Map of classes.
        truth: What an interpreter would see, shape (rows, cols).
        scene: What the page shows beside the map.
        points: File to make.
        page: Page to write.
        seed: Of the draw.

    Returns:
        Accuracies with intervals.
    """
    draw_sample(prediction, points, count=POINTS, seed=seed)
    drawn = geopandas.read_file(points)
    drawn['reference'] = truth[drawn['row'], drawn['col']].astype(str)
    drawn.to_file(points)
    accuracy = assess_map(prediction, points, progress=False)
    assert isinstance(accuracy, Accuracy)  # a map of classes
    write_map_report(accuracy, page, map_path=prediction, reference=points, scene=scene)
    return accuracy
