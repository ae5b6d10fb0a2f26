"""Whether a task takes as many bands as its data have."""

from typing import Any

from lightning.pytorch import LightningModule

from ..preprocessing import Preprocessing

# names of bands in a message of one line
MOST_NAMES = 6


def check_channels(task: LightningModule, record: Preprocessing, datamodule: Any) -> None:
    """Refuse a task that takes another number of bands than its data module reads.

    Args:
        task: Says by its hyperparameter ``in_channels`` how many bands of one date it takes; if it
            does not, nothing is checked.
        record: What the data module says of its bands, those of one date.
        datamodule: Names by ``left_out`` the bands that it takes for transparency, if it has that.

    Raises:
        ValueError: If they differ; says both numbers, and how to read a band that was left out.
    """
    wanted = task.hparams.get('in_channels')
    count = len(record.bands)
    if not isinstance(wanted, int) or wanted == count:
        return
    names = ', '.join(record.bands[:MOST_NAMES]) + (', ...' if count > MOST_NAMES else '')
    hidden: tuple[int, ...] = getattr(datamodule, 'left_out', ())
    advice = f'set in_channels={count}, or other bands'
    if hidden and count + len(hidden) == wanted:
        advice = f'set bands={[*range(1, wanted + 1)]} to read it, or in_channels={count}'
    left = f'; band {hidden[0]} is tagged as alpha and left out' if hidden else ''
    raise ValueError(
        f'in_channels must be the number of bands of the data, {count} ({names}), got {wanted}{left}; '
        f'{advice}'
    )
