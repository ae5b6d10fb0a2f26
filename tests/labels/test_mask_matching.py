"""Which mask belongs to which image."""

import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gersp_geo.datasets.raster_tiles import RasterTiles
from gersp_geo.labels.mask_files import MaskFiles
from gersp_geo.labels.mask_matching import match_masks


def touch(root: Path, *names: str) -> list[str]:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return [str(root / name) for name in names]


@pytest.mark.parametrize(
    ('image', 'mask', 'parts'),
    [
        ('Tile 1/images/part_001.jpg', 'Tile 1/masks/part_001.png',
         {'/images/': '/masks/', '.jpg': '.png'}),
        ('train/123_sat.jpg', 'train/123_mask.png', {'_sat.jpg': '_mask.png'}),
        ('train/images/austin1.tif', 'train/gt/austin1.tif', {'/images/': '/gt/'}),
        ('images/images/a.tif', 'images/masks/a.tif', {'/images/': '/masks/'}),
        ('x/a.tif', 'x/a_label.tif', {'.tif': '_label.tif'}),
    ],
    ids=['Dubai', 'DeepGlobe', 'INRIA', 'last one', 'label'],
)  # fmt: skip
def test_paths_of_masks_follow_from_those_of_images(
    tmp_path: Path, image: str, mask: str, parts: dict[str, str]
) -> None:
    image_path, mask_path = touch(tmp_path, image, mask)
    assert match_masks([image_path], parts) == [mask_path]


@pytest.mark.parametrize(
    ('parts', 'error', 'message'),
    [
        ({'/scenes/': '/masks/'}, ValueError, "masks replaces '/scenes/', which is no part of"),
        ({'': 'x'}, ValueError, "masks replaces ''"),
        ({'a.tif': 'a.tif'}, ValueError, 'must change the path of each image'),
        ({'a.tif': 'b.tif'}, FileNotFoundError, 'b.tif for'),
    ],
)
def test_paths_that_lead_nowhere_are_named(
    tmp_path: Path, parts: dict[str, str], error: type[Exception], message: str
) -> None:
    images = touch(tmp_path, 'images/a.tif')
    with pytest.raises(error, match=re.escape(message)):
        match_masks(images, parts)


@pytest.mark.parametrize('word', ['mask', 'second date'])
def test_an_image_is_no_mask_of_itself(tmp_path: Path, word: str) -> None:
    images = touch(tmp_path, 'a.tif', 'b.tif')
    (tmp_path / 'link').symlink_to(tmp_path)
    for masks in (tmp_path, tmp_path / 'link' / 'b.tif'):
        with pytest.raises(ValueError, match=f'is an image too, and cannot be a {word}'):
            match_masks(images, masks, word=word)


def test_folders_hold_masks_of_the_same_names(tmp_path: Path) -> None:
    images = touch(tmp_path, 'images/a.jpg', 'images/b.jpg')
    masks = touch(tmp_path, 'masks/a.png', 'masks/b.png')
    assert match_masks(images, tmp_path / 'masks') == masks
    # previews beside GeoTIFFs are no masks
    tiffs = touch(tmp_path, 'masks/a.tif', 'masks/b.tif')
    with pytest.warns(UserWarning, match='2 such as .* which are not'):
        assert match_masks(images, tmp_path / 'masks') == tiffs
    with pytest.raises(FileNotFoundError, match=r"no mask named b .*masks=\{'/images/': '/masks/'"):
        match_masks(images, masks[:1])


def test_masks_beside_their_images_are_told_apart_by_a_pattern(tmp_path: Path) -> None:
    both = [save(tmp_path / 'train' / f'1_{kind}.png') for kind in ('mask', 'sat')]
    parts = {'_sat.png': '_mask.png'}
    with pytest.raises(ValueError, match=r'no part of .*1_mask\.png .* by a pattern such as'):
        MaskFiles(RasterTiles(str(tmp_path / 'train')), parts)
    assert RasterTiles(str(tmp_path / 'tr*')).files == both
    images = RasterTiles(str(tmp_path / 'train' / '*_sat.png'))
    assert MaskFiles(images, parts).files == both[:1]


def save(path: Path, size: tuple[int, int] = (8, 8)) -> str:
    path.parent.mkdir(exist_ok=True)
    Image.new('L', size, 1).save(path)
    return str(path)


def test_pictures_lie_on_each_other_by_their_size(tmp_path: Path) -> None:
    images = RasterTiles([save(tmp_path / 'images' / f'{name}.png') for name in 'ab'])
    masks: list[Any] = [save(tmp_path / 'masks' / f'{name}.png') for name in 'ab']
    assert MaskFiles(images, masks).files == masks
    with pytest.raises(FileNotFoundError, match='one for all images needs a place'):
        MaskFiles(images, save(tmp_path / 'all.png'))
    save(tmp_path / 'masks' / 'b.png', (8, 9))
    with pytest.raises(ValueError, match=r'b\.png .*differ in height: 9 and 8, and not both have'):
        MaskFiles(images, masks)
