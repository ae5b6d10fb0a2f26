import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gersp_geo.geoio.write.styles import class_tag, write_qml

COLORS = st.tuples(*[st.integers(0, 255)] * 3)
CLASSES = st.lists(st.tuples(st.text().filter(str.isprintable), COLORS), max_size=9)


@given(classes=CLASSES)
@settings(max_examples=50, deadline=None)
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
@settings(max_examples=50, deadline=None)
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
