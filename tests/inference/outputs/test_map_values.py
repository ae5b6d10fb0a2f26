"""Laws of turning scores into the values of maps."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gersp_geo.inference.option_values import parse_bytes
from gersp_geo.inference.options import MapOptions
from gersp_geo.inference.outputs.map_values import best_channel, best_on_device, refuse_no_number


@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 40), st.integers(1, 40)),
    levels=st.integers(1, 5),
    seed=st.integers(0, 100),
)
def test_the_best_channel_is_the_first_of_the_largest(
    shape: tuple[int, int, int], levels: int, seed: int
) -> None:
    scores = np.random.default_rng(seed).integers(0, levels, shape).astype('float32')
    found = best_channel(torch.from_numpy(scores))
    assert found.dtype == torch.uint8
    np.testing.assert_array_equal(found, scores.argmax(axis=0))


def test_more_channels_than_a_byte_holds_are_told_apart() -> None:
    scores = torch.zeros(300, 3, 3)
    scores[299, 1, 1] = 1
    found = best_channel(scores)
    assert found[1, 1] == 299
    assert int(found.sum()) == 299


def test_rows_too_long_for_the_cache_are_compared_too() -> None:
    scores = torch.rand(3, 2, 100_000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(best_channel(scores).long(), scores.argmax(0))


@pytest.mark.parametrize('channel', [0, 1, 2])
def test_a_score_that_is_no_number_is_no_class(channel: int) -> None:
    scores = torch.zeros(3, 4, 4)
    scores[channel, 2, 2] = torch.nan
    with pytest.raises(ValueError, match='the model returned NaN'):
        best_channel(scores)
    for kind in (torch.uint8, torch.int32):
        with pytest.raises(ValueError, match='the model returned NaN'):
            refuse_no_number(best_on_device(scores, kind).numpy())


@pytest.mark.parametrize('channels', [2, 255, 256, 300])
def test_an_accelerator_compares_as_a_cpu_does(channels: int) -> None:
    # few values, so that some are equal, and infinite ones
    scores = torch.randint(-3, 4, (channels, 7, 9), generator=torch.Generator().manual_seed(0)) / 0
    scores = scores.nan_to_num(nan=0.0, posinf=torch.inf, neginf=-torch.inf)
    found = best_channel(scores)
    other = best_on_device(scores, found.dtype)
    refuse_no_number(other.numpy())
    assert torch.equal(other, found)
    assert torch.equal(found.long(), scores.argmax(0))


@pytest.mark.parametrize(
    ('text', 'count'),
    [('1GiB', 2**30), ('512 MiB', 2**29), ('1.5G', 3 * 2**29), ('2kb', 2048), ('7', 7), (99, 99)],
)
def test_sizes_are_read_as_people_write_them(text: int | str, count: int) -> None:
    assert parse_bytes(text) == count
    assert MapOptions(memory_limit=text).memory_bytes == count


@pytest.mark.parametrize('text', ['', 'much', '-1', '0', '1 GiB please', '1PiB'])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match='memory_limit must be a number of bytes or text such as'):
        MapOptions(memory_limit=text)
