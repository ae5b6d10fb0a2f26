"""Room on a disk: whether a prediction may fit, and what to do when it does not."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..geoio.write import BLOCK_SIZE, NO_ROOM, DiskFullError, describe_room, free_bytes
from .costs import readable
from .plan import PredictionPlan

# what a map lists of each block, even of one that it leaves out: place and size
_BYTES_PER_BLOCK = 12

# what any file takes
_SMALLEST = 4096


def check_room(plan: PredictionPlan) -> None:
    """Refuse a prediction that cannot fit on its disk, and warn of one that may not.

    Raises:
        OSError: If not even empty files fit.
    """
    free, folder = free_bytes(plan.destination), Path(plan.destination).absolute().parent
    needed = plan.costs.bytes_written
    blocks = -(-plan.tiles.height // BLOCK_SIZE) * -(-plan.tiles.width // BLOCK_SIZE)
    least = len(plan.output.layouts) * max(blocks * _BYTES_PER_BLOCK, _SMALLEST)
    least = least or len(plan.output.files) * _SMALLEST
    if free < least:
        raise DiskFullError(
            f'{plan.destination} takes at least {readable(least, up=True)}, and {readable(free)} '
            f'are free in {folder}; make room, or pass another path'
        )
    # parts may lie on another disk than the result
    free, folder = free_bytes(plan.folder), plan.folder.absolute().parent
    if free < needed:
        warnings.warn(
            f'the parts of {plan.destination} take up to {readable(needed)} before compression, '
            f'and {readable(free)} are free in {folder}; if they fill the disk, the prediction '
            'stops, and the same command goes on when there is room',
            stacklevel=2,
        )


@contextmanager
def advising(plan: PredictionPlan) -> Iterator[None]:
    """Say what to do when there is no room for a file of a plan.

    Raises:
        DiskFullError: If a file within could not be written completely; names it.
    """
    try:
        yield
    except OSError as error:
        if not isinstance(error, DiskFullError) and error.errno not in NO_ROOM:
            raise
        asked = '' if isinstance(error, DiskFullError) else f'; {describe_room(plan.destination)}'
        raise DiskFullError(
            f'{plan.destination} is not complete: {error}{asked}; make room, and the same command '
            'goes on where it was'
        ) from error
