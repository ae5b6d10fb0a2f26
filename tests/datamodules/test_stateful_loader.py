from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch.utils.data import Dataset

from gersp_geo.datamodules.stateful_loader import ResumableLoader, pins_memory
from gersp_geo.geoio.read.reader import UnreadableFileError
from gersp_geo.samplers import EpochIndices

STEPS = 6


class Places(Dataset[int]):
    """Items that say where they stand."""

    def __getitem__(self, position: tuple[int, int]) -> int:
        epoch, step = position
        return 100 * epoch + step


def epoch_of_items(epoch: int) -> list[int]:
    return [100 * epoch + step for step in range(STEPS)]


def loader(workers: int = 0, **arguments: int) -> ResumableLoader[int]:
    sampler = EpochIndices(STEPS, **arguments)
    return ResumableLoader(Places(), sampler=sampler, num_workers=workers)


@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.parametrize('taken', range(STEPS + 1))
def test_a_restored_loader_goes_on_after_what_was_handed_out(taken: int, workers: int) -> None:
    interrupted, resumed = loader(workers), loader(workers)
    interrupted.sampler.set_epoch(2)
    batches = iter(interrupted)
    seen = [next(batches) for _ in range(taken)]
    if taken == 0:
        assert list(batches) == epoch_of_items(2)
        return
    resumed.load_state_dict(interrupted.state_dict())
    # what Lightning does next: within the epoch the same one, at its end the following
    resumed.sampler.set_epoch(2 if taken < STEPS else 3)
    rest = list(resumed)
    if taken < STEPS:
        assert seen + rest == epoch_of_items(2)
        resumed.sampler.set_epoch(3)
        rest = list(resumed)
    assert rest == epoch_of_items(3)
    assert resumed.state_dict()['step'] == STEPS


def test_another_cut_of_the_epoch_is_refused() -> None:
    state = loader().state_dict()
    with pytest.raises(ValueError, match='made with processes=1, this run has 2'):
        loader(processes=2).load_state_dict(state)


class Failing(Dataset[dict[str, Any]]):
    """Batches of which some name a file that could not be read."""

    def __getitem__(self, position: tuple[int, int]) -> dict[str, Any]:
        epoch, step = position
        batch: dict[str, Any] = {'step': step}
        if step in (1, 4):
            # the same file in each epoch, and another one in the second
            batch['unreadable'] = ('a.tif', f'{min(epoch, 1)}.tif')
        return batch


@pytest.mark.parametrize('workers', [0, 2])
def test_unreadable_files_are_named_once_at_the_end_of_each_epoch(workers: int) -> None:
    sampler = EpochIndices(STEPS)
    loader = ResumableLoader(Failing(), sampler=sampler, num_workers=workers, files=300)
    for epoch in range(2):
        sampler.set_epoch(epoch)
        batches = iter(loader)
        for step in range(STEPS):
            assert next(batches) == {'step': step}
        message = f'2 of 300 files cannot be read and are left out: a.tif, {epoch}.tif'
        with pytest.warns(UserWarning, match=message) as caught:
            assert list(batches) == []
        assert len(caught) == 1


def test_more_than_one_percent_of_unreadable_files_stop_the_run() -> None:
    sampler = EpochIndices(STEPS)
    loader = ResumableLoader(Failing(), sampler=sampler, files=199)
    batches = iter(loader)
    next(batches)
    with pytest.raises(
        UnreadableFileError, match=r'at most 1% of the files, got 2 of 199 .*a\.tif'
    ):
        next(batches)


class Unreadable(Dataset[int]):
    """Every item lies in a file that cannot be read."""

    def __getitem__(self, position: tuple[int, int]) -> int:
        raise UnreadableFileError('a.tif', 'a.tif cannot be read at rows [0, 4): broken')


@pytest.mark.parametrize('workers', [0, 1])
def test_the_error_of_a_worker_names_the_file(workers: int) -> None:
    loader = ResumableLoader(Unreadable(), sampler=EpochIndices(STEPS), num_workers=workers)
    with pytest.raises(ValueError, match=r'a\.tif cannot be read at rows \[0, 4\): broken'):
        next(iter(loader))


def test_memory_is_pinned_for_gpus_only() -> None:
    assert not pins_memory(Trainer(accelerator='cpu', logger=False))
    # a loop of one's own
    assert pins_memory(None) == torch.cuda.is_available()
