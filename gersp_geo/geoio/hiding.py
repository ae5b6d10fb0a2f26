"""A raster in which one value alone says where there is no observation, as resampling wants it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np
from rasterio.dtypes import dtype_rev, typename_fwd
from rasterio.enums import MaskFlags
from rasterio.io import MemoryFile

from .reading import Reader, alpha_bands


@contextmanager
def hide_unobserved(src: Reader, nodata: float | None) -> Iterator[tuple[Reader, float | None]]:
    """See a raster so that GDAL's warper leaves out every pixel without an observation.

    The warper heeds either a mask, an alpha band or a value. Where a raster has more than one of
    them, *nodata* among them, pixels that any hides get a single value in all bands.

    Args:
        src: An open raster.
        nodata: A further value that means "no observation" if all bands have it; NaN is allowed.

    Yields:
        The raster, without its alpha band if pixels had to be rewritten; and the value of those
        without an observation, None where its mask or alpha band says it, or nothing does.

    Raises:
        ValueError: If pixels must be rewritten, and an alpha band is not the last one.
    """
    is_masked = any(
        MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags
        for flags in src.mask_flag_enums
    )
    # beside a mask, GDAL's own masks do not heed the tag either
    tag = None if is_masked else _as_stored(src, src.nodata)
    given = _as_stored(src, nodata)
    value = tag if given is None else given
    alpha = alpha_bands(src)
    # of floats, repr alone says that NaN is NaN
    has_other_tag = tag is not None and repr(tag) != repr(value)
    if value is None or not (is_masked or alpha or has_other_tag):
        yield src, value
        return
    if alpha and alpha != (src.count,):
        raise ValueError(
            f'{src.name} has an alpha band and the nodata value {value:g}, which resampling heeds '
            f'both only if the alpha band is the last of {src.count}, got {list(alpha)}; reorder '
            'its bands, for example with gdal_translate -b'
        )
    document = tostring(_rewrite(src, tag=tag, value=value))
    # a file in memory, so that its name in messages is short
    with (
        MemoryFile(document, filename=f'{Path(src.name).name}.vrt') as file,
        closing(file.open()) as rewritten,
    ):
        yield rewritten, value


def _as_stored(src: Reader, value: float | None) -> float | None:
    """Give a value as the pixels of a raster have it; None where no pixel can have it in all bands."""
    if value is None:
        return None
    dtype = np.result_type(*src.dtypes)
    if dtype.kind == 'f':
        # beyond the largest float lies infinity, which is no observation anyway
        with np.errstate(over='ignore'):
            return float(np.asarray(value).astype(dtype))
    limits = np.iinfo(dtype)
    fits = float(value).is_integer() and limits.min <= value <= limits.max
    return float(value) if fits else None


def _rewrite(src: Reader, *, tag: float | None, value: float) -> Element:
    """Describe a raster in which pixels without an observation have a value in all bands.

    It is a warp that moves nothing: https://gdal.org/en/stable/drivers/raster/vrt.html (Warped VRT).

    Args:
        src: The raster; its mask and its alpha band, which must be the last, count.
        tag: Value that counts besides, if all bands have it.
        value: What such pixels get.

    Returns:
        A virtual raster (VRT).
    """
    alpha = alpha_bands(src)
    bands = [band for band in src.indexes if band not in alpha]
    root = Element(
        'VRTDataset', rasterXSize=str(src.width), rasterYSize=str(src.height),
        subClass='VRTWarpedDataset',
    )  # fmt: skip
    if src.crs is not None:
        # no axis mapping: x comes before y, as in every transform of GDAL and rasterio
        SubElement(root, 'SRS').text = src.crs.to_wkt(version='WKT2_2019')
    SubElement(root, 'GeoTransform').text = ', '.join(map(repr, src.transform.to_gdal()))
    for band in bands:
        described = SubElement(
            root, 'VRTRasterBand', dataType=typename_fwd[dtype_rev[src.dtypes[band - 1]]],
            band=str(band), subClass='VRTWarpedRasterBand',
        )  # fmt: skip
        if src.descriptions[band - 1]:
            SubElement(described, 'Description').text = src.descriptions[band - 1]
        SubElement(described, 'ColorInterp').text = src.colorinterp[band - 1].name.capitalize()
    root.append(_warp_nothing(src, bands, alpha, tag=tag, value=value))
    return root


def _warp_nothing(
    src: Reader, bands: list[int], alpha: tuple[int, ...], *, tag: float | None, value: float
) -> Element:
    """Describe the warp: every observed pixel is copied over *value*."""
    warp = Element('GDALWarpOptions')
    SubElement(warp, 'ResampleAlg').text = 'NearestNeighbour'
    options = {
        'INIT_DEST': repr(value),
        # the tag counts where all bands have it
        'UNIFIED_SRC_NODATA': 'YES',
        # any alpha but 0 is an observation, not a share of one
        'SRC_ALPHA_MAX': '1',
    }
    for name, text in options.items():
        SubElement(warp, 'Option', name=name).text = text
    # GDAL does not know the schemes of rasterio
    name = src.files[0] if '://' in src.name else src.name
    SubElement(warp, 'SourceDataset', relativeToVRT='0').text = name
    pixels = SubElement(SubElement(warp, 'Transformer'), 'GenImgProjTransformer')
    for step in ('SrcGeoTransform', 'SrcInvGeoTransform', 'DstGeoTransform', 'DstInvGeoTransform'):
        SubElement(pixels, step).text = '0,1,0,0,0,1'
    mapped = SubElement(warp, 'BandList')
    for band in bands:
        mapping = SubElement(mapped, 'BandMapping', src=str(band), dst=str(band))
        if tag is not None:
            SubElement(mapping, 'SrcNoDataReal').text = repr(tag)
            SubElement(mapping, 'SrcNoDataImag').text = '0'
    if alpha:
        SubElement(warp, 'SrcAlphaBand').text = str(alpha[0])
    return warp
