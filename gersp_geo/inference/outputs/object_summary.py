"""What a detection produced."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...geoio.vector import describe_left_out
from .summary import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionSummary(Summary):
    """What a detection produced."""

    destination: str
    """The file of objects."""

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

    picture: str | None = None
    """The picture of the objects; None without one."""

    left_out: int = 0
    """Objects that the file cannot express: of GeoJSON, those without longitude and latitude."""

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
        found = f'{self.objects:,}, of {self.boxes:,} boxes'
        lines = [
            f'objects  {self.destination}' + (f': {found}' if self.complete else self.unmerged),
            *self.parts_lines,
            *([f'preview  {self.picture}'] if self.picture else []),
            *([f'overlap  {self.dates}'] if self.dates else []),
            *([f'place    {self.place}'] if self.place else []),
            *(f'  {name}  {count:,}' for name, count in self.class_objects.items()),
            *([] if self.values is None else [f'values   {self.values}']),
            *self.counts_lines,
            *self.runtime_lines,
            self.time_line,
            *(f'note     {note}' for note in self.notes),
        ]
        return '\n'.join(lines)
