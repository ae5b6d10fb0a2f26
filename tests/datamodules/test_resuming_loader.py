import pytest
from torch.utils.data import Dataset

from gersp_geo.datamodules.resuming import ResumableLoader
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
