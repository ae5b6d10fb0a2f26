"""Scales and offsets that files tag their values with, and that nobody applies."""

from collections.abc import Sequence

from lightning.pytorch.utilities import rank_zero_info

from ..geoio.read.reader import RasterHeader


def tell_scaling(
    files: Sequence[str], headers: Sequence[RasterHeader], bands: Sequence[int]
) -> None:
    """Say once that values enter as stored, if a file tags a scale or an offset.

    Args:
        files: Paths.
        headers: Of these files.
        bands: 1-based bands that are read.
    """
    told = [header.describe_scaling(bands) for header in headers]
    first = next((place for place, text in enumerate(told) if text is not None), None)
    if first is not None:
        others = '' if set(told) == {told[first]} else '; other files tag others, or none'
        rank_zero_info(f'values of {files[first]} are {told[first]}{others}')
