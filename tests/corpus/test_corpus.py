"""Odd rasters through every command: each cell is right."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.corpus import comparing
from tests.corpus.cases import CHEAP, SLOW
from tests.corpus.command import Command, Models
from tests.corpus.rasters import Make

CHECKS = (
    comparing.check_plan,
    comparing.check_values,
    comparing.check_classes,
    comparing.check_vectors,
)


def _params() -> Sequence[object]:
    """List cases with marks."""
    cheap = [pytest.param(make, id=name) for name, make in CHEAP.items()]
    return cheap + [pytest.param(m, id=name, marks=pytest.mark.slow) for name, m in SLOW.items()]


@pytest.mark.parametrize('make', _params())
def test_every_cell_is_right(make: Make, command: Command, models: Models, tmp_path: Path) -> None:
    scene = make(tmp_path)
    for check in CHECKS:
        check(scene, command, models)
