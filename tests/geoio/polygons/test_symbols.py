from pathlib import Path
from xml.etree import ElementTree

import pytest

from gersp_geo.geoio.polygons.symbols import write_symbols
from gersp_geo.geoio.write.styles import write_qml

NAMES, COLORS = ['field', 'water & "ice"'], [(9, 8, 7), (0, 0, 255)]


def categories(path: Path) -> dict[str, tuple[str, str]]:
    """Per value: name and colour."""
    (renderer,) = ElementTree.parse(path).iterfind('renderer-v2')
    assert renderer.get('type') == 'categorizedSymbol'
    assert renderer.get('attr') == 'class'
    fills = {
        symbol.get('name'): symbol.find('layer/Option/Option[@name="color"]')
        for symbol in renderer.iterfind('symbols/symbol')
    }
    found = {}
    for entry in renderer.iterfind('categories/category'):
        fill = fills[entry.get('symbol')]
        assert fill is not None
        found[entry.get('value', '')] = entry.get('label', ''), fill.get('value', '')
    return found


def test_a_style_has_name_and_colour_of_each_class(tmp_path: Path) -> None:
    path = write_symbols(tmp_path / 'map.gpkg', 'class', [0, 4], NAMES, COLORS)
    assert list(tmp_path.iterdir()) == [path] == [tmp_path / 'map.qml']
    assert categories(path) == {'0': ('field', '9,8,7,255'), '4': ('water & "ice"', '0,0,255,255')}
    assert ElementTree.parse(path).findtext('layerGeometryType') == '2'


def test_the_style_of_a_raster_of_the_same_name_stays_usable(tmp_path: Path) -> None:
    path = write_qml(tmp_path / 'map.tif', NAMES, COLORS)
    before = [entry.attrib for entry in ElementTree.parse(path).iter('paletteEntry')]
    for _ in range(2):
        write_symbols(tmp_path / 'map.gpkg', 'class', [0, 1], NAMES, COLORS)
    assert [entry.attrib for entry in ElementTree.parse(path).iter('paletteEntry')] == before
    assert len(categories(path)) == 2
    assert len(ElementTree.parse(path).findall('layerGeometryType')) == 1


@pytest.mark.parametrize('text', ['no XML', '<qgis><renderer-v2/></qgis>'])
def test_another_style_is_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / 'map.qml').write_text(text)
    assert (
        len(categories(write_symbols(tmp_path / 'map.gpkg', 'class', [0, 1], NAMES, COLORS))) == 2
    )


def test_what_makes_no_style_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='printable'):
        write_symbols(tmp_path / 'map.gpkg', 'class', [0], ['a\x00'], [(0, 0, 0)])
    assert list(tmp_path.iterdir()) == []
