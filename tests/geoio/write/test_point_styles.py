"""The form in which QGIS lets somebody fill a column of points."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from gersp_geo.geoio.write import write_point_form, write_qml


def test_a_form_is_written_anew_and_leaves_the_style_of_a_raster(tmp_path: Path) -> None:
    write_qml(tmp_path / 'a.tif', ['land'], [(1, 2, 3)])
    for names in (['land', 'sea'], ['land']):
        style = write_point_form(tmp_path / 'a.gpkg', names, names, [(9, 8, 7)] * len(names))
    root = ElementTree.parse(style).getroot()
    assert root.find('pipe/rasterrenderer') is not None
    for tag in ('renderer-v2', 'fieldConfiguration', 'editable', 'layerGeometryType'):
        assert len(root.findall(tag)) == 1, tag
    assert [each.get('value') for each in root.iter('category')] == ['land', '']


def test_names_that_xml_cannot_hold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='printable'):
        write_point_form(tmp_path / 'a.gpkg', ['1'], ['a\0'], [(1, 2, 3)])
