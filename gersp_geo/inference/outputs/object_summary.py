"""What a detection produced."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...geoio.vector import describe_left_out
from .output import describe_parts


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionSummary:
    """What a detection produced."""

    destination: str
    """The file of objects."""

    complete: bool
    """Whether the file is made; shards leave that to whoever merges them."""

    objects: int
    """Objects in it."""

    class_objects: Mapping[str, int]
    """Per class that was found: number of objects."""

    cut: int
    """Objects that a side of a patch may have cut off, and that no patch shows whole."""

    largest_px: float
    """Longest side of an object in pixels of the scene, along rows or columns."""

    boxes: int
    """Boxes that the model found, duplicates included."""

    full_patches: int
    """Patches in which it found as many objects as it returns at most."""

    overlap: int
    """Pixels that neighbouring patches share."""

    pixels: int
    """Pixels of the scene."""

    pixels_now: int
    """Those that were predicted now, not by an earlier run or by other shards."""

    valid_pixels: int
    """Those with an observation of interest."""

    patches: int
    """Patches planned."""

    forwarded: int
    """Patches given to the model; the others hold no observation."""

    parts: int
    """Parts that were predicted now."""

    parts_before: int
    """Parts that an earlier run, or other shards, had finished."""

    seconds: float
    """Time from the first read to the finished file."""

    picture: str | None = None
    """The picture of the objects; None without one."""

    left_out: int = 0
    """Objects that the file cannot express: of GeoJSON, those without longitude and latitude."""

    values: str | None = None
    """What the scene tags its values with, and nobody applies, in one line; None without a tag."""

    place: str | None = None
    """Where the objects lie, in one line; None for a scene with a CRS and a transform alone."""

    dates: str | None = None
    """Of two dates: how they lie on each other, in one line."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be known about the result, one sentence each."""
        notes = []
        if self.cut:
            notes.append(
                f'{self.cut:,} of {self.objects:,} objects reach the side of a patch, and no patch '
                f'shows them whole: an overlap of {self.overlap} px is too small for them; the '
                f'longest side of an object is {self.largest_px:,.0f} px so far, pass more '
                '(--overlap)'
            )
        if self.full_patches:
            notes.append(
                f'in {self.full_patches:,} patches the model found as many objects as it returns '
                'at most, and may have left out others: pass smaller patches (--size)'
            )
        if self.left_out:
            notes.append(f'of {self.objects:,} objects, {describe_left_out(self.left_out)}')
        return tuple(notes)

    def __str__(self) -> str:
        """Lay the summary out for a terminal."""
        speed = self.pixels_now / 1e6 / max(self.seconds, 1e-9)
        found = f'{self.objects:,}, of {self.boxes:,} boxes'
        lines = [
            f'objects  {self.destination}'
            + (f': {found}' if self.complete else ' (parts only, not merged yet)'),
            *describe_parts(self.parts, self.parts_before),
            *([f'preview  {self.picture}'] if self.picture else []),
            *([f'overlap  {self.dates}'] if self.dates else []),
            *([f'place    {self.place}'] if self.place else []),
            *(f'  {name}  {count:,}' for name, count in self.class_objects.items()),
            *([] if self.values is None else [f'values   {self.values}']),
            f'pixels   {self.pixels:,} ({self.valid_pixels:,} with an observation)',
            f'patches  {self.patches:,} ({self.forwarded:,} forwarded)',
            f'time     {self.seconds:.1f} s ({speed:.2f} Mpx/s)',
            *(f'note     {note}' for note in self.notes),
        ]
        return '\n'.join(lines)
