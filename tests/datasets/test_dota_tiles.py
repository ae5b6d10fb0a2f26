from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchgeo.datasets import DOTA

from gersp_geo.datasets.dota_tiles import (
    MIN_VISIBLE,
    PADDING,
    cut_boxes,
    cut_dota,
    cut_pixels,
    list_starts,
)
from tests.downstream.layouts import write_data_set


@given(st.integers(1, 3000), st.integers(1, 900), st.data())
def test_tiles_cover_a_side_and_are_flush_with_its_end(
    length: int, size: int, data: st.DataObject
) -> None:
    overlap = data.draw(st.integers(0, size - 1))
    starts = list_starts(length, size=size, overlap=overlap)
    assert starts[0] == 0
    assert starts[-1] == max(length - size, 0)
    steps = np.diff(starts)
    assert (steps > 0).all()
    assert (steps <= size - overlap).all()


def read_tiles(folder: Path, split: Any) -> dict[str, Any]:
    """Samples of torchgeo by the names of the tiles."""
    tiles = DOTA(folder, split, '1.0', 'horizontal')
    names = [Path(path).stem for path in tiles.sample_df['image_path']]
    return {name: tiles[i] for i, name in enumerate(names)}


def test_tiles_show_pixels_and_boxes_of_their_place(tmp_path: Path) -> None:
    root = write_data_set('dota', tmp_path / 'dota')
    folder = cut_dota(root, size=96, overlap=16)
    assert folder.name == 'tiles_96_80'
    whole: Any = DOTA(root, 'val', '1.0', 'horizontal')[0]
    found = read_tiles(folder, 'val')
    assert {name.partition('_')[2] for name in found if name.startswith('P0000')} == {
        f'{left}_{top}' for left in (0, 80, 104) for top in (0, 54)
    }
    seen = set()
    for name, tile in found.items():
        stem, left, top = name.split('_')
        if stem != 'P0000':
            continue
        rows, columns = slice(int(top), int(top) + 96), slice(int(left), int(left) + 96)
        assert torch.equal(tile['image'], whole['image'][:, rows, columns])
        place = torch.tensor([int(left), int(top)] * 2)
        for box, label in zip(tile['bbox_xyxy'] + place, tile['labels'], strict=True):
            # the edge of a tile cuts none by more than a tenth
            same = (whole['bbox_xyxy'] - box).abs().max(dim=1).values <= 4
            assert whole['labels'][same].tolist() == [int(label)]
            seen.add(int(label))
    assert seen == set(whole['labels'].tolist())


def test_small_images_are_padded_and_training_tiles_without_objects_left_out(
    tmp_path: Path,
) -> None:
    folder = cut_dota(write_data_set('dota', tmp_path / 'dota'), size=96, overlap=16)
    small = read_tiles(folder, 'val')['P0001_0_0']
    assert small['image'].shape == (3, 96, 96)
    assert small['image'][:, 50:].flatten(1).unique(dim=1).flatten().tolist() == [*PADDING]
    assert small['bbox_xyxy'].shape == (0, 4)
    trained = read_tiles(folder, 'train')
    assert 0 < len(trained) < 6
    assert all(len(tile['labels']) for tile in trained.values())


def test_what_was_cut_is_cut_once_and_what_was_not_finished_anew(tmp_path: Path) -> None:
    root = write_data_set('dota', tmp_path / 'dota')
    (root / 'tiles_96_80.partial' / 'train').mkdir(parents=True)
    folder = cut_dota(root, size=96, overlap=16)
    table = folder / 'samples.csv'
    before = table.stat().st_mtime_ns
    assert cut_dota(root, size=96, overlap=16) == folder
    assert table.stat().st_mtime_ns == before
    assert [path.name for path in root.glob('tiles*')] == ['tiles_96_80']
    with pytest.raises(ValueError, match=r'overlap must be in \[0, size=96\), got 96'):
        cut_dota(root, size=96, overlap=96)


def test_a_box_is_kept_by_the_share_that_is_seen() -> None:
    boxes = torch.tensor([[90.0, 0, 100, 10], [93, 0, 103, 10], [94, 0, 104, 10], [5, 5, 5, 9]])
    seen, cut = cut_boxes(boxes, top=0, left=0, size=100)
    assert MIN_VISIBLE == 0.7
    assert seen.tolist() == [True, True, False, False]
    assert cut.tolist() == [[90, 0, 100, 10], [93, 0, 100, 10]]


def test_pixels_beyond_the_image_are_padded() -> None:
    pixels = np.full((3, 4, 3), 7, dtype=np.uint8)
    tile = cut_pixels(pixels, top=0, left=0, size=5)
    assert (tile[:3, :4] == 7).all()
    assert (tile[3:] == PADDING).all()
    assert (tile[:, 4:] == PADDING).all()
