"""Let a generator work ahead of its consumer."""

from collections.abc import Generator, Iterator
from queue import Queue
from threading import Event, Thread

# what the queue holds at the end
_DONE = object()


def work_ahead[Item](items: Iterator[Item], *, depth: int) -> Generator[Item]:
    """Run an iterator in a thread of its own, some items ahead.

    Args:
        items: What to run. Its errors are raised here, in their turn.
        depth: Items that may wait, >= 1.

    Yields:
        The items in their order. Closing the generator stops the thread.
    """
    queue: Queue[object] = Queue(maxsize=depth)
    stop = Event()
    failure: list[BaseException] = []

    def run() -> None:
        try:
            for item in items:
                queue.put(item)
                if stop.is_set():
                    break
        # whatever it is, it belongs to the consumer
        except BaseException as error:  # noqa: BLE001
            failure.append(error)
        finally:
            queue.put(_DONE)

    thread = Thread(target=run, name='ahead', daemon=True)
    thread.start()
    try:
        while (item := queue.get()) is not _DONE:
            yield item  # type: ignore[misc]  # the queue holds nothing else
    finally:
        stop.set()
        while thread.is_alive():
            # it may wait for room
            while not queue.empty():
                queue.get_nowait()
            thread.join(timeout=0.01)
    if failure:
        raise failure[0]
