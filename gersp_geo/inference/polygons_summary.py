"""What became of a class map."""

from dataclasses import dataclass

from ..geoio.vector import describe_left_out


@dataclass(frozen=True, slots=True, kw_only=True)
class PolygonsSummary:
    """What became of a class map."""

    destination: str
    """The vector file."""

    pixels: int
    """Pixels of the map."""

    names: tuple[str, ...]
    """Classes of which there are polygons."""

    counts: tuple[int, ...]
    """Polygons of each."""

    areas_m2: tuple[float, ...] | None
    """Area of each in square metres; None where the CRS does not tell."""

    dropped: int
    """Polygons that were left out because they are small."""

    dropped_m2: float
    """Their area."""

    picture: str | None
    """The picture of them; None without one."""

    seconds: float
    """Time from the first read to the finished file."""

    left_out: int = 0
    """Polygons that the file cannot express: of GeoJSON, those without longitude and latitude."""

    def __str__(self) -> str:
        """Lay the summary out for a terminal."""
        speed = self.pixels / 1e6 / max(self.seconds, 1e-9)
        lines = [
            f'polygons {self.destination}: {sum(self.counts):,}',
            f'time     {self.seconds:.1f} s ({speed:.2f} Mpx/s)',
        ]
        if self.picture:
            lines.append(f'preview  {self.picture}')
        if self.dropped:
            lines.append(f'dropped  {self.dropped:,} small ones, {_area(self.dropped_m2)}')
        if self.left_out:
            whole = f'{sum(self.counts):,}'
            lines.append(f'note     of {whole} polygons, {describe_left_out(self.left_out)}')
        width = max((len(name) for name in self.names), default=0)
        areas = self.areas_m2 or (None,) * len(self.names)
        for name, count, area in zip(self.names, self.counts, areas, strict=True):
            extent = '' if area is None else f'  {_area(area)}'
            lines.append(f'  {name:<{width}}  {count:>11,}{extent}')
        return '\n'.join(lines)


def _area(area_m2: float) -> str:
    """Write an area."""
    return f'{area_m2:,.0f} m2 = {area_m2 / 1e4:,.2f} ha'
