import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gersp_geo.geoio.write.styles import class_tag, write_qml, write_symbols

COLORS = st.tuples(*[st.integers(0, 255)] * 3)
CLASSES = st.lists(st.tuples(st.text().filter(str.isprintable), COLORS), max_size=9)


@given(classes=CLASSES)
def test_style_holds_value_name_and_colour_of_each_class(
    tmp_path_factory: pytest.TempPathFactory, classes: list[tuple[str, tuple[int, int, int]]]
) -> None:
    folder = tmp_path_factory.mktemp('style')
    path = write_qml(folder / 'map.tif', [n for n, _ in classes], [c for _, c in classes])
    assert list(folder.iterdir()) == [path] == [folder / 'map.qml']
    entries = ElementTree.parse(path).iterfind('pipe/rasterrenderer/colorPalette/paletteEntry')
    read = [
        (int(e.get('value', '')), e.get('label'), tuple(bytes.fromhex(e.get('color', '')[1:])))
        for e in entries
    ]
    assert read == [(value, *entry) for value, entry in enumerate(classes)]


@given(names=st.lists(st.text(st.characters(exclude_categories=['Cs']))))
def test_class_tag_is_a_json_list(names: list[str]) -> None:
    assert json.loads(class_tag(names)['CLASS_NAMES']) == names


@pytest.mark.parametrize(
    ('names', 'colors', 'message'),
    [
        (['a'], [], 'one colour per class'),
        (['a'], [(0, 0, 256)], r'three numbers in \[0, 255\]'),
        (['a\x00'], [(0, 0, 0)], 'printable'),
    ],
)
def test_what_makes_no_style_leaves_no_file(
    tmp_path: Path, names: list[str], colors: list[tuple[int, int, int]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        write_qml(tmp_path / 'map.tif', names, colors)
    assert list(tmp_path.iterdir()) == []


def test_newer_style_replaces_the_older(tmp_path: Path) -> None:
    write_qml(tmp_path / 'map.tif', ['old'], [(0, 0, 0)])
    path = write_qml(tmp_path / 'map.tif', ['new'], [(0, 0, 0)])
    assert 'new' in path.read_text()
    assert 'old' not in path.read_text()


NAMES, RGB = ['field', 'water & "ice"'], [(9, 8, 7), (0, 0, 255)]


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
    path = write_symbols(tmp_path / 'map.gpkg', 'class', [0, 4], NAMES, RGB)
    assert list(tmp_path.iterdir()) == [path] == [tmp_path / 'map.qml']
    assert categories(path) == {'0': ('field', '9,8,7,255'), '4': ('water & "ice"', '0,0,255,255')}
    assert ElementTree.parse(path).findtext('layerGeometryType') == '2'


def test_the_style_of_a_raster_of_the_same_name_stays_usable(tmp_path: Path) -> None:
    path = write_qml(tmp_path / 'map.tif', NAMES, RGB)
    before = [entry.attrib for entry in ElementTree.parse(path).iter('paletteEntry')]
    for _ in range(2):
        write_symbols(tmp_path / 'map.gpkg', 'class', [0, 1], NAMES, RGB)
    assert [entry.attrib for entry in ElementTree.parse(path).iter('paletteEntry')] == before
    assert len(categories(path)) == 2
    assert len(ElementTree.parse(path).findall('layerGeometryType')) == 1


@pytest.mark.parametrize('text', ['no XML', '<qgis><renderer-v2/></qgis>'])
def test_another_style_is_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / 'map.qml').write_text(text)
    assert len(categories(write_symbols(tmp_path / 'map.gpkg', 'class', [0, 1], NAMES, RGB))) == 2


def test_what_makes_no_style_of_polygons_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='printable'):
        write_symbols(tmp_path / 'map.gpkg', 'class', [0], ['a\x00'], [(0, 0, 0)])
    assert list(tmp_path.iterdir()) == []
