from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gersp_geo.datasets.folders import ImageChips, NaturalImages, decode_image, find_images


def gradient(height: int = 8, width: int = 8) -> Image.Image:
    rows, columns = np.mgrid[:height, :width]
    pixels = np.stack([rows * 20, columns * 20, rows * 0 + 99], axis=2)
    return Image.fromarray(pixels.clip(0, 255).astype('uint8'))


def test_an_image_of_the_right_size_is_returned_as_stored(tmp_path: Path) -> None:
    gradient().save(tmp_path / 'a.png')
    expected = torch.from_numpy(np.array(gradient())).permute(2, 0, 1)
    assert torch.equal(decode_image(tmp_path / 'a.png', size=8), expected)


@pytest.mark.parametrize('mode', ['L', 'P', 'CMYK', 'RGBA', 'LA'])
def test_any_colour_mode_becomes_three_bands(tmp_path: Path, mode: str) -> None:
    suffix = 'jpg' if mode == 'CMYK' else 'png'
    gradient().convert(mode).save(tmp_path / f'a.{suffix}')
    image = decode_image(tmp_path / f'a.{suffix}', size=8)
    assert image.shape == (3, 8, 8)
    assert image.dtype == torch.uint8


def test_a_photograph_taken_sideways_comes_out_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: the camera was turned by 90 degrees
    gradient().save(tmp_path / 'a.png', exif=exif)
    upright = torch.from_numpy(np.array(gradient().rotate(-90))).permute(2, 0, 1)
    assert torch.equal(decode_image(tmp_path / 'a.png', size=8), upright)


@pytest.mark.parametrize(('height', 'width'), [(20, 31), (5, 4), (8, 9)])
def test_other_sizes_are_resized_and_cut_to_the_middle(
    tmp_path: Path, height: int, width: int
) -> None:
    gradient(height, width).save(tmp_path / 'a.png')
    assert decode_image(tmp_path / 'a.png', size=8).shape == (3, 8, 8)


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


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda folder: ImageChips(folder / 'none', size=8), 'no file or folder .*none'),
        (lambda folder: ImageChips(folder, size=8), r'no image \(.*\.jpg.*\) in '),
        (lambda folder: NaturalImages(folder / 'none', size=8), 'no folder .*none; give one with'),
        (lambda folder: NaturalImages(folder, size=8), "Couldn't find any class folder"),
    ],
)
def test_a_missing_or_empty_folder_is_named(tmp_path: Path, make, message: str) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    with pytest.raises(FileNotFoundError, match=message):
        make(tmp_path)


@pytest.mark.parametrize('content', [b'', b'not an image', None])
def test_a_broken_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / 'broken.jpg'
    gradient(64, 64).save(file)
    file.write_bytes(file.read_bytes()[:300] if content is None else content)
    with pytest.raises(ValueError, match=r'broken\.jpg cannot be read as an image'):
        decode_image(file, size=8)


def test_more_than_eight_bits_are_refused_rather_than_cut_off(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 4000, dtype='uint16')).save(tmp_path / 'deep.png')
    with pytest.raises(ValueError, match=r'deep\.png .* more than 8 bits per band; convert it'):
        decode_image(tmp_path / 'deep.png', size=8)
