"""Class names and colours in the forms that QGIS and GDAL read."""

import json
from collections.abc import Sequence
from colorsys import hsv_to_rgb
from os import PathLike
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from .atomic import new_file

type Color = tuple[int, int, int]
"""Red, green and blue in [0, 255]."""

# hues that are spread evenly, however many
_GOLDEN = (5**0.5 - 1) / 2


def class_color(value: int) -> Color:
    """Choose the colour of a class that has none: distinct from those of its neighbours.

    Args:
        value: The class, >= 0.

    Returns:
        Always the same for one class.
    """
    red, green, blue = hsv_to_rgb(value * _GOLDEN % 1, 0.65, 0.9)
    return round(red * 255), round(green * 255), round(blue * 255)


def class_tag(class_names: Sequence[str]) -> dict[str, str]:
    """Put class names into the band tag that this package reads them from.

    Args:
        class_names: Names of the values 0, 1, ...

    Returns:
        ``{'CLASS_NAMES': <JSON list>}``.
    """
    return {'CLASS_NAMES': json.dumps(list(class_names), ensure_ascii=False)}


def check_legend(class_names: Sequence[str], class_colors: Sequence[tuple[int, int, int]]) -> None:
    """Refuse names and colours that make no style.

    Args:
        class_names: Names of the values 0, 1, ...
        class_colors: Red, green and blue of each class.

    Raises:
        ValueError: If there are not as many colours as names, a colour is out of range, or a name
            holds characters that XML cannot.
    """
    if len(class_names) != len(class_colors):
        raise ValueError(
            f'class_colors must have one colour per class ({len(class_names)}), '
            f'got {len(class_colors)}'
        )
    for color in class_colors:
        if len(color) != 3 or not all(0 <= value <= 255 for value in color):
            raise ValueError(f'a class colour must be three numbers in [0, 255], got {color}')
    for name in class_names:
        if not name.isprintable():
            raise ValueError(f'a class name must be printable text for a style, got {name!r}')


def write_qml(
    raster_path: str | PathLike[str],
    class_names: Sequence[str],
    class_colors: Sequence[tuple[int, int, int]],
) -> Path:
    """Write the style that QGIS applies by itself when it opens a class raster.

    It lies beside the raster, under its name with the suffix ``.qml``, and replaces an older one.

    Args:
        raster_path: The raster; it need not exist yet.
        class_names: Names of the values 0, 1, ...
        class_colors: Red, green and blue of each class, each in [0, 255].

    Returns:
        The path of the style.

    Raises:
        ValueError: If there are not as many colours as names, a colour is out of range, or a name
            holds characters that XML cannot.
    """
    check_legend(class_names, class_colors)
    style = _paletted_style(class_names, class_colors)
    destination = Path(raster_path).with_suffix('.qml')
    with new_file(destination, overwrite=True) as temporary:
        style.write(temporary, encoding='utf-8')
    return destination


def _paletted_style(
    class_names: Sequence[str], class_colors: Sequence[tuple[int, int, int]]
) -> ElementTree.ElementTree:
    """Build the document: a pipe with one paletted renderer on band 1."""
    root = ElementTree.Element('qgis', version='3.28', styleCategories='Symbology')
    renderer = ElementTree.SubElement(
        ElementTree.SubElement(root, 'pipe'),
        'rasterrenderer',
        {'type': 'paletted', 'band': '1', 'opacity': '1', 'alphaBand': '-1'},
    )
    palette = ElementTree.SubElement(renderer, 'colorPalette')
    for value, (name, color) in enumerate(zip(class_names, class_colors, strict=True)):
        red, green, blue = color
        ElementTree.SubElement(
            palette,
            'paletteEntry',
            value=str(value),
            label=name,
            color=f'#{red:02x}{green:02x}{blue:02x}',
            alpha='255',
        )
    ElementTree.indent(root)
    return ElementTree.ElementTree(root)


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

    It lies under the name of the file with the suffix ``.qml``. A raster of that name reads the
    same file: what it finds there stays.

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
    root = read_raster_style(destination)
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


def read_raster_style(path: Path) -> Element:
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
