"""What became of a map."""

from dataclasses import dataclass

from .agreement import Consistency
from .summary import Summary

# areas that are wrong by more than this share are told
_TOLD_DISTORTION = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionSummary(Summary):
    """What a prediction produced."""

    destination: str
    """The map."""

    seconds_finishing: float
    """The part of the time that overviews and the final files took."""

    class_names: tuple[str, ...] = ()
    """Names of the classes; empty unless the map holds classes."""

    class_pixels: tuple[int, ...] = ()
    """Per class: number of pixels."""

    class_areas_m2: tuple[float, ...] | None = None
    """Per class: area in square metres, on the ellipsoid where the CRS is geographic; None without
    a CRS that tells."""

    area_factor: float | None = None
    """How many times as large a pixel in the middle of the scene is in these areas as it is on the
    ground: 1 but for projections that distort areas, such as Mercator's. None if that is not
    known."""

    consistency: Consistency | None = None
    """How many pixels have the same class in further maps; None without such."""

    @property
    def overlap(self) -> str | None:
        """Of two dates: how they lie on each other, in one line."""
        return self.dates

    def __str__(self) -> str:
        """Lay the summary out for a terminal."""
        lines = [f'map      {self.destination}{self.unmerged}']
        if self.values is not None:
            lines.append(f'values   {self.values}')
        if self.place is not None:
            lines.append(f'place    {self.place}')
        if self.dates is not None:
            lines.append(f'overlap  {self.dates}')
        lines += [
            *self.parts_lines,
            *self.counts_lines,
            *self.runtime_lines,
            self.time_line,
            f'         of which {self.seconds_finishing:.1f} s for overviews and the final file',
        ]
        areas = self.class_areas_m2 or (None,) * len(self.class_pixels)
        kept = self._kept()
        width = max((len(name) for name in self.class_names), default=0)
        for name, count, area, same in zip(
            self.class_names, self.class_pixels, areas, kept, strict=True
        ):
            share = 100 * count / max(self.valid_pixels, 1)
            extent = '' if area is None else f'  {area:,.0f} m2 = {area / 1e4:,.2f} ha'
            lines.append(f'  {name:<{width}}  {count:>13,} px  {share:5.1f} %{extent}{same}')
        if self.consistency is not None and any(self.class_pixels):
            lines.append(self._describe_consistency(self.consistency))
        if self.class_areas_m2 and abs((self.area_factor or 1) - 1) > _TOLD_DISTORTION:
            lines.append(
                f'areas are those of the projection, about {self.area_factor:.2f} times those on '
                'the ground; an equal-area CRS (--crs) has true ones'
            )
        return '\n'.join(lines)

    def _kept(self) -> list[str]:
        """Say per class which share of its pixels keeps it; nothing without further maps."""
        if self.consistency is None:
            return [''] * len(self.class_pixels)
        pairs = zip(self.consistency.kept_pixels, self.class_pixels, strict=True)
        return [f'  {100 * kept / count:5.1f} % kept' if count else '' for kept, count in pairs]

    def _describe_consistency(self, found: Consistency) -> str:
        """Say in one line which share of all pixels keeps its class."""
        pixels = sum(self.class_pixels)
        return (
            f'kept     {100 * found.kept(pixels):.1f} % of the pixels have their class in every further '
            f'map ({found.maps}), and {100 * found.same(pixels):.1f} % on average in one'
        )
