"""Laws of figures of a report: what names the colours is whole, and names what has no class."""

import numpy as np
import pytest

from gersp_geo.callbacks.report.figures import draw_patches
from gersp_geo.callbacks.report.patches import Patch

NAMES = ('Emergent Wetland', 'Forested Wetland', 'Herbaceous', 'Sand', 'Subtidal Haline', 'WetSand')


@pytest.mark.parametrize('label', [5, 255])
def test_a_legend_lies_within_its_figure(label: int) -> None:
    classes = np.arange(6).reshape(2, 3)
    truth = np.where(classes == 5, label, classes)
    patch = Patch(dates=(np.zeros((3, 2, 3), np.float32),), truth=truth, prediction=classes)
    figure = draw_patches([patch], dict.fromkeys(NAMES, (1, 2, 3)), title='val')
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1
    names = [text.get_text() for text in legend.get_texts()]
    assert names == [*NAMES, *(['no label'] if label == 255 else [])]
