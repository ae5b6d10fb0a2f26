"""Rasters seen so that resampling leaves out what is no observation, and nothing else.

GDAL's warper heeds one of a mask of the whole raster, an alpha band, and a value; the value in all
bands at once, or in each by itself. Where more says that something is missing, a virtual raster
says it in one of these ways.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from xml.etree.ElementTree import SubElement

import numpy as np

from ..read.observation_rules import (
    WIDE,
    Rule,
    find_rule,
    given_as_stored,
    is_float,
    is_of_all,
    mask_flags,
    tag_as_stored,
)
from ..read.reader import Reader, alpha_bands, hiding_bands
from ..read.vrt import (
    Documents,
    Source,
    add_joined,
    add_mask,
    add_source,
    name_for_gdal,
    virtual_raster,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A raster, and what GDAL's warper is to be told of it."""

    reader: Reader
    """The raster."""

    value: float | None
    """What missing pixels hold; None where a mask or an alpha band says it, or nothing does."""

    unified: bool = True
    """Whether a pixel is left out where all bands hold the value, not each band by itself."""


@contextmanager
def hide_unobserved(
    src: Reader,
    nodata: float | None,
    *,
    bands: Sequence[int] | None = None,
    rule: Rule | None = None,
) -> Iterator[Seen]:
    """See a raster so that GDAL's warper leaves out every pixel without an observation.

    Args:
        src: An open raster.
        nodata: A further value that means "no observation"; NaN is allowed.
        bands: 1-based indices of the bands that are read; None means all but alpha bands.
        rule: Where a pixel is an observation; None means what the file says. With 'any', a band
            that is missing in one is left out by itself.

    Yields:
        The raster, as it is where the warper leaves out the same by itself.

    Raises:
        ValueError: If single bands are to be left out, and no value can stand for what is missing.
    """
    chosen = list(bands or (band for band in src.indexes if band not in hiding_bands(src)))
    chosen = chosen or list(src.indexes)
    rule = rule or find_rule(src, chosen)
    value = _heeded_value(src, nodata, chosen, rule)
    if value is not None or _is_heeded(src, nodata, chosen):
        yield Seen(reader=src, value=value)
        return
    with ExitStack() as stack:
        documents = Documents(stack)
        missing = _find_masks(src, nodata, chosen, documents)
        if rule == 'any' and any(missing.of_bands.values()):
            value = _standing_value(src, nodata, chosen)
            file = _rewrite(src, missing, chosen, documents, value=value)
            yield Seen(reader=stack.enter_context(closing(file)), value=value, unified=False)
            return
        root = virtual_raster(src, data=src.indexes)
        add_mask(root, missing.together(src, documents, rule=rule))
        file = documents.keep(root, name=src.name).open()
        yield Seen(reader=stack.enter_context(closing(file)), value=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Masks:
    """Masks that say where something is there."""

    of_all: tuple[Source, ...]
    """They count for all bands."""

    of_bands: Mapping[int, tuple[Source, ...]]
    """By 1-based band that is read."""

    def together(self, src: Reader, documents: Documents, *, rule: Rule) -> list[Source]:
        """List masks of which each hides pixels, of all bands at once."""
        if rule == 'all':
            return [*self.of_all, *(mask for masks in self.of_bands.values() for mask in masks)]
        if not all(self.of_bands.values()):
            # a band that is there everywhere makes every pixel an observation
            return list(self.of_all)
        each = documents.join(src, 'min', self.of_bands)
        numbers = range(1, len(self.of_bands) + 1)
        some = documents.join(src, 'max', {1: [(each, str(number)) for number in numbers]})
        return [*self.of_all, (some, '1')]


def _find_masks(
    src: Reader, nodata: float | None, bands: Sequence[int], documents: Documents
) -> _Masks:
    """Collect what says where bands are there, as :mod:`..read.observations` does for pixels."""
    name, flags = name_for_gdal(src), mask_flags(src, bands)
    of_bands: dict[int, list[Source]] = {band: [] for band in bands}
    of_all = [(name, f'mask,{band}') for band in bands if is_of_all(flags[band])][:1]
    tags, given = _tags(src, bands), _given(src, nodata, bands)
    if alpha := hiding_bands(src, bands):
        shown = documents.values(src, dict.fromkeys(alpha, 0.0))
        of_all += [(shown, f'mask,{band}') for band in alpha]
    for values in (tags, given):
        if values:
            told = documents.values(src, values)
            for band in values:
                of_bands[band].append((told, f'mask,{band}'))
    floats = [band for band in bands if is_float(src.dtypes[band - 1])]
    if floats:
        finite = documents.finite(src)
        for band in floats:
            of_bands[band].append((finite, f'mask,{band}'))
    for band, masks in of_bands.items():
        if not flags[band]:
            masks.append((name, f'mask,{band}'))
    return _Masks(
        of_all=tuple(of_all), of_bands={band: tuple(masks) for band, masks in of_bands.items()}
    )


def _rewrite(
    src: Reader, missing: _Masks, bands: Sequence[int], documents: Documents, *, value: float
) -> Reader:
    """See a raster in which each band holds a value where it is missing."""
    masked = virtual_raster(src, data=src.indexes)
    for band, described in zip(src.indexes, masked.findall('VRTRasterBand'), strict=True):
        add_mask(described, [*missing.of_all, *missing.of_bands.get(band, ())])
    name = documents.name(masked)
    root = virtual_raster(src, data=src.indexes, nodata=dict.fromkeys(bands, value))
    for band, described in zip(src.indexes, root.findall('VRTRasterBand'), strict=True):
        if band in bands:
            described.remove(described[-1])
            source = add_source(described, (name, str(band)), 'ComplexSource')
            SubElement(source, 'UseMaskBand').text = 'true'
    # The warper leaves out a band by itself only where it is missing in all pixels that it blends;
    # this leaves out what is no observation, as far as it is the nearest pixel.
    shown = missing.together(src, documents, rule='picture')
    if shown:
        add_joined(root, 'min', shown, number=src.count + 1)
        SubElement(root[-1], 'ColorInterp').text = 'Alpha'
    return documents.keep(root, name=src.name).open()


def _heeded_value(
    src: Reader, nodata: float | None, bands: Sequence[int], rule: Rule
) -> float | None:
    """Find the one value that alone says what is missing, if GDAL's warper heeds it rightly."""
    is_more = any(map(is_of_all, mask_flags(src, bands).values())) or hiding_bands(src, bands)
    # it would take a band that is read for transparency as well
    is_data = set(alpha_bands(src)) & set(bands)
    if is_more or is_data or not all(mask_flags(src, bands).values()):
        return None
    if any(is_float(src.dtypes[band - 1]) for band in bands):
        # NaN says it too
        return None
    found = [_tags(src, bands), _given(src, nodata, bands)]
    values = {value for values in found for value in values.values()}
    if len(values) != 1:
        return None
    # the warper looks at all bands of the file
    covers = any(set(of) == set(bands) for of in found)
    is_whole = covers and set(bands) == set(src.indexes)
    return values.pop() if is_whole and (rule == 'picture' or len(bands) == 1) else None


def _is_heeded(src: Reader, nodata: float | None, bands: Sequence[int]) -> bool:
    """Say whether GDAL's warper heeds all that hides pixels: nothing, a mask or an alpha band."""
    flags = mask_flags(src, bands)
    if any(is_float(src.dtypes[band - 1]) for band in bands) or not all(flags.values()):
        return False
    if _tags(src, bands) or _given(src, nodata, bands):
        return False
    # it would take a band that is read for transparency
    alpha = alpha_bands(src)
    if set(alpha) & set(bands):
        return False
    is_masked = any(map(is_of_all, flags.values()))
    # 255 would be taken for a small share in wider types
    is_share = len(alpha) == 1 and src.dtypes[alpha[0] - 1] == 'uint8'
    return not alpha or (is_share and not is_masked)


def _standing_value(src: Reader, nodata: float | None, bands: Sequence[int]) -> float:
    """Find a value for what is missing, which no pixel that is there has.

    Raises:
        ValueError: If there is none.
    """
    if all(is_float(src.dtypes[band - 1]) for band in bands):
        return float('nan')
    for values in (_given(src, nodata, bands), _tags(src, bands)):
        if set(values) == set(bands) and len(set(values.values())) == 1:
            return next(iter(values.values()))
    raise ValueError(
        "observed='any' (--observed any) needs one nodata value in all bands to resample "
        f'{src.name}, whose masks or values differ between bands; pass one that no observation has '
        "with nodata (--nodata), or observed='all'"
    )


def _tags(src: Reader, bands: Sequence[int]) -> dict[int, float]:
    """List the tagged values that pixels can have, by band."""
    return _values(
        {
            band: tag_as_stored(src.nodatavals[band - 1], src.dtypes[band - 1])
            for band in bands
            if src.dtypes[band - 1] not in WIDE
        }
    )


def _given(src: Reader, nodata: float | None, bands: Sequence[int]) -> dict[int, float]:
    """List the value of a user where pixels can have it, by band."""
    return _values({band: given_as_stored(nodata, src.dtypes[band - 1]) for band in bands})


def _values(stored: Mapping[int, np.generic | None]) -> dict[int, float]:
    """Leave out bands without a value; NaN and infinities are looked for by themselves."""
    return {
        band: float(value)
        for band, value in stored.items()
        if value is not None and np.isfinite(value)
    }
