from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from gersp_geo.batch_types import ImageSample, LabelledSample
from gersp_geo.datasets.joint_batches import JointBatches, positions
from gersp_geo.geoio.read.reader import UnreadableFileError
from gersp_geo.samplers import EpochIndices


class Numbers:
    """A stream whose every sample says which one it is."""

    bands: tuple[str, ...] = ('number',)
    res_m: float | None = None
    reshuffled = True
    has_file_values = True
    paths: Sequence[str] = ()

    def __init__(self, length: int, *, broken: Collection[int] = ()) -> None:
        self.length = self.files = length
        self.broken = broken

    def __len__(self) -> int:
        return self.length

    def draw(self, *, cycle: int, index: int) -> ImageSample:
        if index in self.broken:
            raise UnreadableFileError(f'{index}.tif', f'{index}.tif cannot be read')
        return {'image': torch.full((1, 2, 2), index)}

    def observed(self, *, cycle: int, index: int) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        return np.full((1, 2, 2), index), np.ones((2, 2), dtype=np.bool_)


class LabelledNumbers:
    def __init__(self, length: int, *, broken: Collection[int] = ()) -> None:
        self.length = self.files = length
        self.broken = broken

    def __len__(self) -> int:
        return self.length

    def draw(self, *, cycle: int, index: int) -> LabelledSample:
        if index in self.broken:
            raise UnreadableFileError(f'{index}.jpg', f'{index}.jpg cannot be read')
        return {'image': torch.full((3, 2, 2), index), 'label': torch.tensor(index)}


@given(st.integers(1, 30), st.integers(1, 4), st.integers(0, 99))
def test_each_pass_holds_every_sample_once(length: int, passes: int, seed: int) -> None:
    places = positions(seed=seed, length=length, first=0, count=passes * length)
    for cycle in range(passes):
        assert sorted(index for t, index in places if t == cycle) == list(range(length))


@given(st.integers(1, 30), st.integers(0, 80), st.integers(1, 20), st.integers(0, 99))
def test_a_place_does_not_depend_on_where_reading_began(
    length: int, first: int, count: int, seed: int
) -> None:
    whole = positions(seed=seed, length=length, first=0, count=first + count)
    assert positions(seed=seed, length=length, first=first, count=count) == whole[first:]


@given(st.integers(1, 30), st.integers(0, 80), st.integers(0, 40))
def test_a_stream_that_is_random_by_itself_is_taken_in_order(
    length: int, first: int, count: int
) -> None:
    places = positions(seed=3, length=length, first=first, count=count, reshuffled=False)
    assert [cycle * length + index for cycle, index in places] == list(range(first, first + count))


def joint(remote: int = 12, natural: int = 7, **arguments: Any) -> JointBatches:
    sizes: dict[str, Any] = {'batch_size': 4, 'natural_batch_size': 3} | arguments
    return JointBatches(Numbers(remote), LabelledNumbers(natural), **sizes)


def test_an_epoch_is_one_pass_over_the_longer_stream_and_the_shorter_repeats() -> None:
    batches = joint(remote=12, natural=7)
    assert len(batches) == 3
    drawn = [batches[0, step] for step in range(3)]
    remote = torch.cat([batch['remote_sensing']['image'][:, 0, 0, 0] for batch in drawn])
    assert sorted(remote.tolist()) == list(range(12))
    natural = Counter(torch.cat([batch['natural']['label'] for batch in drawn]).tolist())
    assert set(natural) == set(range(7))
    assert max(natural.values()) == 2


def test_epochs_differ_and_seeds_differ_and_a_position_repeats_exactly() -> None:
    def labels(batches: JointBatches, epoch: int) -> list[int]:
        order: list[int] = batches[epoch, 0]['natural']['label'].tolist()
        return order

    batches = joint(remote=40, natural=40, natural_batch_size=8)
    assert labels(batches, 0) == labels(batches, 0)
    assert labels(batches, 0) != labels(batches, 1)
    assert labels(batches, 0) != labels(
        joint(remote=40, natural=40, natural_batch_size=8, seed=1), 0
    )


@pytest.mark.parametrize('workers', [1, 2])
def test_workers_do_not_change_the_batches(workers: int) -> None:
    batches = joint(steps=6)
    sampler = EpochIndices(len(batches))
    sampler.set_epoch(3)
    loader = DataLoader(batches, batch_size=None, sampler=sampler, num_workers=workers)
    for step, batch in enumerate(loader):
        alone = batches[3, step]
        assert torch.equal(batch['natural']['label'], alone['natural']['label'])
        assert torch.equal(batch['remote_sensing']['image'], alone['remote_sensing']['image'])


def test_without_natural_images_a_batch_has_one_stream() -> None:
    batches = JointBatches(Numbers(4), None, batch_size=2, natural_batch_size=2)
    assert set(batches[0, 0]) == {'remote_sensing'}


@pytest.mark.parametrize(('remote', 'natural'), [(3, 7), (12, 2)])
def test_a_stream_smaller_than_its_batch_is_refused(remote: int, natural: int) -> None:
    with pytest.raises(
        ValueError, match=r'batch size of the .* stream, of all processes, must be in \[1, samples='
    ):
        joint(remote=remote, natural=natural)


@pytest.mark.parametrize('wrong', [{'steps': 0}, {'seed': -1}])
def test_wrong_numbers_raise(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match='steps must be >= 1 and seed >= 0, got'):
        joint(**wrong)


def test_batches_of_two_processes_make_up_those_of_one_with_twice_the_size() -> None:
    alone = joint(remote=24, natural=14, batch_size=8, natural_batch_size=6)
    shared = joint(remote=24, natural=14, processes=2)
    assert len(shared) == 2 * len(alone)
    for step in range(len(alone)):
        whole, parts = alone[1, step], [shared[1, 2 * step + rank] for rank in range(2)]
        for name in ('remote_sensing', 'natural'):
            images = [part[name]['image'] for part in parts]
            assert torch.equal(torch.cat(images), whole[name]['image'])


def test_a_file_that_cannot_be_read_stops_with_its_name() -> None:
    batches = JointBatches(Numbers(12, broken=[5]), None, batch_size=12, natural_batch_size=1)
    with pytest.raises(UnreadableFileError, match=r'5\.tif cannot be read'):
        batches[0, 0]


@given(st.sets(st.integers(0, 11), max_size=4), st.sets(st.integers(0, 6), max_size=3))
def test_another_sample_stands_in_for_one_that_cannot_be_read(
    broken: set[int], unlabelled: set[int]
) -> None:
    batches = JointBatches(
        Numbers(12, broken=broken), LabelledNumbers(7, broken=unlabelled), on_error='skip',
        batch_size=12, natural_batch_size=7,
    )  # fmt: skip
    whole = JointBatches(Numbers(12), LabelledNumbers(7), batch_size=12, natural_batch_size=7)
    batch, expected = batches[0, 0], whole[0, 0]
    for drawn, wanted, bad in (
        (batch['remote_sensing']['image'], expected['remote_sensing']['image'], broken),
        (batch['natural']['image'], expected['natural']['image'], unlabelled),
    ):
        readable = [index not in bad for index in wanted[:, 0, 0, 0].tolist()]
        assert torch.equal(drawn[readable], wanted[readable])
        assert not set(drawn[:, 0, 0, 0].tolist()) & bad
    names = {f'{index}.tif' for index in broken} | {f'{index}.jpg' for index in unlabelled}
    assert set(batch.get('unreadable', ())) == names
    assert ('unreadable' in batch) == bool(names)
    again = batches[0, 0]
    assert torch.equal(again['remote_sensing']['image'], batch['remote_sensing']['image'])


def test_a_stream_without_any_readable_file_raises_even_so() -> None:
    batches = JointBatches(
        Numbers(4, broken=range(4)), None, batch_size=2, natural_batch_size=1, on_error='skip'
    )
    with pytest.raises(UnreadableFileError, match=r'\.tif cannot be read'):
        batches[0, 0]
