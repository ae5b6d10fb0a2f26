"""A device is there, or refused in one line."""

import pytest

from gersp_geo.devices import find_device


@pytest.mark.parametrize('name', ['cpu', 'cpu:0'])
def test_the_processor_has_one_name(name: str) -> None:
    assert find_device(name) == 'cpu'


@pytest.mark.parametrize('name', ['meta', 'cuda:999', 'nothing'])
def test_what_cannot_compute_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"^device '{name}' "):
        find_device(name)
