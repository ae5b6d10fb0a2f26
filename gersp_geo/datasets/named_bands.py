"""The bands of files: their names, which are read or left out, and whether files agree on them."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from typing import Any, Self

import numpy as np

from ..bands import name_by_file, tell_meanings
from ..geoio.read import RasterHeader, look_like_data, open_reader, sample_band

# files, spread over all, whose alpha band is looked at
LOOKED_AT = 8


def band_names(header: RasterHeader) -> tuple[str, ...]:
    """Name the bands as their file does, or band_1, band_2, ... where it does not tell."""
    numbered = tuple(f'band_{band}' for band in range(1, header.count + 1))
    names = tuple(name or number for name, number in zip(header.names, numbered, strict=True))
    return names if len(set(names)) == len(names) else numbered


def choose_bands(
    header: RasterHeader, bands: Sequence[int | str] | None, *, file: str
) -> list[int]:
    """Turn band indices and names into 1-based indices.

    Args:
        header: Of the file that names the bands.
        bands: 1-based indices or names, among them band_1, band_2, ...; None means all but alpha.
        file: Named in errors.

    Raises:
        ValueError: If a band does not exist, none is left, or *bands* is None and one holds indices
            into a table of colours.
    """
    names = band_names(header)
    if bands is None:
        chosen: list[Any] = header.data_bands
        _check_palette(header, chosen, file=file)
    else:
        known: dict[int | str, int] = {f'band_{b}': b for b in range(1, header.count + 1)}
        known |= {name: band for band, name in enumerate(names, start=1)}
        chosen = [known.get(band, band) for band in bands]
    missing = [
        band for band in chosen if not isinstance(band, int) or not 1 <= band <= header.count
    ]
    if missing or not chosen:
        raise ValueError(
            f'bands must be in [1, {header.count}] or named {", ".join(names)}, '
            f'got {missing or chosen} for {file}'
        )
    return chosen


def _check_palette(header: RasterHeader, bands: Sequence[int], *, file: str) -> None:
    """Refuse to take indices into a table of colours for values, unless somebody asks for them."""
    for band in bands:
        if header.interpretations[band - 1 : band] == ('palette',):
            raise ValueError(
                f'band {band} of {file} holds indices into a table of colours (a palette); expand '
                f'it (gdal_translate -expand rgb), or pass bands={list(bands)} to take the indices '
                'for values'
            )


def check_bands(
    file: str, header: RasterHeader, chosen: Sequence[int], known: list['BandNames']
) -> None:
    """Refuse a tile without the *chosen* bands, or that names them otherwise than tiles before it.

    *known* is what tiles before call their bands; what this one adds is appended.
    """
    if header.count < max(chosen):
        raise ValueError(f'{file} has {header.count} bands, band {max(chosen)} is wanted')
    here = BandNames.of(header.descriptions, header.interpretations, chosen, file=file)
    here.join(known, chosen)


@dataclass(frozen=True, slots=True)
class BandNames:
    """What a file calls the bands that are read."""

    file: str
    """Path."""

    pairs: tuple[tuple[str | None, str | None], ...]
    """Per band: its description, and what it measures by description or colour interpretation."""

    @classmethod
    def of(
        cls,
        descriptions: Sequence[str | None],
        interpretations: Sequence[str],
        bands: Sequence[int],
        *,
        file: str,
    ) -> Self:
        """Take them from what it says of all its bands; *bands* are 1-based."""
        pairs = _tell(tuple(descriptions), tuple(interpretations))
        return cls(file, tuple(pairs[band - 1] for band in bands))

    def join(self, known: list[Self], bands: Sequence[int]) -> None:
        """Compare with what other files call the same bands, and join them.

        *known* is of other files; what this one adds is appended. *bands* are 1-based. A band that
        another file calls otherwise is an error.
        """
        # most files call their bands alike
        if any(self.pairs == other.pairs for other in known):
            return
        for other in known:
            for band, here, there in zip(bands, self.pairs, other.pairs, strict=True):
                if told := _differ(here, there):
                    raise ValueError(
                        f'{self.file} calls band {band} {told[0]!r}, {other.file} {told[1]!r}; '
                        'bring all files into one band order'
                    )
        known.append(self)


# the files of an archive say it in a few ways
@lru_cache(maxsize=64)
def _tell(
    descriptions: tuple[str | None, ...], interpretations: tuple[str, ...]
) -> tuple[tuple[str | None, str | None], ...]:
    """Say what bands are called and what they measure, as :attr:`BandNames.pairs` has it."""
    told = zip_longest(
        name_by_file(descriptions, ()),
        tell_meanings(name_by_file(descriptions, interpretations)),
        interpretations,
    )
    return tuple(
        (text, 'palette' if color == 'palette' else meaning) for text, meaning, color in told
    )


def _differ(
    one: tuple[str | None, str | None], other: tuple[str | None, str | None]
) -> tuple[str, str] | None:
    """Find names of a band in two files that cannot both be right: descriptions, else colours."""
    pairs = zip(one, other, strict=True)
    # the first way in which both name it
    both = next(((here, there) for here, there in pairs if here and there), None)
    return None if both is None or both[0] == both[1] else both


def left_out(tiles: Sequence[RasterHeader], chosen: Sequence[int]) -> tuple[int, ...]:
    """List the 1-based bands that any file tags as alpha, and that are not read."""
    return tuple(sorted({band for tile in tiles for band in tile.alpha} - set(chosen)))


def warn_of_data(
    files: Sequence[str], tiles: Sequence[RasterHeader], chosen: Sequence[int]
) -> None:
    """Warn where bands other than the *chosen* are left out as alpha although they look like data.

    One warning names the first such band, whose zeros hide pixels.
    """
    for band in left_out(tiles, chosen):
        tagged = [file for file, tile in zip(files, tiles, strict=True) if band in tile.alpha]
        places = np.unique(np.linspace(0, len(tagged) - 1, LOOKED_AT).astype(int))
        values = []
        for place in places:
            try:
                with open_reader(tagged[place]) as src:
                    values.append(sample_band(src, band))
            except ValueError:
                # unreadable, or without the band: whoever reads it for training says so
                continue
        if values and look_like_data(np.concatenate(values)):
            warnings.warn(
                f'band {band} is tagged as alpha, so that it is left out and its zeros hide '
                f'pixels, but its values look like data, in {tagged[0]}; pass '
                f'bands={[*range(1, band + 1)]} to read it, or mend the tag: gdal_edit.py '
                f'-colorinterp_{band} undefined',
                stacklevel=3,
            )
            return
