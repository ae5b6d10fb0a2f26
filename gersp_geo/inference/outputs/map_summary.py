"""What became of a map."""

from dataclasses import dataclass

from .output import describe_parts

# areas that are wrong by more than this share are told
_TOLD_DISTORTION = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionSummary:
    """What a prediction produced."""

    destination: str
    """The map."""

    complete: bool
    """Whether the map is made; shards leave that to whoever merges them."""

    pixels: int
    """Pixels of the map."""

    pixels_now: int
    """Those that were predicted now, not by an earlier run or by other shards."""

    valid_pixels: int
    """Those that are not nodata."""

    patches: int
    """Patches that may hold something; those that two panels need count twice."""

    forwarded: int
    """Patches given to the model; the others hold no observation of interest."""

    seconds: float
    """Time from the first read to the finished files."""

    seconds_finishing: float
    """The part of it that overviews and the final files took."""

    parts: int
    """Parts that were predicted now."""

    parts_before: int
    """Parts that an earlier run, or other shards, had finished."""

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

    overlap: str | None = None
    """Of two dates: how they lie on each other, in one line."""

    values: str | None = None
    """What the scene tags its values with, and nobody applies, in one line; None without a tag."""

    place: str | None = None
    """Where the map lies, in one line; None for a scene with a CRS and a transform alone."""

    def __str__(self) -> str:
        """Lay the summary out for a terminal."""
        speed = self.pixels_now / 1e6 / max(self.seconds, 1e-9)
        lines = [
            f'map      {self.destination}'
            + ('' if self.complete else ' (parts only, not merged yet)'),
            f'pixels   {self.pixels:,} ({self.valid_pixels:,} with an observation)',
            f'patches  {self.patches:,} ({self.forwarded:,} forwarded)',
            f'time     {self.seconds:.1f} s ({speed:.2f} Mpx/s)',
            f'         of which {self.seconds_finishing:.1f} s for overviews and the final file',
        ]
        lines[1:1] = describe_parts(self.parts, self.parts_before)
        if self.overlap is not None:
            lines.insert(1, f'overlap  {self.overlap}')
        if self.place is not None:
            lines.insert(1, f'place    {self.place}')
        if self.values is not None:
            lines.insert(1, f'values   {self.values}')
        areas = self.class_areas_m2 or (None,) * len(self.class_pixels)
        width = max((len(name) for name in self.class_names), default=0)
        for name, count, area in zip(self.class_names, self.class_pixels, areas, strict=True):
            share = 100 * count / max(self.valid_pixels, 1)
            extent = '' if area is None else f'  {area:,.0f} m2 = {area / 1e4:,.2f} ha'
            lines.append(f'  {name:<{width}}  {count:>13,} px  {share:5.1f} %{extent}')
        if self.class_areas_m2 and abs((self.area_factor or 1) - 1) > _TOLD_DISTORTION:
            lines.append(
                f'areas are those of the projection, about {self.area_factor:.2f} times those on '
                'the ground; an equal-area CRS (--crs) has true ones'
            )
        return '\n'.join(lines)
