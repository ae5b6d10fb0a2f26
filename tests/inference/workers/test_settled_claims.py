"""What is settled is not claimed again by who has not looked since."""

from pathlib import Path

import pytest

from gersp_geo.inference.workers.claims import Claims, State, Worker


@pytest.mark.parametrize('state', ['done', 'failed', 'refused'])
def test_what_is_settled_is_claimed_by_nobody_with_an_old_look(
    state: State, tmp_path: Path
) -> None:
    first, second = (
        Claims(tmp_path, Worker(name=name, run='run', host=name), lease=60.0) for name in 'ab'
    )
    first.folder.mkdir()
    old = second.survey().get('7')
    assert first.take('7', old) is not None
    first.settle('7', state)
    assert second.take('7', old) is None
    assert [path.name for path in first.folder.iterdir()] == [f'7.0.{state}']
    assert second.held == {}
