"""Options of how a prediction runs."""

from typing import Any

import pytest

from gersp_geo.inference.options import MapOptions


def test_devices_may_be_listed_with_spaces() -> None:
    assert MapOptions(device='cpu, cuda:1').devices == ('cpu', 'cuda:1')


@pytest.mark.parametrize(
    ('given', 'rule'),
    [
        ({'device': 'cpu,'}, "device names devices with a comma between two, got 'cpu,'"),
        # each process would predict what is only to be put together
        ({'device': 'cpu,cpu', 'merge': True}, "device 'cpu,cpu' names several; with join"),
        ({'device': 'cpu,cpu', 'shard': '0/2'}, "device 'cpu,cpu' names several; with join"),
    ],
)
def test_devices_that_no_process_can_have_are_refused(given: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        MapOptions(**given)
