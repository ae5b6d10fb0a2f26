import io
from functools import partial
from pathlib import Path
from random import Random

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gersp_geo.datasets.decoding import decode_image, draw_crop
from gersp_geo.geoio.read.reader import UnreadableFileError


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


@pytest.mark.parametrize('content', [b'', b'not an image', None])
def test_a_broken_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / 'broken.jpg'
    gradient(64, 64).save(file)
    file.write_bytes(file.read_bytes()[:300] if content is None else content)
    with pytest.raises(ValueError, match=r'broken\.jpg cannot be read as an image'):
        decode_image(file, size=8)


@pytest.mark.parametrize('bands', [1, 2, 3, 4])
def test_more_than_eight_bits_are_refused_rather_than_cut_off(tmp_path: Path, bands: int) -> None:
    values = np.full((bands, 8, 8), 4000, dtype='uint16')
    # Pillow reads colours of 16 bits, and writes none
    with rasterio.open(
        tmp_path / 'deep.png', 'w', driver='PNG', count=bands, height=8, width=8, dtype='uint16'
    ) as file:
        file.write(values)
    with pytest.raises(ValueError, match=r'deep\.png has more than 8 bits per band .*; convert it'):
        decode_image(tmp_path / 'deep.png', size=8)


def photograph(height: int, width: int) -> Image.Image:
    """Smooth enough that compression and resampling change little."""
    rows, columns = np.mgrid[:height, :width]
    pixels = np.stack([rows * 200 / height, columns * 200 / width, rows * 0 + 99], axis=2)
    return Image.fromarray(pixels.astype('uint8'))


@given(
    height=st.integers(1, 300), width=st.integers(1, 300), seed=st.integers(0, 2**20),
    smallest=st.floats(0.01, 1),
)  # fmt: skip
def test_crops_lie_inside_and_have_the_area_and_shape_asked_for(
    height: int, width: int, seed: int, smallest: float
) -> None:
    box = draw_crop(height, width, scale=(smallest, 1.0), generator=Random(seed))
    assert 0 <= box.top <= box.top + box.height <= height
    assert 0 <= box.left <= box.left + box.width <= width
    assert min(box.height, box.width) > 0
    ratio, share = box.width / box.height, box.height * box.width / (height * width)
    if min(box) > 30:
        assert 0.7 < ratio < 1.4
        # the fall back in a narrow image may be smaller
        assert share > 0.9 * smallest or max(height, width) / min(height, width) > 4 / 3


def test_crops_are_distributed_as_torchvisions() -> None:
    transforms = pytest.importorskip('torchvision.transforms')
    torch.manual_seed(0)
    image, scale, generator = torch.empty(3, 375, 500), (0.2, 1.0), Random(0)
    theirs = np.array(
        [transforms.RandomResizedCrop.get_params(image, scale, (3 / 4, 4 / 3)) for _ in range(3000)]
    )
    ours = np.array([draw_crop(375, 500, scale=scale, generator=generator) for _ in range(3000)])
    # five standard errors of a mean of 3000 differences
    tolerance = 5 * theirs.std(axis=0) * (2 / 3000) ** 0.5
    assert (np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < tolerance).all()
    np.testing.assert_allclose(ours.std(axis=0), theirs.std(axis=0), rtol=0.1)


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('suffix', ['jpg', 'png'])
def test_every_orientation_comes_out_as_pillow_turns_it(
    tmp_path: Path, orientation: int, suffix: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / f'a.{suffix}'
    photograph(60, 90).save(file, exif=exif, quality=95)
    turned = {1: lambda i: i, 2: lambda i: i.transpose(0), 3: lambda i: i.transpose(3),
              4: lambda i: i.transpose(1), 5: lambda i: i.transpose(5), 6: lambda i: i.transpose(4),
              7: lambda i: i.transpose(6), 8: lambda i: i.transpose(2)}[orientation]  # fmt: skip
    expected = np.array(turned(photograph(60, 90)))
    shape = expected.shape[:2]
    offsets = [(side - 60) // 2 for side in shape]
    square = expected[offsets[0] : offsets[0] + 60, offsets[1] : offsets[1] + 60]
    decoded = decode_image(file, size=60).permute(1, 2, 0).numpy()
    assert np.abs(decoded.astype(int) - square).max() <= 4


@pytest.mark.parametrize('mode', ['RGB', 'L'])
def test_a_jpeg_decoded_at_a_fraction_shows_the_same(tmp_path: Path, mode: str) -> None:
    photograph(1600, 2000).convert(mode).save(tmp_path / 'a.jpg', quality=95)
    photograph(1600, 2000).convert(mode).save(tmp_path / 'a.png')
    for seed in range(5):
        jpeg, png = (
            decode_image(
                tmp_path / f'a.{suffix}',
                size=100,
                crop=partial(draw_crop, scale=(0.2, 1), generator=Random(seed)),
            ).int()
            for suffix in ('jpg', 'png')
        )
        assert (jpeg - png).abs().max() <= 4


@pytest.mark.parametrize('keep', [0, 2, 200, 0.5, 0.95])
def test_a_jpeg_cut_off_anywhere_is_named(tmp_path: Path, keep: float) -> None:
    stored = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stored, 'JPEG')
    content = stored.getvalue()
    file = tmp_path / 'cut.jpg'
    file.write_bytes(content[: int(keep * len(content)) if 0 < keep < 1 else int(keep)])
    with pytest.raises(UnreadableFileError, match=r'cut\.jpg cannot be read as an image') as error:
        decode_image(file, size=64)
    assert error.value.file == str(file)
