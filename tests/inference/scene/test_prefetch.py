"""Laws of working ahead."""

import threading
import time
from collections.abc import Iterator
from itertools import count

import pytest

from gersp_geo.inference.scene.prefetch import work_ahead


def test_items_come_in_their_order() -> None:
    assert list(work_ahead(iter(range(100)), depth=2)) == list(range(100))
    assert list(work_ahead(iter(()), depth=1)) == []


def test_it_works_ahead_but_not_far() -> None:
    made: list[int] = []

    def make() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            yield number

    items = work_ahead(make(), depth=3)
    assert next(items) == 0
    deadline = time.monotonic() + 10
    while len(made) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    # one handed out, three waiting, one in hand
    assert len(made) == 5
    items.close()


def test_an_error_comes_in_its_turn() -> None:
    def fail() -> Iterator[int]:
        yield 1
        raise OSError('the disk is gone')

    items = work_ahead(fail(), depth=5)
    assert next(items) == 1
    with pytest.raises(OSError, match='the disk is gone'):
        next(items)


def test_closing_ends_the_thread_and_the_iterator() -> None:
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            yield from count()
        finally:
            closed.set()

    before = threading.active_count()
    items = work_ahead(endless(), depth=2)
    assert next(items) == 0
    items.close()
    assert threading.active_count() == before
    assert closed.wait(timeout=10)
