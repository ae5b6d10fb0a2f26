"""The style that QGIS applies by itself when it opens polygons of classes."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from ..write.atomic import new_file
from ..write.styles import check_legend

# how QGIS calls polygons
_POLYGONS = '2'


def write_symbols(
    vector_path: str | PathLike[str],
    attribute: str,
    values: Sequence[int],
    names: Sequence[str],
    colors: Sequence[tuple[int, int, int]],
) -> Path:
    """Write a style of one colour per class, without lines, beside a vector file.

    It lies under the name of the file with the suffix ``.qml``. A raster of that name reads the same
    file: what it finds there stays.

    Args:
        vector_path: The vector file; it need not exist yet.
        attribute: Column of the values.
        values: Classes.
        names: Per class.
        colors: Per class: red, green and blue, each in [0, 255].

    Returns:
        The path of the style.

    Raises:
        ValueError: If lengths differ, a colour is out of range, or a name holds characters that XML
            cannot.
    """
    check_legend(names, colors)
    destination = Path(vector_path).with_suffix('.qml')
    root = _read_raster_style(destination)
    renderer = SubElement(
        root,
        'renderer-v2',
        {'type': 'categorizedSymbol', 'attr': attribute, 'symbollevels': '0', 'forceraster': '0'},
    )
    categories = SubElement(renderer, 'categories')
    symbols = SubElement(renderer, 'symbols')
    for place, (value, name, color) in enumerate(zip(values, names, colors, strict=True)):
        SubElement(
            categories,
            'category',
            value=str(value),
            type='long',
            label=name,
            symbol=str(place),
            render='true',
        )
        _add_fill(symbols, str(place), color)
    SubElement(root, 'layerGeometryType').text = _POLYGONS
    ElementTree.indent(root)
    with new_file(destination, overwrite=True) as temporary:
        ElementTree.ElementTree(root).write(temporary, encoding='utf-8')
    return destination


def _add_fill(symbols: Element, name: str, color: tuple[int, int, int]) -> None:
    """Add a plain fill."""
    symbol = SubElement(symbols, 'symbol', type='fill', name=name, alpha='1')
    layer = SubElement(symbol, 'layer', {'class': 'SimpleFill', 'enabled': '1', 'pass': '0'})
    options = SubElement(layer, 'Option', type='Map')
    red, green, blue = color
    for key, value in (
        ('color', f'{red},{green},{blue},255'),
        ('style', 'solid'),
        ('outline_style', 'no'),
    ):
        SubElement(options, 'Option', name=key, type='QString', value=value)


def _read_raster_style(path: Path) -> Element:
    """Read the style of a raster of the same name; an empty one if there is none."""
    empty = Element('qgis', version='3.28', styleCategories='Symbology')
    if not path.exists():
        return empty
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError:
        return empty
    if root.find('pipe') is None:
        return empty
    for tag in ('renderer-v2', 'layerGeometryType'):
        for element in root.findall(tag):
            root.remove(element)
    return root
