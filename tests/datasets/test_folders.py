import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.errors import NotGeoreferencedWarning

from gersp_geo.datasets.folders import ImageChips, NaturalImages, find_images
from gersp_geo.geoio.read.reader import UnreadableFileError


def gradient(height: int = 8, width: int = 8) -> Image.Image:
    rows, columns = np.mgrid[:height, :width]
    pixels = np.stack([rows * 20, columns * 20, rows * 0 + 99], axis=2)
    return Image.fromarray(pixels.clip(0, 255).astype('uint8'))


# beside one image each of 'ant' and 'zebra': what programs leave
HIDDEN = (
    'ant/0.png', 'zebra/deep/0.png', '.ipynb_checkpoints/0-checkpoint.png', '.git/a/1.png',
    '@eaDir/0.png', '__MACOSX/ant/0.png', 'ant/.ipynb_checkpoints/0-checkpoint.png', 'ant/._0.png',
    'zebra/deep/@eaDir/0.png/thumb.jpg', '#recycle/0.png', '$RECYCLE.BIN/0.png',
)  # fmt: skip


def test_files_are_found_in_sorted_order_at_any_depth(tmp_path: Path) -> None:
    for name in ('b/2.png', 'a.jpg', 'b/10.JPG'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        gradient().save(tmp_path / name)
    (tmp_path / 'notes.txt').write_text('not an image')
    found = [file.relative_to(tmp_path).as_posix() for file in find_images(tmp_path)]
    assert found == ['a.jpg', 'b/10.JPG', 'b/2.png']


def test_the_class_of_an_image_is_its_folder(tmp_path: Path) -> None:
    for name in ('zebra', 'ant'):
        (tmp_path / name).mkdir()
        gradient().save(tmp_path / name / '0.png')
    images = NaturalImages(tmp_path, size=8)
    assert images.classes == ['ant', 'zebra']
    assert [int(images[i]['label']) for i in range(len(images))] == [0, 1]


def test_hidden_folders_are_no_classes_and_hidden_files_no_images(tmp_path: Path) -> None:
    for name in HIDDEN:
        file = tmp_path / 'data' / name
        file.parent.mkdir(parents=True, exist_ok=True)
        gradient().save(file)
    (tmp_path / 'data' / '.idea').mkdir()
    # a folder may itself lie in a hidden one
    place = (tmp_path / 'data').rename(tmp_path / '.cache')
    images = NaturalImages(place, size=8)
    assert images.classes == ['ant', 'zebra']
    assert [(file.relative_to(place).as_posix(), label) for file, label in images.samples] == [
        ('ant/0.png', 0), ('zebra/deep/0.png', 1),
    ]  # fmt: skip
    # what is named is meant
    assert find_images(place / '.ipynb_checkpoints/0-checkpoint.png')


def test_an_empty_folder_is_no_class_and_is_named(tmp_path: Path) -> None:
    for name in ('ant', 'zebra'):
        (tmp_path / name).mkdir()
        gradient().save(tmp_path / name / '0.png')
    (tmp_path / 'bee').mkdir()
    (tmp_path / 'bee' / '.DS_Store').touch()
    with pytest.warns(UserWarning, match='folders without any file, which count as no class: bee$'):
        images = NaturalImages(tmp_path, size=8)
    assert images.classes == ['ant', 'zebra']
    assert [label for _, label in images.samples] == [0, 1]
    # there is something, but nothing that can be read
    (tmp_path / 'bee' / '0.heic').touch()
    with pytest.raises(FileNotFoundError, match=r'no image .* in .*bee'):
        NaturalImages(tmp_path, size=8)


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda folder: ImageChips(folder / 'none', size=8), 'none does not exist; check the path'),
        (lambda folder: ImageChips(folder, size=8), r'no image \(.*\.jpg.*\.tif.*\) in '),
        (lambda folder: NaturalImages(folder / 'none', size=8), 'no folder .*none; give one with'),
        (
            lambda folder: NaturalImages(folder, size=8),
            r'no class in .*; give a folder with a sub-folder per class',
        ),
    ],
)
def test_a_missing_or_empty_folder_is_named(tmp_path: Path, make, message: str) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    with pytest.raises(FileNotFoundError, match=message):
        make(tmp_path)


def write_tiff(path: Path, pixels: np.ndarray) -> Path:
    profile = {'driver': 'GTiff', 'count': len(pixels), 'dtype': pixels.dtype}
    with warnings.catch_warnings():
        # that there is no georeference is the point
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        with rasterio.open(
            path, 'w', height=pixels.shape[1], width=pixels.shape[2], **profile
        ) as dst:
            dst.write(pixels)
    return path


@pytest.mark.filterwarnings('ignore::rasterio.errors.NotGeoreferencedWarning')
@pytest.mark.parametrize('dtype', ['uint8', 'uint16', 'float32'])
def test_tiff_chips_need_no_georeference_and_keep_bands_and_dtype(
    tmp_path: Path, dtype: str
) -> None:
    pixels = np.random.default_rng(0).integers(0, 250, (5, 8, 8)).astype(dtype)
    for name in ('a', 'b'):
        write_tiff(tmp_path / f'{name}.tif', pixels)
    chips = ImageChips(tmp_path, size=8)
    assert chips.bands == ('band_1', 'band_2', 'band_3', 'band_4', 'band_5')
    np.testing.assert_array_equal(chips[1]['image'].numpy(), pixels)
    chosen = ImageChips(tmp_path, size=8, bands=[4, 2])
    assert chosen.bands == ('band_4', 'band_2')
    np.testing.assert_array_equal(chosen[0]['image'].numpy(), pixels[[3, 1]])
    assert ImageChips(tmp_path, size=4)[0]['image'].shape == (5, 4, 4)
    assert ImageChips(tmp_path, size=11)[0]['image'].shape == (5, 11, 11)


@pytest.mark.filterwarnings('ignore::rasterio.errors.NotGeoreferencedWarning')
def test_chips_that_do_not_fit_the_first_one_are_named(tmp_path: Path) -> None:
    write_tiff(tmp_path / 'a.tif', np.ones((3, 8, 8), dtype='uint16'))
    write_tiff(tmp_path / 'b.tif', np.ones((3, 8, 8), dtype='uint8'))
    write_tiff(tmp_path / 'c.tif', np.ones((2, 8, 8), dtype='uint16'))
    (tmp_path / 'd.tif').write_text('not a raster')
    chips = ImageChips(tmp_path, size=8)
    with pytest.raises(ValueError, match=r'b\.tif has 3 bands of uint8'):
        chips[1]
    with pytest.raises(ValueError, match=r'c\.tif has 2 bands of uint16, band 3 '):
        chips[2]
    with pytest.raises(UnreadableFileError, match=r'd\.tif is not a raster'):
        chips[3]
    gradient().save(tmp_path / 'e.png')
    with pytest.raises(
        ValueError, match='chips must be of one kind, got 4 TIFF files and 1 others'
    ):
        ImageChips(tmp_path, size=8)
    with pytest.raises(ValueError, match='bands are for TIFF files'):
        ImageChips(tmp_path / 'e.png', size=8, bands=[1])
