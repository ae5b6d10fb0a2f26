"""Images that are shared between the splits by their folders."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine, from_origin

from gersp_geo.datamodules import GeoTIFFSegmentationDataModule
from gersp_geo.datamodules.folder_split import find_split

GRID = from_origin(500_000, 5_000_000, 2, 2)
FOLDERS = {'train': 'train', 'val': 'valid', 'test': 'test'}

type Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def image(name: str, *, column: int = 0, place: bool = True) -> None:
        generator = np.random.default_rng(len(name))
        crs: Any = {'crs': 'EPSG:32633', 'transform': GRID @ Affine.translation(column, 0)}
        profile = {'driver': 'GTiff', 'height': 48, 'width': 48, 'dtype': 'uint8'} | (
            crs if place else {}
        )
        for folder, count, high in (('images', 3, 255), ('masks', 1, 2)):
            path = tmp_path / folder / f'{name}.tif'
            path.parent.mkdir(parents=True, exist_ok=True)
            with rasterio.open(path, 'w', count=count, **profile) as dst:
                dst.write(generator.integers(0, high, (count, 48, 48), dtype=np.uint8))

    return image


def module(folder: Path, **options: Any) -> GeoTIFFSegmentationDataModule:
    small: dict[str, Any] = {'size': 16, 'block_size': 16, 'folders': FOLDERS}
    datamodule = GeoTIFFSegmentationDataModule(
        str(folder / 'images'), str(folder / 'masks'), **small | options
    )
    datamodule.setup('fit')
    return datamodule


def test_each_image_is_in_the_split_of_its_folder(tmp_path: Path, write: Write) -> None:
    for i, name in enumerate(('train/a', 'train/b', 'valid/c', 'test/d', 'other/e')):
        write(name, column=100 * i)
    with pytest.warns(UserWarning, match=r'1 of 5 images lie in none of the folders .*/other/e'):
        datamodule = module(tmp_path)
    assert datamodule.splits is not None
    names = [Path(file).stem for file in datamodule.scan().tiles.images.files]
    for split, expected in (('train', 'ab'), ('val', 'c'), ('test', 'd')):
        blocks = [datamodule.scan().blocks[i] for i in getattr(datamodule.splits.blocks, split)]
        assert {names[block.tile] for block in blocks} == set(expected)
    assert len(datamodule.test_dataloader()) > 0
    state = datamodule.state_dict()
    assert state['folders'] == FOLDERS
    datamodule.load_state_dict(state)
    for folders in (None, {'train': 'valid', 'val': 'train'}):
        with pytest.raises(ValueError, match=r'was trained with folders=.* would be validated'):
            datamodule.load_state_dict({**state, 'folders': folders})


def test_images_of_two_folders_on_the_same_ground_are_told(tmp_path: Path, write: Write) -> None:
    write('train/a')
    write('valid/b', column=20)
    write('test/c', column=500)
    with pytest.warns(UserWarning, match=r'train/a.tif \(train\) and .*valid/b.tif \(val\) show'):
        module(tmp_path)


@pytest.mark.parametrize(
    ('folders', 'rule'),
    [
        ({'train': 'train'}, 'folders must name a folder of its own for train and val'),
        ({'train': 'a', 'val': 'a'}, 'folders must name a folder of its own for train and val'),
        ({'train': 'train', 'val': 'nowhere'}, "no image with a label lies in a folder 'nowhere'"),
    ],
)
def test_folders_that_do_not_make_a_split_are_told(
    tmp_path: Path, write: Write, folders: dict[str, str], rule: str
) -> None:
    write('train/a')
    with pytest.raises(ValueError, match=rule):
        module(tmp_path, folders=folders)


def test_the_nearest_folder_decides() -> None:
    assert find_split('/home/train/set/valid/a.tif', FOLDERS) == 'val'
    assert find_split('train/images/a.tif', FOLDERS) == 'train'
    assert find_split('images/train.tif', FOLDERS) is None


def test_the_table_of_the_split_says_where_each_block_lies(tmp_path: Path, write: Write) -> None:
    for i, name in enumerate(('train/a', 'valid/c', 'test/d')):
        write(name, column=100 * i)
    table = module(tmp_path).split_table()
    assert isinstance(table, geopandas.GeoDataFrame)
    assert table.crs == 'EPSG:32633'
    assert table.groupby('split').size().to_dict() == {'train': 9, 'val': 9, 'test': 9}
    assert table['labels'].sum() == 3 * 48 * 48
    # 48 x 48 pixels of 2 m
    assert table.geometry.area.sum() == 3 * 96 * 96
    left, _, _, top = table[table['split'] == 'val'].total_bounds
    assert (left, top) == (500_200, 5_000_000)


def test_images_without_a_place_have_no_table(tmp_path: Path, write: Write) -> None:
    for name in ('train/a', 'valid/c', 'test/d'):
        write(name, place=False)
    assert module(tmp_path).split_table() is None
