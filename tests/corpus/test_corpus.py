"""Odd rasters through every command: each cell is right."""

from pathlib import Path

import pytest

from tests.corpus import comparing
from tests.corpus.cases import CASES
from tests.corpus.command import Command, Models
from tests.corpus.rasters import Make

CHECKS = (
    comparing.check_plan,
    comparing.check_values,
    comparing.check_classes,
    comparing.check_vectors,
)


@pytest.mark.quick(
    'type u1', 'tag NaN, f4', 'given 0, u1', 'mask inside', 'transparency', 'names in another order',
    'planar tiles', 'sparse in one band', 'COG', 'any, i2', 'ground control points',
    'scale and offset', 'rotated', '0 to 360', 'one pixel',
)  # fmt: skip
@pytest.mark.parametrize('make', CASES.values(), ids=CASES)
def test_every_cell_is_right(make: Make, command: Command, models: Models, tmp_path: Path) -> None:
    scene = make(tmp_path)
    for check in CHECKS:
        check(scene, command, models)
