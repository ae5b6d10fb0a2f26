"""Classes of whole images, by their folders and by tables."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.datasets import ImageFolder

from gersp_geo.datasets.raster_tiles import RasterTiles
from gersp_geo.labels.patch_classes import ClassOptions


def draw(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((4, 4, 3), dtype=np.uint8)).save(path)
    return path


def read(folder: Path, **options: Any) -> dict[str, str]:
    """The labels of each image, by the stem of its file."""
    images = RasterTiles(folder)
    labels = ClassOptions(**options).open(images, folder, splits={}, size=4, nodata=None)
    names = np.array(labels.class_names)
    return {
        Path(file).stem: ';'.join(names[flags])
        for file, flags, known in zip(images.files, labels.flags, labels.known, strict=True)
        if known
    }


NAMES = st.sampled_from(['2', '10', 'Wald', 'wald', 'a b', 'ü', 'x/y', 'x/z/1'])


@given(folders=st.lists(NAMES, min_size=2, unique_by=lambda name: name.split('/')[0]))
@pytest.mark.filterwarnings('ignore:.*look alike')
def test_folders_mean_what_they_mean_to_torchvision(
    folders: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp('classes')
    for number, name in enumerate(folders):
        draw(root / name / f'{number}.png')
    oracle = ImageFolder(str(root))
    images = RasterTiles(root)
    labels = ClassOptions().open(images, root, splits={}, size=4, nodata=None)
    assert labels.class_names == tuple(oracle.classes)
    assert dict(zip(images.files, labels.flags.argmax(axis=1), strict=True)) == dict(oracle.samples)


@pytest.mark.parametrize('pattern', ['{split}/{name}/1.png', '{name}/{split}/1.png'])
def test_folders_of_splits_are_no_classes(pattern: str, tmp_path: Path) -> None:
    for split in ('train', 'val'):
        for name in ('cat', 'dog'):
            draw(tmp_path / pattern.format(split=split, name=name))
    images = RasterTiles(tmp_path)
    splits = {'train': 'train', 'val': 'val'}
    labels = ClassOptions().open(images, tmp_path, splits=splits, size=4, nodata=None)
    assert labels.class_names == ('cat', 'dog')
    if pattern.startswith('{split}'):
        with pytest.raises(ValueError, match='are train, val, which are splits, no classes'):
            read(tmp_path)


def test_hidden_and_empty_folders_are_no_classes(tmp_path: Path) -> None:
    for name in ('cat', '.git', '__MACOSX', '@eaDir'):
        draw(tmp_path / name / f'{name}.png')
    (tmp_path / 'dog').mkdir()
    with pytest.warns(UserWarning, match='without any image, which count as no class: dog'):
        assert read(tmp_path) == {'cat': 'cat'}


def test_images_outside_of_classes_and_other_files_are_refused(tmp_path: Path) -> None:
    draw(tmp_path / 'cat' / '1.tif')
    draw(tmp_path / 'dog' / '1.png')
    with (
        pytest.warns(UserWarning, match='1 such as .*1.png, which are not'),
        pytest.raises(
            ValueError, match=r'one kind, got .tif as in .* and .png alone in the class dog'
        ),
    ):
        read(tmp_path)
    draw(tmp_path / 'loose.tif')
    with (
        pytest.warns(UserWarning, match='which are not'),
        pytest.raises(ValueError, match=r'1 of 2 images .* lie in no folder of a class'),
    ):
        read(tmp_path)


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Images 1, 2 and 3, and a table beside them."""
    for number in (1, 2, 3):
        draw(tmp_path / 'images' / f'{number}.png')
    return tmp_path


def table(folder: Path, text: str) -> dict[str, str]:
    path = folder / 'labels.csv'
    path.write_text(text)
    return {'labels': str(path)}


@pytest.mark.parametrize(
    ('text', 'options'),
    [
        ('image,label\n1.png,b\n2.png,a\n3,b\n', {}),
        ('Datei;Art\nimages/1.png;b\nimages/2.png;a\nimages/3.png;b\n',
         {'columns': {'image': 'Datei', 'label': 'Art'}}),
        ('filename,kind\n3.png,b\n1.png,b\n1.png,b\n2.png,a\n', {'attribute': 'kind'}),
    ],
)  # fmt: skip
def test_a_table_names_the_class_of_each_image(
    text: str, options: dict[str, Any], flat: Path
) -> None:
    assert read(flat / 'images', **table(flat, text), **options) == {'1': 'b', '2': 'a', '3': 'b'}


@pytest.mark.parametrize(
    ('text', 'options'),
    [
        ('image,labels\n1.png,a;b\n2.png, b ;\n3.png,b\n', {}),
        ('image,label\n1.png,b\n1.png,a\n2.png,b\n3.png,b\n', {}),
        ('image,labels\n1.png,a b\n2.png,b\n3.png,b\n', {'separator': ' '}),
        ('image,a,b\n1.png,1,1\n2.png,0,1\n3.png,0.0,True\n', {}),
        ('image,x,b,a\n1.png,?,1,1\n2.png,?,1,0\n3.png,?,1,0\n', {'class_names': ('a', 'b')}),
    ],
)
def test_a_table_names_several_labels(text: str, options: dict[str, Any], flat: Path) -> None:
    found = read(flat / 'images', **table(flat, text), multilabel=True, **options)
    assert found == {'1': 'a;b', '2': 'b', '3': 'b'}


def test_zeros_alone_are_no_label_and_nothing_is_unknown(flat: Path) -> None:
    zeros = table(flat, 'image,a,b\n1.png,0,0\n2.png,1,0\n')
    with pytest.warns(UserWarning, match='1 of 3 images|1 of the 3 images'):
        assert read(flat / 'images', **zeros, multilabel=True) == {'1': '', '2': 'a'}
    blank = table(flat, 'image,labels\n1.png,\n2.png,a\n3.png,a\n')
    with pytest.warns(UserWarning, match='1 of the 3 features .* no value'):
        assert read(flat / 'images', **blank, multilabel=True) == {'2': 'a', '3': 'a'}


@pytest.mark.parametrize(
    ('text', 'options', 'refusal'),
    [
        ('image,label\n1.png,a\n1.png,b\n', {}, '1 have several .*1.png has a, b'),
        ('image,label\n7.png,a\n8.png,b\n', {}, 'none of the 2 images'),
        ('image,a,b\n1.png,1,0\n', {}, 'needs a column with the class'),
        ('image,a,b\n1.png,1,2\n', {'multilabel': True}, "0 or 1 in the column 'b' .* got '2'"),
        ('name,label\n1.png,a\n', {}, 'needs a column with the names of images'),
        ('image,label\n1.png,a\n', {'attribute': 'kind'}, "no column 'kind' for label"),
        ('image,label\n1.png,a\n', {'class_names': ('b',)}, "holds 'a', which class_names lack"),
        ('image,label\n1.png,a\n', {'layer': 'x'}, 'layer goes with labels in a vector file'),
    ],
)
@pytest.mark.filterwarnings('ignore')
def test_tables_that_do_not_fit_are_refused(
    text: str, options: dict[str, Any], refusal: str, flat: Path
) -> None:
    with pytest.raises(ValueError, match=refusal) as error:
        read(flat / 'images', **table(flat, text), **options)
    assert '\n' not in str(error.value)


def test_missing_images_are_counted_and_joined_labels_are_noticed(flat: Path) -> None:
    some = table(flat, 'image,label\n1.png,a;b\n2.png,a\n9.png,b\n')
    with pytest.warns() as told:
        assert read(flat / 'images', **some) == {'1': 'a;b', '2': 'a'}
    lines = '\n'.join(str(warning.message) for warning in told)
    assert '1 of the 3 images' in lines
    assert "1 of 2 classes hold a ';', such as 'a;b'" in lines
