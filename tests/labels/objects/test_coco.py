"""COCO files: masks as pycocotools has them, and what their records mean."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask
from rasterio.transform import Affine

from gersp_geo.geoio.vector import burn
from gersp_geo.labels.objects import ObjectSource
from gersp_geo.labels.objects.rle import outline_runs, read_runs

type Scene = Callable[..., Path]
type Open = Callable[..., ObjectSource]


@given(st.data(), st.integers(1, 12), st.integers(1, 12))
def test_runs_are_the_masks_of_pycocotools(data: st.DataObject, height: int, width: int) -> None:
    mask = data.draw(arrays(np.uint8, (height, width), elements=st.integers(0, 1)))
    text = coco_mask.encode(np.asfortranarray(mask))['counts'].decode()
    runs = read_runs(text)
    plain = {'size': [height, width], 'counts': runs}
    assert coco_mask.frPyObjects(plain, height, width)['counts'].decode() == text
    outline = outline_runs(runs, height=height, width=width)
    assert outline.is_valid
    assert outline.area == mask.sum()
    drawn = burn(
        np.array([outline]), [1], transform=Affine.identity(), height=height, width=width, fill=0
    )
    np.testing.assert_array_equal(drawn, mask)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=130), max_size=12))
def test_any_text_is_runs_or_refused(text: str) -> None:
    # nothing else is raised, and nothing ends the process
    try:
        outline = outline_runs(read_runs(text), height=5, width=7)
    except ValueError as error:
        assert '\n' not in str(error)  # noqa: PT017 (either outcome is right)
    else:
        assert outline.is_valid
        assert outline.area <= 35


def content(**changes: Any) -> dict[str, Any]:
    whole = {
        'images': [{'id': 1, 'file_name': 'a.png', 'width': 96, 'height': 64}],
        'categories': [{'id': 0, 'name': 'ship'}, {'id': 5, 'name': 'Car'}],
        'annotations': [
            {'id': 10, 'image_id': 1, 'category_id': 5, 'bbox': [10, 20, 30, 40]},
            {
                'id': 11, 'image_id': 1, 'category_id': 0, 'iscrowd': 1, 'bbox': [0, 0, 2, 2],
                'segmentation': {'size': [64, 96], 'counts': [0, 2, 62, 2, 64 * 96 - 66]},
            },
        ],
    }  # fmt: skip
    return whole | changes


@pytest.fixture
def read(scene: Scene, open_labels: Open, tmp_path: Path) -> Callable[..., ObjectSource]:
    scene('a.png')

    def write_and_read(found: Any, **options: Any) -> ObjectSource:
        path = tmp_path / 'labels.json'
        path.write_text(found if isinstance(found, str) else json.dumps(found))
        return open_labels(path, **options)

    return write_and_read


def test_records_are_objects_in_the_order_of_categories(
    read: Callable[..., ObjectSource], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level('INFO', logger='lightning.pytorch')
    source = read(content())
    objects = source.of(0)
    assert objects is not None
    assert source.class_names == ('ship', 'Car')
    assert objects.bounds.tolist() == [[10, 20, 40, 60], [0, 0, 2, 2]]
    assert objects.classes.tolist() == [1, 0]
    assert objects.ignored.tolist() == [False, True]
    assert 'labels begin at 1: ship = 1, Car = 2' in caplog.text


def test_images_that_are_missing_or_not_named_are_said(
    read: Callable[..., ObjectSource], scene: Scene
) -> None:
    scene('b.png')
    scene('c.png')
    images = [{'id': i, 'file_name': f'{name}.png'} for i, name in enumerate('zaby')]
    with pytest.warns(UserWarning, match='are left out') as said:
        source = read(content(images=images))
    texts = ' | '.join(str(one.message) for one in said)
    assert '2 of the 4 images that' in texts
    assert 'not among the images: z.png, y.png' in texts
    assert '1 of 3 images are left out' in texts
    first, second, third = (source.of(tile) for tile in range(3))
    assert [len(objects) for objects in (first, second) if objects is not None] == [2, 0]
    assert third is None


def record(**changes: Any) -> dict[str, Any]:
    return content(annotations=[content()['annotations'][0] | changes])


def test_files_beside_their_images_may_name_these_alike(
    scene: Scene, open_labels: Open, tmp_path: Path
) -> None:
    for left, split in enumerate(('train', 'val')):
        scene(f'{split}/a.png')
        found = content(annotations=[content()['annotations'][0] | {'bbox': [left, 2, 5, 5]}])
        for record in found['annotations']:
            record.pop('segmentation', None)
        (tmp_path / 'images' / split / 'labels.json').write_text(json.dumps(found))
    source = open_labels(sorted((tmp_path / 'images').glob('*/labels.json')))
    for tile in range(2):
        assert (objects := source.of(tile)) is not None
        assert objects.bounds.tolist() == [[tile, 2, tile + 5, 7]]


@pytest.mark.parametrize(
    ('found', 'message'),
    [
        ('{"images": [\n}', r'labels.json is no JSON: .* in line 2'),
        ('[' * 100_000, 'labels.json is no JSON'),
        ([1], 'is no COCO JSON of objects: it needs a list of images'),
        (content(annotations=None), 'it needs a list of annotations, and has images'),
        (content(images=[{'id': 1, 'file_name': 'x.png'}]), 'none of the 1 images that .* names x.png'),
        (content(images=[{'id': 1, 'file_name': 'a.png', 'width': 5, 'height': 9}]), '96 x 64 px, and'),
        (content(images=content()['images'] * 2), 'lists the image a.png more than once'),
        (content(categories=[{'id': i, 'name': 'a'} for i in (0, 5)]), "two categories named 'a'"),
        (content(annotations=[]), 'holds no object in any of the 1 images'),
        (record(image_id=9), 'annotation 10 of .* is of image 9, which is not listed'),
        (record(category_id=1), 'has category 1; there are 0, 5'),
        (record(bbox=[10, 20, 0, 5]), 'xmin < xmax .*annotation 10 of .* xmin 10, ymin 20, xmax 10'),
        (record(bbox=[10, 20, 'x', 5]), 'an outline that cannot be read'),
        (record(bbox=[10, 20, float('nan'), 5]), 'a box has xmin < xmax'),
        (record(bbox=[10, 20, 88, 5]), 'a box lies in its image, or up to a pixel beyond'),
        (record(segmentation=[[1, 2, 3, 4]]), 'an outline that cannot be read'),
        (record(segmentation=[[200, 0, 210, 0, 210, 9]]), 'an outline covers some of its image'),
        (record(segmentation={'size': [9, 9], 'counts': 'a'}), 'its mask has 9 x 9 px'),
        (record(segmentation={'size': [64, 96], 'counts': [1, 2]}), 'must add up to 6144, got 3'),
        (record(bbox=None), 'neither bbox nor segmentation'),
        (record(bbox=[[1], {}, 0, 5]), 'an outline that cannot be read'),
        (record(image_id=[1]), 'needs a number as image_id, got '),
        (record(segmentation={'size': [64, 96], 'counts': [float('inf')]}), 'cannot be read'),
        (record(iscrowd=1), 'all 1 objects of .* are ignored|has no value'),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(
    read: Callable[..., ObjectSource], found: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read(found)
    assert '\n' not in str(caught.value)


def test_names_choose_another_order_and_cover_all(read: Callable[..., ObjectSource]) -> None:
    assert read(content(), class_names=('Car', 'ship')).class_names == ('Car', 'ship')
    with pytest.raises(ValueError, match="holds 'Car', which class_names lack: 'car'"):
        read(content(), class_names=('car', 'ship'))


def test_the_outline_counts_where_a_box_differs(read: Callable[..., ObjectSource]) -> None:
    ring = [[1, 1, 5, 1, 5, 5]]
    with pytest.warns(UserWarning, match='1 of 1 annotations .* not that of their segmentation'):
        objects = read(record(segmentation=ring)).of(0)
    assert objects is not None
    assert objects.bounds.tolist() == [[1, 1, 5, 5]]


def test_files_of_several_splits_are_read_together(
    read: Callable[..., ObjectSource], scene: Scene, open_labels: Open, tmp_path: Path
) -> None:
    scene('b.png')
    folder = tmp_path / 'annotations'
    folder.mkdir()
    for name in 'ab':
        # each file numbers its images anew
        found = content(images=[{'id': 1, 'file_name': f'{name}.png'}])
        (folder / f'instances_{name}.json').write_text(json.dumps(found))
    source = open_labels(folder)
    assert [len(objects) for i in range(2) if (objects := source.of(i)) is not None] == [2, 2]
    other = content(images=[], annotations=[], categories=[{'id': 0, 'name': 'boat'}])
    (folder / 'instances_c.json').write_text(json.dumps(other))
    with pytest.raises(
        ValueError, match=r"category 0 is 'ship' and 'boat' in .*; number them alike"
    ):
        open_labels(folder)
