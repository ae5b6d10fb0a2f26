"""How many pixels each class has in each split, and which classes have none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from numpy.typing import NDArray

from .labelled import ScannedBlocks
from .splitting import Split

# Rows of the table, and names in a sentence: more would not be read.
MOST_ROWS = 20
MOST_NAMES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassBalance:
    """Labelled pixels per class and split."""

    class_names: tuple[str, ...]
    """Names of the classes 0, 1, ..."""

    pixels: Mapping[str, NDArray[np.int64]]
    """Per split, training first: pixels of each class, shape (classes,)."""

    named: bool = True
    """Whether labels or user name the classes; else they are numbered up to the highest value."""

    def table(self) -> str:
        """Lay the numbers out, one line per class; many classes are cut short."""
        counts = np.stack(list(self.pixels.values()), axis=1).tolist()
        rows = [['', *self.pixels]] + [
            [f'  {name}', *(f'{count:,}' for count in row)]
            for name, row in zip(self.class_names[:MOST_ROWS], counts, strict=False)
        ]
        if len(counts) > MOST_ROWS:
            rest = np.sum(counts[MOST_ROWS:], axis=0).tolist()
            more = f'  and {len(counts) - MOST_ROWS} more'
            rows.append([more, *(f'{count:,}' for count in rest)])
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        return '\n'.join(
            '  '.join(
                text.rjust(width) if column else text.ljust(width)
                for column, (text, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        )

    def warnings(self, *, block_size: int) -> list[str]:
        """Name the classes that training does not see.

        Args:
            block_size: Of the split, for advice.

        Returns:
            Sentences, one per cause.
        """
        total = np.sum(list(self.pixels.values()), axis=0)
        training = next(iter(self.pixels.values()))
        absent = [name for name, count in zip(self.class_names, total, strict=True) if not count]
        unseen = [
            name
            for name, count, every in zip(self.class_names, training, total, strict=True)
            if every and not count
        ]
        found = []
        if absent:
            found.append(
                f'no pixel is labelled {list_names(absent)}, which the model thus cannot learn; '
                + (
                    'check the labels and class_names'
                    if self.named
                    else f'pass mask_values={np.flatnonzero(total).tolist()} for classes of these values '
                    'of the masks alone, or class_names'
                )
            )
        if unseen:
            found.append(
                f'no training block holds {list_names(unseen)}; pass another seed or a '
                f'smaller block_size than {block_size}'
            )
        return found


def report_classes(
    scanned: ScannedBlocks, split: Split, class_names: tuple[str, ...], *, block_size: int
) -> None:
    """Say how many pixels each class has in each split, and warn of those without any.

    Args:
        scanned: All blocks.
        split: Which of them are in which split.
        class_names: Names of the classes.
        block_size: For advice.
    """
    parts = {'training': split.train, 'validation': split.val, 'test': split.test}
    counts = scanned.counts[:, : len(class_names)]
    balance = ClassBalance(
        class_names=class_names,
        pixels={name: counts[list(part)].sum(axis=0) for name, part in parts.items() if part},
        named=bool(scanned.tiles.labels.class_names),
    )
    rank_zero_info(f'labelled pixels per class:\n{balance.table()}')
    for warning in balance.warnings(block_size=block_size):
        rank_zero_warn(warning)


def list_names(names: Sequence[str]) -> str:
    """Write names as a list, the first few of many."""
    more = f' and {len(names) - MOST_NAMES} more' if len(names) > MOST_NAMES else ''
    return ', '.join(names[:MOST_NAMES]) + more
