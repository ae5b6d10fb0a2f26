"""Names of classes as other programs keep them: category names of GDAL, and attribute tables.

rasterio has no access to either, and a GeoTIFF no room: GDAL keeps them in ``NAME.tif.aux.xml``,
https://gdal.org/en/stable/user/raster_data_model.html#raster-band.
"""

from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import rasterio.shutil
from rasterio.io import MemoryFile

from .reader import Reader

# what columns of an attribute table are for, as GDAL counts it (GDALRATFieldUsage)
_NAME, _MIN, _MIN_MAX = '2', '3', '5'
_TEXT = '2'
_NAMES_OF_NAMES = ('class_name', 'classname', 'class', 'name', 'label', 'category', 'description')


def describe_categories(class_names: Sequence[str]) -> Element:
    """Put class names into the form that GDAL reads in a VRT and in a file beside a raster.

    Args:
        class_names: Names of the values 0, 1, ...; printable.

    Returns:
        The element of a band.
    """
    root = Element('CategoryNames')
    for name in class_names:
        SubElement(root, 'Category').text = name
    return root


def write_categories(raster_path: str | PathLike[str], class_names: Sequence[str]) -> None:
    """Write class names into the file beside a raster of one band that GDAL reads with it.

    Args:
        raster_path: The raster, which nothing but this writes to any more.
        class_names: Names of the values 0, 1, ...; written if XML can hold them.
    """
    if not class_names or not all(name.isprintable() for name in class_names):
        return
    root = Element('PAMDataset')
    SubElement(root, 'PAMRasterBand', band='1').append(describe_categories(class_names))
    ElementTree.indent(root)
    beside = Path(f'{fspath(raster_path)}.aux.xml')
    ElementTree.ElementTree(root).write(beside, encoding='utf-8')


def read_categories(src: Reader, *, largest: int) -> tuple[str, ...]:
    """Read the class names that GDAL knows of the first band.

    Args:
        src: An open raster.
        largest: Largest value that is a class.

    Returns:
        Names of the values 0, 1, ..., empty where there is none: the category names, or else a
        column of the attribute table.
    """
    # a virtual raster says all that GDAL knows of another one, and copies no pixels
    with MemoryFile(ext='.vrt') as file:
        rasterio.shutil.copy(src, file.name, driver='VRT')
        band = ElementTree.fromstring(file.read()).find('VRTRasterBand')
    if band is None:
        return ()
    names = [_clean(category.text) for category in band.iterfind('CategoryNames/Category')]
    if not any(names):
        table = band.find('GDALRasterAttributeTable')
        named = {} if table is None else _read_table(table, largest=largest)
        names = [named.get(value, '') for value in range(max(named, default=-1) + 1)]
    return tuple(names[: largest + 1])


def _read_table(table: Element, *, largest: int) -> Mapping[int, str]:
    """Read names by value from a table of attributes."""
    fields = [
        {key.tag: (key.text or '').strip() for key in field}
        for field in table.iterfind('FieldDefn')
    ]
    value = _find(fields, usages=(_MIN_MAX, _MIN), names=('value',))
    name = _find(
        [field if field.get('Type') == _TEXT else {} for field in fields],
        usages=(_NAME,),
        names=_NAMES_OF_NAMES,
    )
    named: dict[int, str] = {}
    if name is None:
        return named
    for place, row in enumerate(table.iterfind('Row')):
        cells = [cell.text or '' for cell in row.iterfind('F')]
        try:
            number = float(place if value is None else cells[value])
        except ValueError:
            continue
        if number.is_integer() and 0 <= number <= largest:
            named[int(number)] = _clean(cells[name])
    return named


def _find(
    fields: Sequence[Mapping[str, str]], *, usages: Sequence[str], names: Sequence[str]
) -> int | None:
    """Find a column by what it is for, or else by its name."""
    for key, wanted in (('Usage', usages), ('Name', names)):
        known = [field.get(key, '').lower() for field in fields]
        for one in wanted:
            if one in known:
                return known.index(one)
    return None


def _clean(text: str | None) -> str:
    """Bring a name to one line; none if it cannot be shown."""
    name = ' '.join((text or '').split())
    return name if name.isprintable() else ''
