"""Writing checkpoints: whole or absent, and the last whole one is known."""

import pickle
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch

from gersp_geo.callbacks.atomic_checkpoint import AtomicCheckpointIO

SMALL, LARGE = {'x': torch.zeros(3)}, {'x': torch.zeros(100_000)}


@pytest.mark.parametrize(
    'size',
    [
        # of the file that fits: nothing of it, its head, all but its end
        0, 700, 390_000,
    ],
)  # fmt: skip
def test_a_full_disk_leaves_what_was_there_and_is_told_in_one_line(
    size: int, small_disk: Callable[[int], AbstractContextManager[None]], tmp_path: Path
) -> None:
    saver, path = AtomicCheckpointIO(), tmp_path / 'last.ckpt'
    saver.save_checkpoint(SMALL, path)
    before = path.read_bytes()
    with small_disk(size), pytest.raises(OSError, match='cannot write') as failed:
        saver.save_checkpoint(LARGE, path)
    assert str(failed.value) == (
        f'cannot write {path}: File too large; the last complete checkpoint is {path}, to go on from '
        'with --ckpt_path'
    )
    assert [one.name for one in tmp_path.iterdir()] == ['last.ckpt']
    assert path.read_bytes() == before


class Interrupting:
    """Something that is interrupted while it is written."""

    def __reduce__(self) -> Any:
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ('content', 'error'),
    [(Interrupting(), KeyboardInterrupt), (lambda: 1, (AttributeError, pickle.PicklingError))],
)
def test_any_end_of_a_save_leaves_no_file(
    content: object, error: type[BaseException] | tuple[type[BaseException], ...], tmp_path: Path
) -> None:
    with pytest.raises(error):
        AtomicCheckpointIO().save_checkpoint({'x': content}, tmp_path / 'last.ckpt')
    assert not list(tmp_path.iterdir())


def test_the_last_complete_checkpoint_is_one_that_is_still_there(tmp_path: Path) -> None:
    saver = AtomicCheckpointIO()
    first, second, third = (str(tmp_path / f'{name}.ckpt') for name in 'abc')
    AtomicCheckpointIO().save_checkpoint(SMALL, first)
    saver.load_checkpoint(first)
    assert saver.complete == [first]
    for path in (second, third, second):
        saver.save_checkpoint(SMALL, path)
    assert saver.complete == [first, third, second]
    saver.remove_checkpoint(second)
    assert saver.complete == [first, third]


def test_a_place_that_takes_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / 'occupied').touch()
    path = tmp_path / 'occupied' / 'last.ckpt'
    with pytest.raises(OSError, match='no checkpoint was saved before') as failed:
        AtomicCheckpointIO().save_checkpoint(SMALL, path)
    assert str(path) in str(failed.value)


def test_a_checkpoint_that_was_removed_is_not_named_as_the_last(tmp_path: Path) -> None:
    writer = AtomicCheckpointIO()
    writer.save_checkpoint({'state_dict': {}}, tmp_path / 'a.ckpt')
    assert writer.saved == str(tmp_path / 'a.ckpt')
    writer.remove_checkpoint(tmp_path / 'a.ckpt')
    assert writer.saved is None
