"""Class names as GDAL keeps them, here and in maps of others."""

from pathlib import Path
from xml.etree import ElementTree

import geopandas
import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine

from gersp_geo.geoio.read.categories import read_categories, write_categories
from gersp_geo.geoio.write.geotiff import write_raster
from gersp_geo.main import main

GRID = Affine(10, 0, 4e5, 0, -10, 5e6)
NAMES = ('Äcker & <Wiesen>', '', 'water')
TABLE = """<PAMDataset><PAMRasterBand band="1"><GDALRasterAttributeTable tableType="thematic">
{fields}{rows}</GDALRasterAttributeTable></PAMRasterBand></PAMDataset>"""


def write(path: Path, pixels: np.ndarray | None = None, *, text: str = '') -> Path:
    values = np.array([[1, 1, 2], [3, 3, 2]], dtype=np.uint8) if pixels is None else pixels
    write_raster(path, values, crs='EPSG:32633', transform=GRID)
    if text:
        path.with_name(f'{path.name}.aux.xml').write_text(text)
    return path


def read(path: Path) -> tuple[str, ...]:
    with rasterio.open(path) as src:
        return read_categories(src, largest=65535)


def table(columns: list[tuple[str, int, int]], rows: list[tuple[object, ...]]) -> str:
    fields = ''.join(
        f'<FieldDefn index="{place}"><Name>{name}</Name><Type>{kind}</Type><Usage>{usage}</Usage>'
        '</FieldDefn>'
        for place, (name, kind, usage) in enumerate(columns)
    )
    cells = (''.join(f'<F>{cell}</F>' for cell in row) for row in rows)
    return TABLE.format(
        fields=fields,
        rows=''.join(f'<Row index="{place}">{row}</Row>' for place, row in enumerate(cells)),
    )


def test_names_come_back_from_gdal(tmp_path: Path) -> None:
    path = write(tmp_path / 'map.tif')
    assert read(path) == ()
    write_categories(path, NAMES)
    assert read(path) == NAMES


def test_names_that_xml_cannot_hold_stay_in_our_tag_alone(tmp_path: Path) -> None:
    path = write(tmp_path / 'map.tif')
    write_categories(path, ['a\x00b'])
    write_categories(path, [])
    assert [other.name for other in tmp_path.iterdir()] == ['map.tif']


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        # what each column is for
        (
            table([('v', 0, 5), ('n', 2, 2)], [(1, 'wood'), (3, ' a\nlake ')]),
            ('', 'wood', '', 'a lake'),
        ),
        # their names
        (table([('OID', 0, 0), ('Value', 1, 0), ('Count', 0, 1), ('Class_Name', 2, 0)],
               [(0, '2.0', 7, 'wood'), (1, '1.0', 9, 'lake')]), ('', 'lake', 'wood')),
        # rows in the order of values
        (table([('Label', 2, 0)], [('none',), ('wood',)]), ('none', 'wood')),
        # neither names, nor values that are classes
        (table([('Value', 0, 5), ('Red', 0, 6)], [(1, 255)]), ()),
        (table([('Value', 1, 5), ('Class', 1, 0)], [(1, 2)]), ()),
        (
            table([('Value', 1, 5), ('Name', 2, 2)], [(0.5, 'a'), (-1, 'b'), (1e9, 'c'), (1, 'd')]),
            ('', 'd'),
        ),
    ],
    ids=['usage', 'names', 'order', 'no names', 'numbers', 'no classes'],
)  # fmt: skip
def test_a_table_of_attributes_names_classes(
    text: str, expected: tuple[str, ...], tmp_path: Path
) -> None:
    assert read(write(tmp_path / 'map.tif', text=text)) == expected


def test_polygons_of_other_peoples_maps_have_their_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / 'map.tif')
    write_categories(path, ['', 'wood', 'lake', 'wood'])
    assert main(['polygons', str(path), '-o', str(tmp_path / 'map.gpkg')]) == 0
    frame = geopandas.read_file(tmp_path / 'map.gpkg')
    names = dict(zip(frame['class'], frame['class_name'], strict=True))
    assert names == {1: 'wood', 2: 'lake', 3: 'wood'}
    style = ElementTree.parse(tmp_path / 'map.qml')
    labels = [entry.get('label') for entry in style.iter('category')]
    assert labels == ['wood', 'lake', 'wood']
    words = ['polygons', str(path), '-o', str(tmp_path / 'wood.gpkg'), '--classes']
    assert main([*words, 'wood']) == 0
    assert set(geopandas.read_file(tmp_path / 'wood.gpkg')['class']) == {1, 3}
    capsys.readouterr()
    assert main(['polygons', str(path), '-o', str(tmp_path / 'x.gpkg'), '--classes', 'town']) == 1
    assert 'its classes are wood, lake, wood' in capsys.readouterr().err


def test_our_own_names_come_first_and_unnamed_classes_get_numbers(tmp_path: Path) -> None:
    pixels = np.array([[0, 1], [2, 2]], dtype=np.uint8)
    path = tmp_path / 'map.tif'
    write_raster(path, pixels, crs='EPSG:32633', transform=GRID, class_names=['a', 'b'])
    write_categories(path, ['x', 'y', 'z'])
    assert main(['polygons', str(path), '-o', str(tmp_path / 'map.gpkg')]) == 0
    assert set(geopandas.read_file(tmp_path / 'map.gpkg')['class_name']) == {'a', 'b', 'class 2'}


def test_a_raster_with_names_and_the_file_beside_it_are_replaced_together(tmp_path: Path) -> None:
    path, pixels = tmp_path / 'map.tif', np.zeros((4, 4), np.uint8)
    write_raster(path, pixels, crs=None, transform=GRID, class_names=['a'])
    assert read(path) == ('a',)
    write_raster(path, pixels, crs=None, transform=GRID, class_names=['b', 'c'], overwrite=True)
    assert read(path) == ('b', 'c')
    write_raster(path, pixels, crs=None, transform=GRID, overwrite=True)
    assert [other.name for other in tmp_path.iterdir()] == ['map.tif']
