"""VOC, YOLO, DOTA and CSV: which image a file means, and what cannot be."""

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from gersp_geo.labels.objects import ObjectSource
from gersp_geo.labels.objects.matching import ImageNames

type Scene = Callable[..., Path]
type Open = Callable[..., ObjectSource]
type Put = Callable[..., Path]

VOC = (
    '<annotation><size><width>96</width><height>64</height></size><object><name>car</name>'
    '<difficult>{hard}</difficult><bndbox><xmin>{left}</xmin><ymin>2</ymin><xmax>9</xmax>'
    '<ymax>8</ymax></bndbox></object></annotation>'
)
CSV = 'image_path,xmin,ymin,xmax,ymax,label\n'


@pytest.fixture
def put(tmp_path: Path, scene: Scene) -> Put:
    """Write a label file beside an image a.png."""
    scene('a.png')

    def write(name: str, text: str) -> Path:
        path = tmp_path / 'labels' / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
        return path.parent

    return write


def test_a_difficult_object_is_ignored_and_numbers_are_taken_as_edges(
    put: Put, open_labels: Open, scene: Scene
) -> None:
    scene('b.png')
    put('a.xml', VOC.format(hard=0, left=1))
    objects = open_labels(put('b.xml', VOC.format(hard=1, left=1))).of(0)
    assert objects is not None
    assert objects.bounds.tolist() == [[1, 2, 9, 8]]
    hard = open_labels(put('b.xml', VOC.format(hard=1, left=1))).of(1)
    assert hard is not None
    assert hard.ignored.tolist() == [True]


def test_dota_flags_difficult_ones_and_outlines_may_leave_the_image(
    put: Put, open_labels: Open
) -> None:
    folder = put(
        'a.txt',
        'imagesource:GoogleEarth\ngsd:0.1\n1 1 9 1 9 5 1 5 plane 0\n90 1 120 1 120 9 90 9 ship 1\n',
    )
    objects = open_labels(folder).of(0)
    assert objects is not None
    assert objects.ignored.tolist() == [False, True]
    assert objects.bounds[1].tolist() == [90, 1, 120, 9]


def test_an_empty_text_is_an_image_without_object_and_none_is_left_out(
    put: Put, open_labels: Open, scene: Scene
) -> None:
    scene('b.png')
    scene('c.png')
    put('a.txt', '1 0.5 0.5 0.25 0.5')
    put('README.txt', 'No labels in here.')
    put('data.yaml', 'names: {0: car, 1: bus}')
    folder = put('b.txt', '')
    with pytest.warns(UserWarning, match=r'1 of 3 images are left out.*c\.png'):
        source = open_labels(folder)
    first, second, third = (source.of(tile) for tile in range(3))
    assert source.class_names == ('car', 'bus')
    assert first is not None
    assert first.bounds.tolist() == [[36, 16, 60, 48]]
    assert first.classes.tolist() == [1]
    assert second is not None
    assert len(second) == 0
    assert third is None


def test_numbers_with_gaps_keep_the_names_that_are_given(put: Put, open_labels: Open) -> None:
    folder = put('a.txt', '2 0.5 0.5 0.25 0.5\n0 0.5 0.5 0.25 0.25')
    assert open_labels(folder).class_names == ('0', '2')
    source = open_labels(folder, class_names=('car', 'bus', 'van'))
    objects = source.of(0)
    assert objects is not None
    assert [source.class_names[code] for code in objects.classes] == ['van', 'car']


def test_folders_tell_images_of_one_name_apart(
    put: Put, open_labels: Open, scene: Scene, tmp_path: Path
) -> None:
    images = [scene('c.png'), scene('train/a.png'), scene('val/a.png')]
    put('c.txt', '0 0.5 0.5 0.25 0.125')
    put('train/a.txt', '0 0.5 0.5 0.25 0.5')
    put('val/a.txt', '0 0.5 0.5 0.25 0.25')
    source = open_labels(tmp_path / 'labels', images)
    heights = [np.ptp(objects.bounds[0, 1::2]) for i in range(3) if (objects := source.of(i))]
    assert heights == [8, 32, 16]


@pytest.mark.parametrize('form', ['NFC', 'NFD'])
def test_names_with_accents_are_the_same_however_they_are_encoded(
    form: Literal['NFC', 'NFD'], put: Put, open_labels: Open, scene: Scene
) -> None:
    scene(unicodedata.normalize('NFD', 'é.png'))
    put('README.txt', 'No labels in here.')
    put('a.txt', '')
    folder = put(unicodedata.normalize(form, 'é.txt'), '0 0.5 0.5 0.25 0.5')
    found = [open_labels(folder).of(tile) for tile in range(2)]
    assert [None if objects is None else len(objects) for objects in found] == [0, 1]


def test_a_name_means_an_image_by_as_much_of_its_path_as_any_confirms() -> None:
    names = ImageNames(['x/val/a.jpg', 'x/val/b.c.jpg', 'x/d.tif'])
    assert names.match(['train/a.jpg', 'val/b.c.jpg'], source='s') == {'val/b.c.jpg': 1}
    assert names.match([r'C:\data\d.tif', 'b.c'], source='s') == {r'C:\data\d.tif': 2, 'b.c': 1}
    assert names.match(['d.jpg', 'z.jpg'], source='s') == {'d.jpg': 2}
    with pytest.raises(ValueError, match=r'has two in s: d.jpg and d.png; keep one'):
        names.match(['d.jpg', 'd.png'], source='s')
    with pytest.raises(ValueError, match=r'names an image a, which may be y/a.jpg and z/a.jpg'):
        ImageNames(['y/a.jpg', 'z/a.jpg']).match(['a'], source='s')


def test_a_row_without_box_is_an_image_without_object(
    put: Put, open_labels: Open, scene: Scene
) -> None:
    scene('b.png')
    scene('c.png')
    path = put('a.csv', f'{CSV}a.png,1,2,9,8,NA\nb.png,0,0,0,0,\nc.png,,,,,\n\n')
    source = open_labels(path / 'a.csv')
    assert source.class_names == ('NA',)
    assert [len(objects) for i in range(3) if (objects := source.of(i)) is not None] == [1, 0, 0]


def test_columns_have_any_name(put: Put, open_labels: Open) -> None:
    path = put('a.csv', '\ufefff;x0;y0;x1;y1;kind\na;1;2;9;8;02\na;1;2;9;9;1\n') / 'a.csv'
    columns = {'image': 'f', 'xmin': 'x0', 'ymin': 'y0', 'xmax': 'x1', 'ymax': 'y1'}
    assert open_labels(path, columns=columns).class_names == ('object',)
    for options in (
        {'attribute': 'kind', 'columns': columns},
        {'columns': columns | {'label': 'kind'}},
    ):
        assert open_labels(path, **options).class_names == ('1', '02')


BOMB = '<!DOCTYPE a [<!ENTITY x "xx">]>' + VOC.format(hard=0, left=1)


@pytest.mark.parametrize(
    ('name', 'text', 'options', 'message'),
    [
        ('a.xml', '<annotation>\n<object>', {}, 'a.xml is no XML: .*line 2'),
        ('a.xml', BOMB, {}, 'a.xml cannot be read: it declares a document type'),
        ('a.xml', '<svg/>', {}, 'must hold <annotation>, got <svg>'),
        ('a.xml', VOC.format(hard=0, left=9), {}, 'xmin < xmax and .*object 1 of .*a.xml has xmin 9'),
        ('a.xml', VOC.format(hard=0, left='x'), {}, 'object 1 of .*a.xml needs xmin, ymin'),
        ('a.xml', VOC.format(hard=0, left=1).replace('96', '99'), {}, 'a.xml was made for 99 x 64'),
        ('a.xml', VOC.format(hard=0, left=1), {'attribute': 'x'}, 'attribute goes with .*--data.attribute null'),
        ('a.xml', VOC.format(hard=0, left=1), {'format': 'coco'}, 'holds no file of format coco'),
        ('a.txt', '0 0.5 0.5 0.2', {}, 'line 1 of .*a.txt is neither YOLO .* nor DOTA'),
        ('a.txt', '0 0.5 0.5 0.2 0.2 0.9', {}, 'is neither YOLO'),
        ('a.txt', '0 50 50 20 20', {}, 'YOLO has shares of the width and the height, got 50'),
        ('a.txt', '0.5 0.5 0.5 0.2 0.2', {}, "begins with the number of a class, got '0.5'"),
        ('a.txt', '0 0.5 0.5 0.2 0.2\n0 0.9 0.9 0.5 0.5', {}, 'line 2 of .* or up to a pixel|a box lies'),
        ('a.txt', '3 0.5 0.5 0.2 0.2', {'class_names': ('a', 'b')}, 'class 3, .* given for 0 to 1: a, b'),
        ('a.txt', '1 1 9 1 9 5 1 5 a 0\n1 1 9', {}, 'line 2 of .*: a line of DOTA has 8 coordinates'),
        ('a.txt', '', {}, 'holds no object in any of the 1 images'),
        ('b.txt', '0 0.5 0.5 0.2 0.2', {}, 'none of the 1 images that .* names is among the 1 images: it names b, and'),
        ('a.csv', f'{CSV}a.png,9,2,1,8,car', {}, 'line 2 of .*a.csv has xmin 9, ymin 2, xmax 1'),
        ('a.csv', f'{CSV}a.png,1,2,200,8,car', {}, 'in its image, .*a.png of 96 x 64 px'),
        ('a.csv', f'{CSV}a.png,0.1,0.2,0.9,0.8,a\na.png,0,0,1,1,a', {}, 'none goes beyond 1'),
        ('a.csv', f'{CSV}a.png,1,2,x,8,car', {}, 'line 2 of .* must hold four numbers.*got 1, 2, x, 8'),
        ('a.csv', f'{CSV}b.png,1,2,9,8,car', {}, 'none of the 1 images .* names b.png, and there are'),
        ('a.csv', 'a,b\n1,2', {}, 'needs columns for image and xmin, .* and has a, b; say which'),
        ('a.csv', f'{CSV}a,1,2,9,8,c', {'columns': {'label': 'z'}}, "no column 'z' for label, only image_path"),
        ('a.csv', f'{CSV}a,1,2,9,8,c', {'columns': {'z': 'z'}}, 'columns may name image, label'),
        ('a.csv', f'{CSV}a,1,2,9,8,c', {'columns': {'x': 'z'}}, 'columns of points need x, y and crs'),
        ('a.csv', f'{CSV}a,1,2,9,8,c', {'point_size': 3.0}, 'point_size goes with vector files'),
        ('a.csv', CSV, {'format': 'sheet'}, "format must be one of auto, .* got 'sheet'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(
    put: Put, open_labels: Open, name: str, text: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        open_labels(put(name, text), **options)
    assert '\n' not in str(caught.value)


def test_one_of_several_tables_may_lack_the_column_with_the_class(
    put: Put, open_labels: Open, tmp_path: Path
) -> None:
    box = 'image,xmin,ymin,xmax,ymax{}\na.png,{},1,9,9{}\n'
    put('1.csv', box.format('', 1, ''))
    put('2.csv', box.format(',label', 2, ',cat'))
    with pytest.warns(UserWarning, match='1 of 2 objects of .* have no label'):
        source = open_labels(tmp_path / 'labels')
    assert source.class_names == ('cat',)
    assert (objects := source.of(0)) is not None
    assert objects.ignored.tolist() == [True, False]


def test_two_formats_in_one_folder_are_told(put: Put, open_labels: Open, tmp_path: Path) -> None:
    put('a.txt', '0 0.5 0.5 0.25 0.5')
    put('a.tif.aux.xml', '<PAMDataset/>')
    folder = put('a.xml', VOC.format(hard=0, left=1))
    with pytest.raises(
        ValueError, match=r'labels must be of one format, .*a\.txt, 1 such as .*a\.xml'
    ):
        open_labels(folder)
    assert open_labels(folder, format='yolo').class_names == ('0',)
    with pytest.raises(FileNotFoundError, match='check labels'):
        open_labels(tmp_path / 'none.csv')
