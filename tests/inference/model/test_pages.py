"""Memory between batches."""

import resource
import sys

import pytest

from gersp_geo.inference.model.pages import keeping_pages


def _faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


@pytest.mark.skipif(sys.platform != 'linux', reason='as other systems do')
def test_large_blocks_use_the_pages_of_those_before() -> None:
    # in pages of 4 KiB
    size, pages = 2**26, 2**14
    with keeping_pages():
        with keeping_pages():
            # another thread that is done sooner
            pass
        bytearray(size).upper()
        before = _faults()
        for _ in range(4):
            bytearray(size).upper()
        assert _faults() - before < pages
