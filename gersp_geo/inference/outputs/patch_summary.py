"""What became of a grid of patches."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .summary import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchSummary(Summary):
    """What was written about the patches of a scene."""

    destinations: tuple[str, ...]
    """Files."""

    rows: int
    """Rows of patches."""

    cols: int
    """Columns of patches."""

    length: int | None
    """Length of the vectors; None without."""

    class_patches: Mapping[str, int] = field(default_factory=dict)
    """Per class that was found: number of patches; empty without classes."""

    def __str__(self) -> str:
        """Lay the summary out for a terminal."""
        vectors = '' if self.length is None else f', each a vector of {self.length:,} numbers'
        grid = f'{self.rows * self.cols:,} = {self.rows:,} rows x {self.cols:,} columns'
        # of parts that other shards have not made, nobody knows
        counted = 'with an observation' if self.complete else 'forwarded so far'
        lines = [
            f'written  {" and ".join(self.destinations)}{self.unmerged}',
            *([] if self.values is None else [f'values   {self.values}']),
            *self.parts_lines,
            *([] if self.dates is None else [f'overlap  {self.dates}']),
            *([] if self.place is None else [f'place    {self.place}']),
            f'patches  {grid}, {self.forwarded:,} {counted}{vectors}',
            *self.runtime_lines,
            self.time_line,
        ]
        width = max(map(len, self.class_patches), default=0)
        for name, count in self.class_patches.items():
            share = 100 * count / max(self.forwarded, 1)
            lines.append(f'  {name:<{width}}  {count:>11,} patches  {share:5.1f} %')
        return '\n'.join(lines)
