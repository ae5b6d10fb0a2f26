"""What became of a grid of patches."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .output import describe_parts


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchSummary:
    """What was written about the patches of a scene."""

    destinations: tuple[str, ...]
    """Files."""

    complete: bool
    """Whether the files are made; shards leave that to whoever merges them."""

    rows: int
    """Rows of patches."""

    cols: int
    """Columns of patches."""

    forwarded: int
    """Patches given to the model; the others hold no observation of interest, and are left out."""

    length: int | None
    """Length of the vectors; None without."""

    pixels: int
    """Pixels of the scene."""

    pixels_now: int
    """Those that were described now, not by an earlier run or by other shards."""

    parts: int
    """Parts that were described now."""

    parts_before: int
    """Parts that an earlier run, or other shards, had finished."""

    seconds: float
    """Time from the first read to the finished files."""

    class_patches: Mapping[str, int] = field(default_factory=dict)
    """Per class that was found: number of patches; empty without classes."""

    values: str | None = None
    """What the scene tags its values with, and nobody applies, in one line; None without a tag."""

    place: str | None = None
    """Where they lie, in one line; None for a scene with a CRS and a transform alone."""

    dates: str | None = None
    """Of two dates: how they lie on each other, in one line."""

    def __str__(self) -> str:
        """Lay the summary out for a terminal."""
        speed = self.pixels_now / 1e6 / max(self.seconds, 1e-9)
        vectors = '' if self.length is None else f', each a vector of {self.length:,} numbers'
        grid = f'{self.rows * self.cols:,} = {self.rows:,} rows x {self.cols:,} columns'
        lines = [
            f'written  {" and ".join(self.destinations)}'
            + ('' if self.complete else ' (parts only, not merged yet)'),
            *describe_parts(self.parts, self.parts_before),
            *([] if self.dates is None else [f'overlap  {self.dates}']),
            *([] if self.place is None else [f'place    {self.place}']),
            f'patches  {grid}, {self.forwarded:,} with an observation{vectors}',
            f'time     {self.seconds:.1f} s ({speed:.2f} Mpx/s)',
        ]
        if self.values is not None:
            lines.insert(1, f'values   {self.values}')
        width = max(map(len, self.class_patches), default=0)
        for name, count in self.class_patches.items():
            share = 100 * count / max(self.forwarded, 1)
            lines.append(f'  {name:<{width}}  {count:>11,} patches  {share:5.1f} %')
        return '\n'.join(lines)
