"""The style and form in which QGIS shows points that somebody says something about.

The elements are those that QGIS 3 writes: ``categorizedSymbol`` of ``SimpleMarker`` layers, and in
``fieldConfiguration`` an ``editWidget`` of type ``ValueMap``, a drop-down, or ``Hidden``.
"""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from .atomic import new_file
from .styles import Color, check_legend, read_raster_style

# how QGIS calls points, and how its drop-downs write NULL
_POINTS = '0'
_NULL = '{2839923C-8B7D-419E-B84B-CA2FE9B80EC7}'

# what nobody has said anything about yet stands out
_OPEN: Color = (255, 255, 255)
_OPEN_NAME = 'to do'

# read by whoever fills the form, but not changed; all others are left out of the form, as knowing
# what the map says would sway who says what is there
_SHOWN = 'id'


def write_point_form(
    vector_path: str | PathLike[str],
    values: Sequence[str],
    names: Sequence[str],
    colors: Sequence[Color],
    *,
    attribute: str = 'reference',
    others: Sequence[str] = (),
) -> Path:
    """Write a style with a form beside a file of points.

    It lies under the name of the file with the suffix ``.qml``. A raster of that name reads the
    same file: what it finds there stays.

    Args:
        vector_path: The file of points; it need not exist yet.
        values: What is written of each class, each once.
        names: How it is called.
        colors: Per class: red, green and blue, each in [0, 255].
        attribute: Column that is filled, by a drop-down of the names; points have its colour.
        others: Columns that cannot be changed in the form, and are not shown there.

    Returns:
        The path of the style.

    Raises:
        ValueError: If lengths differ, a colour is out of range, or a name holds characters that XML
            cannot.
    """
    check_legend(names, colors)
    check_legend(values, colors)
    destination = Path(vector_path).with_suffix('.qml')
    root = read_raster_style(destination)
    root.set('styleCategories', 'Symbology|Fields|Forms')
    for tag in ('fieldConfiguration', 'editable', 'editorlayout'):
        for element in root.findall(tag):
            root.remove(element)
    _add_renderer(root, attribute, [*zip(values, names, colors, strict=True)])
    _add_form(root, attribute, [*zip(values, names, strict=True)], others)
    SubElement(root, 'layerGeometryType').text = _POINTS
    ElementTree.indent(root)
    with new_file(destination, overwrite=True) as temporary:
        ElementTree.ElementTree(root).write(temporary, encoding='utf-8')
    return destination


def _add_renderer(root: Element, attribute: str, classes: Sequence[tuple[str, str, Color]]) -> None:
    """Colour points by what is said of them."""
    renderer = SubElement(
        root,
        'renderer-v2',
        {'type': 'categorizedSymbol', 'attr': attribute, 'symbollevels': '0', 'forceraster': '0'},
    )
    categories = SubElement(renderer, 'categories')
    symbols = SubElement(renderer, 'symbols')
    # the category of no value is that of all other values
    for place, (value, label, color) in enumerate([*classes, ('', _OPEN_NAME, _OPEN)]):
        SubElement(
            categories,
            'category',
            value=value,
            type='string',
            label=label,
            symbol=str(place),
            render='true',
        )
        _add_marker(symbols, str(place), color)


def _add_marker(symbols: Element, name: str, color: Color) -> None:
    """Add a plain circle."""
    symbol = SubElement(symbols, 'symbol', type='marker', name=name, alpha='1')
    layer = SubElement(symbol, 'layer', {'class': 'SimpleMarker', 'enabled': '1', 'pass': '0'})
    options = SubElement(layer, 'Option', type='Map')
    red, green, blue = color
    for key, value in (
        ('name', 'circle'),
        ('color', f'{red},{green},{blue},255'),
        ('outline_color', '30,30,30,255'),
        ('outline_width', '0.4'),
        ('size', '3'),
    ):
        SubElement(options, 'Option', name=key, type='QString', value=value)


def _add_form(
    root: Element, attribute: str, classes: Sequence[tuple[str, str]], others: Sequence[str]
) -> None:
    """Add a drop-down, and take what must not change out of the form."""
    fields = SubElement(root, 'fieldConfiguration')
    config = _add_widget(fields, attribute, 'ValueMap')
    options = SubElement(
        SubElement(config, 'Option', type='Map'), 'Option', name='map', type='List'
    )
    for value, name in ((_NULL, f'({_OPEN_NAME})'), *classes):
        entry = SubElement(options, 'Option', type='Map')
        SubElement(entry, 'Option', name=name, type='QString', value=value)
    editable = SubElement(root, 'editable')
    for other in (_SHOWN, *others):
        if other != _SHOWN:
            SubElement(_add_widget(fields, other, 'Hidden'), 'Option', type='Map')
        SubElement(editable, 'field', name=other, editable='0')
    SubElement(editable, 'field', name=attribute, editable='1')
    SubElement(root, 'editorlayout').text = 'generatedlayout'


def _add_widget(fields: Element, name: str, kind: str) -> Element:
    """Say how a column is shown in the form; returns what takes its options."""
    field = SubElement(fields, 'field', name=name)
    return SubElement(SubElement(field, 'editWidget', type=kind), 'config')
