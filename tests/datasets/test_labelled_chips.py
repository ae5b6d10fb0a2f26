"""Labelled images are read and split alike in every run."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin
from torch import Tensor

from gersp_geo.datasets.labelled_chips import LabelledChips, split_by_class


def write_chip(
    path: Path, pixels: np.ndarray, *, nodata: float | None = None, alpha: bool = False
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    bands, height, width = pixels.shape
    with rasterio.open(
        path,
        'w',
        driver='GTiff',
        count=bands,
        height=height,
        width=width,
        dtype=pixels.dtype,
        nodata=nodata,
        crs='EPSG:32633',
        transform=from_origin(5e5, 5e6, 10, 10),
    ) as dst:
        if alpha:
            dst.colorinterp = [*[ColorInterp.gray] * (bands - 1), ColorInterp.alpha]
        dst.write(pixels)


def numbered(bands: int, rows: int, cols: int) -> np.ndarray:
    return np.arange(bands * rows * cols, dtype=np.uint16).reshape(bands, rows, cols)


def test_of_a_chip_the_middle_is_read_as_stored(tmp_path: Path) -> None:
    pixels = numbered(13, 10, 12)
    for name in ('a', 'b'):
        write_chip(tmp_path / name / '0.tif', pixels)
    chips = LabelledChips(tmp_path, size=4)
    assert chips.classes == ['a', 'b']
    assert chips.labels.tolist() == [0, 1]
    np.testing.assert_array_equal(chips.read(1).numpy(), pixels[:, 3:7, 4:8])


def test_a_chip_that_is_too_small_is_mirrored(tmp_path: Path) -> None:
    pixels = numbered(2, 4, 4)
    write_chip(tmp_path / 'a' / '0.tif', pixels)
    found = LabelledChips(tmp_path, size=6).read(0).numpy()
    np.testing.assert_array_equal(found, np.pad(pixels, ((0, 0), (1, 1), (1, 1)), mode='reflect'))


def test_alpha_is_no_band(tmp_path: Path) -> None:
    write_chip(tmp_path / 'a' / '0.tif', numbered(3, 4, 4), alpha=True)
    chips = LabelledChips(tmp_path, size=4)
    assert chips.bands == [1, 2]
    assert chips.read(0).shape == (2, 4, 4)


def test_missing_floats_are_nan(tmp_path: Path) -> None:
    pixels = numbered(3, 4, 4).astype(np.float32)
    pixels[:, 0, 0] = -1
    write_chip(tmp_path / 'a' / '0.tif', pixels, nodata=-1)
    found = LabelledChips(tmp_path, size=4).read(0)
    assert found[:, 0, 0].isnan().all()
    assert not found[:, 1:].isnan().any()


def test_ordinary_images_are_resized(tmp_path: Path) -> None:
    (tmp_path / 'a').mkdir()
    Image.new('RGB', (30, 20), (1, 2, 3)).save(tmp_path / 'a' / '0.png')
    chips = LabelledChips(tmp_path, size=8)
    assert chips.bands == [1, 2, 3]
    assert chips.read(0).shape == (3, 8, 8)
    assert chips.read(0)[:, 0, 0].tolist() == [1, 2, 3]


def test_images_of_two_kinds_or_sensors_are_refused(tmp_path: Path) -> None:
    write_chip(tmp_path / 'a' / '0.tif', numbered(2, 4, 4))
    write_chip(tmp_path / 'a' / '1.tif', numbered(3, 4, 4))
    with pytest.raises(ValueError, match=r'1\.tif has 3 bands, .*0\.tif has 2'):
        LabelledChips(tmp_path, size=4).read(1)
    Image.new('RGB', (4, 4)).save(tmp_path / 'a' / '0.png')
    with pytest.raises(ValueError, match='holds both images'):
        LabelledChips(tmp_path, size=4)


def test_an_empty_class_is_refused(tmp_path: Path) -> None:
    write_chip(tmp_path / 'a' / '0.tif', numbered(2, 4, 4))
    (tmp_path / 'b').mkdir()
    with pytest.raises(FileNotFoundError, match=r'no image .* in .*b'):
        LabelledChips(tmp_path, size=4)


def make_labels(counts: list[int]) -> Tensor:
    return torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))


@given(
    counts=st.lists(st.integers(2, 40), min_size=2, max_size=6),
    held_out=st.floats(0.01, 0.99),
    limit=st.none() | st.integers(2, 50),
)
def test_each_class_is_on_both_sides_in_its_share(
    counts: list[int], held_out: float, limit: int | None
) -> None:
    labels = make_labels(counts)
    bank, held = split_by_class(labels, held_out=held_out, limit=limit)
    assert not set(bank) & set(held)
    used = [min(count, limit or count) for count in counts]
    assert len(bank) + len(held) == sum(used)
    for label, count in enumerate(used):
        kept = int((labels[held] == label).sum())
        assert 1 <= kept <= count - 1
        assert abs(kept - held_out * count) <= 1
    assert split_by_class(labels, held_out=held_out, limit=limit) == (bank, held)


def test_another_class_leaves_the_split_of_the_others_alone() -> None:
    bank, held = split_by_class(make_labels([9, 8]), held_out=0.25)
    more_bank, more_held = split_by_class(make_labels([9, 8, 7]), held_out=0.25)
    assert [row for row in more_bank if row < 17] == bank
    assert [row for row in more_held if row < 17] == held
