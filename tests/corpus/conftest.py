"""Models of one or a few operations, and the command under limits of time and memory."""

from pathlib import Path

import pytest

from tests.corpus.command import Command, Models
from tests.corpus.models import BANDS, KINDS, save_graph


@pytest.fixture(scope='session')
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """Graphs by number of bands and kind."""
    folder = tmp_path_factory.mktemp('graphs')
    return {
        (count, kind): save_graph(folder / f'{kind}{count}.onnx', count, kind)
        for count in BANDS
        for kind in KINDS
    }


@pytest.fixture
def command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs the command."""
    return Command(folder=tmp_path, capture=capfd)
