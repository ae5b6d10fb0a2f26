"""Turn the finished parts of a map into one Cloud Optimized GeoTIFF (COG)."""

import os
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from ..gdal import gdal_cache
from ..read.categories import describe_categories
from ..read.georeference import add_metadata, add_to_vrt
from ..read.vrt import add_band, add_source, gdal_type
from .atomic import check_absent, new_file
from .cog import MapLayout, OverviewResampling, Threads, finish_cog
from .overviews import build_overviews
from .parts import BLOCK_SIZE, Part
from .styles import class_tag

_CACHE_BYTES = 64 * 1024**2
"""What GDAL keeps of decoded blocks; each is needed once, so that more would not help."""

_MAX_OVERVIEW_THREADS = 4
_MAX_BYTES_IN_FLIGHT = 256 * 1024**2
"""What limits threads: each holds some windows or blocks, and memory must not grow with cores."""


def finish_map(
    parts: Sequence[Part],
    destination: str | PathLike[str],
    layout: MapLayout,
    tags: Mapping[str, str],
    *,
    overview_resampling: OverviewResampling,
    work: str | PathLike[str],
    overwrite: bool = False,
    threads: Threads = 'ALL_CPUS',
    block_size: int = BLOCK_SIZE,
) -> None:
    """Join parts to a COG with overviews, in bounded memory; it appears when complete.

    The file depends on the pixels of the map alone, not on how it was cut into parts, nor on the
    number of threads. Time is linear in the area of the parts, but for a quick pass over the empty
    rest. After a kill it may be called again.

    Args:
        parts: Where there is something; they do not overlap. The rest is nodata.
        destination: COG to write.
        layout: Size, georeference, type and legend.
        tags: Metadata of the file, name to value.
        overview_resampling: How overviews are made.
        work: Folder for intermediate files, which stay there.
        overwrite: Whether an existing file may be replaced.
        threads: Threads that work.
        block_size: Side of the blocks of the COG in pixels; a multiple of 16, at least 128.

    Raises:
        FileExistsError: If *destination* exists and *overwrite* is false.
        OSError: If a part is damaged, or there is no room.
    """
    check_absent(destination, overwrite=overwrite)
    folder = Path(work)
    folder.mkdir(parents=True, exist_ok=True)
    count = (os.cpu_count() or 1) if threads == 'ALL_CPUS' else threads
    block_bytes = block_size**2 * len(layout.descriptions) * np.dtype(layout.dtype).itemsize
    with gdal_cache(_CACHE_BYTES):
        overviews = build_overviews(
            parts,
            folder,
            layout,
            resampling=overview_resampling,
            threads=min(count, _MAX_OVERVIEW_THREADS),
            block_size=block_size,
        )
        mosaic = folder / 'map.vrt'
        build_mosaic(parts, mosaic, layout, tags, overviews=overviews)
        finish_cog(
            mosaic,
            destination,
            overview_resampling=overview_resampling,
            overwrite=overwrite,
            threads=max(1, min(count, _MAX_BYTES_IN_FLIGHT // block_bytes)),
            block_size=block_size,
        )


def build_mosaic(
    parts: Sequence[Part],
    destination: str | PathLike[str],
    layout: MapLayout,
    tags: Mapping[str, str],
    *,
    overviews: Sequence[str] = (),
) -> None:
    """Write a virtual raster (VRT) of all parts, which GDAL opens as one; pixels stay in the parts.

    Format: https://gdal.org/en/stable/drivers/raster/vrt.html. GDAL opens a part when it is read,
    and keeps a limited number of them open.

    Args:
        parts: Where there is something; they do not overlap. The rest is nodata.
        destination: VRT to write; an existing one is replaced. It names the parts relative to
            itself.
        layout: Size, georeference, type and legend.
        tags: Metadata, name to value.
        overviews: Files of :func:`.overviews.build_overviews`.
    """
    folder = Path(destination).parent
    root = Element('VRTDataset', rasterXSize=str(layout.width), rasterYSize=str(layout.height))
    add_to_vrt(root, layout.georeference, crs=layout.crs, transform=layout.transform)
    add_metadata(SubElement(root, 'Metadata'), tags.items())
    for index, description in enumerate(layout.descriptions, start=1):
        band = _add_band(root, layout, index=index, description=description)
        for part in parts:
            _add_part(band, part, folder, index=index, dtype=layout.dtype)
        for path in overviews:
            source = os.path.relpath(path, folder), str(index)
            add_source(band, source, 'Overview', is_relative=True)
    with new_file(destination, overwrite=True) as unfinished:
        ElementTree.ElementTree(root).write(unfinished, encoding='utf-8')


def _add_band(root: Element, layout: MapLayout, *, index: int, description: str) -> Element:
    """Add a band without sources."""
    blocks = {'blockXSize': str(BLOCK_SIZE), 'blockYSize': str(BLOCK_SIZE)}
    band = add_band(root, layout.dtype, float(layout.nodata), band=str(index), **blocks)
    if layout.class_names:
        add_metadata(SubElement(band, 'Metadata'), class_tag(layout.class_names).items())
        band.append(describe_categories(layout.class_names))
    SubElement(band, 'Description').text = description
    if layout.units:
        SubElement(band, 'UnitType').text = layout.units[index - 1]
    if layout.scale is not None:
        SubElement(band, 'Scale').text = repr(float(layout.scale))
    if layout.class_colors:
        SubElement(band, 'ColorInterp').text = 'Palette'
        table = SubElement(band, 'ColorTable')
        for red, green, blue in layout.class_colors:
            SubElement(table, 'Entry', c1=str(red), c2=str(green), c3=str(blue), c4='255')
    return band


def _add_part(band: Element, part: Part, folder: Path, *, index: int, dtype: str) -> None:
    """Add a part to a band. Its size and type are said, so that GDAL opens it later."""
    place = os.path.relpath(part.path, folder), str(index)
    source = add_source(band, place, is_relative=True)
    SubElement(
        source,
        'SourceProperties',
        RasterXSize=str(part.width),
        RasterYSize=str(part.height),
        DataType=gdal_type(dtype),
        BlockXSize=str(BLOCK_SIZE),
        BlockYSize=str(BLOCK_SIZE),
    )
    size = {'xSize': str(part.width), 'ySize': str(part.height)}
    SubElement(source, 'SrcRect', {'xOff': '0', 'yOff': '0', **size})
    SubElement(source, 'DstRect', {'xOff': str(part.col_off), 'yOff': str(part.row_off), **size})
