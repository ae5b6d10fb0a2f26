"""Virtual rasters (VRT): the pixels of another raster with other masks and meanings of bands.

https://gdal.org/en/stable/drivers/raster/vrt.html
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, fromstring, tostring

from rasterio.dtypes import dtype_rev, typename_fwd
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader, MemoryFile
from rasterio.vrt import WarpedVRT

from ..crs import crs_text
from .georeference import add_to_vrt, read_georeference
from .reader import Reader

type Source = tuple[str, str]
"""A raster, and the number of its band, or 'mask,' and that of the band whose mask is meant."""


def virtual_raster(
    src: Reader, *, data: Collection[int] = (), nodata: Mapping[int, float] | None = None
) -> Element:
    """Describe a raster with the bands of another one.

    Args:
        src: An open raster.
        data: 1-based indices of bands that are data, even if they are tagged as alpha.
        nodata: Tag per 1-based band; others have none.

    Returns:
        A VRT, with the place of *src* on the ground, and with no mask.
    """
    root = Element('VRTDataset', rasterXSize=str(src.width), rasterYSize=str(src.height))
    add_to_vrt(root, read_georeference(src), crs=src.crs, transform=src.transform)
    for band in src.indexes:
        described = add_band(root, src.dtypes[band - 1], (nodata or {}).get(band), band=str(band))
        if src.descriptions[band - 1]:
            SubElement(described, 'Description').text = src.descriptions[band - 1]
        meaning = src.colorinterp[band - 1]
        if meaning == ColorInterp.alpha and band in data:
            meaning = ColorInterp.undefined
        SubElement(described, 'ColorInterp').text = meaning.name.capitalize()
        SubElement(described, 'Offset').text = repr(src.offsets[band - 1])
        SubElement(described, 'Scale').text = repr(src.scales[band - 1])
        add_source(described, (name_for_gdal(src), str(band)))
    return root


def name_for_gdal(src: Reader) -> str:
    """Name a raster so that GDAL finds it: it does not know the schemes of rasterio."""
    name: str = src.files[0] if '://' in src.name else src.name
    return name


def describe_warp(warped: WarpedVRT, seen: Reader) -> Element:
    """Write a warped view down, so that it can be told what rasterio has no argument for.

    Args:
        warped: A view on a grid that was given.
        seen: What it shows.

    Returns:
        A VRT of the same pixels, to complete and to open with :func:`open_described`.
    """
    root = fromstring(next(iter(warped.tags(ns='xml:VRT').values())))
    # WKT 2 keeps more of it than what GDAL wrote
    find_one(root, 'SRS').text = crs_text(warped.crs)
    source = find_one(root, './/SourceDataset')
    source.set('relativeToVRT', '0')
    source.text = name_for_gdal(seen)
    return root


@contextmanager
def open_described(root: Element) -> Iterator[DatasetReader]:
    """Open a VRT that is no file."""
    with MemoryFile(tostring(root), ext='.vrt') as file, closing(file.open()) as view:
        yield view


def find_one(parent: Element, path: str) -> Element:
    """Find an element that GDAL always writes."""
    found = parent.find(path)
    assert found is not None, path
    return found


def add_band(
    parent: Element, dtype: str, nodata: float | None = None, **attributes: str
) -> Element:
    """Add a band to a VRT, or to its mask."""
    band = SubElement(parent, 'VRTRasterBand', {'dataType': gdal_type(dtype), **attributes})
    if nodata is not None:
        SubElement(band, 'NoDataValue').text = repr(nodata)
    return band


def gdal_type(dtype: str) -> str:
    """Give GDAL's name of a NumPy type."""
    name: str = typename_fwd[dtype_rev[dtype]]
    return name


def add_source(
    band: Element, source: Source, kind: str = 'SimpleSource', *, is_relative: bool = False
) -> Element:
    """Say where a band of a VRT comes from; a relative name is one beside the VRT."""
    name, number = source
    added = SubElement(band, kind)
    SubElement(added, 'SourceFilename', relativeToVRT=str(int(is_relative))).text = name
    SubElement(added, 'SourceBand').text = number
    return added


def add_mask(parent: Element, shown: Sequence[Source]) -> None:
    """Give a VRT, or a band of it, a mask that hides what any of some masks hides."""
    if shown:
        add_joined(SubElement(parent, 'MaskBand'), 'min', shown)


def add_joined(
    parent: Element, function: str, masks: Sequence[Source], *, number: int | None = None
) -> None:
    """Add a band of bytes: the least ('min') or the largest ('max') of what some masks say."""
    attributes = {} if number is None else {'band': str(number)}
    if len(masks) == 1:
        add_source(add_band(parent, 'uint8', None, **attributes), masks[0])
        return
    band = add_band(parent, 'uint8', None, subClass='VRTDerivedRasterBand', **attributes)
    SubElement(band, 'PixelFunctionType').text = function
    for mask in masks:
        add_source(band, mask)


class Documents:
    """Virtual rasters in memory, which others refer to by name."""

    def __init__(self, stack: ExitStack) -> None:
        """Initialize a new Documents instance.

        Args:
            stack: Removes them when it closes.
        """
        self._stack = stack

    def keep(self, root: Element, *, name: str = 'part') -> MemoryFile:
        """Keep one.

        Args:
            root: The VRT.
            name: What messages call it.
        """
        # a file in memory has a short name in messages
        file = MemoryFile(tostring(root), filename=f'{Path(name).name}.vrt')
        return self._stack.enter_context(file)

    def name(self, root: Element) -> str:
        """Keep one, and say what GDAL finds it by."""
        return str(self.keep(root).name)

    def values(self, src: Reader, nodata: Mapping[int, float]) -> str:
        """Make the bands of a raster with other tags: masks say where they have these values."""
        return self.name(virtual_raster(src, data=src.indexes, nodata=nodata))

    def finite(self, src: Reader) -> str:
        """Make bands whose masks say where those of a raster are finite: x - x is NaN elsewhere."""
        root = Element('VRTDataset', rasterXSize=str(src.width), rasterYSize=str(src.height))
        for band in src.indexes:
            made = add_band(
                root, src.dtypes[band - 1], float('nan'), band=str(band),
                subClass='VRTDerivedRasterBand',
            )  # fmt: skip
            SubElement(made, 'PixelFunctionType').text = 'diff'
            for _ in range(2):
                add_source(made, (name_for_gdal(src), str(band)))
        return self.name(root)

    def join(self, src: Reader, function: str, masks: Mapping[int, Sequence[Source]]) -> str:
        """Join, per band, what some masks say of it to a band of bytes, in the order of *masks*."""
        root = Element('VRTDataset', rasterXSize=str(src.width), rasterYSize=str(src.height))
        for number, sources in enumerate(masks.values(), 1):
            add_joined(root, function, sources, number=number)
        return self.name(root)
