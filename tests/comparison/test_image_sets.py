"""Images of three splits: whole, as stored, none of them in two."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional as F

from gersp_geo.comparison.image_files import resize_whole
from gersp_geo.comparison.image_sets import ImageSet
from gersp_geo.comparison.records import SplitName

SPLITS: tuple[SplitName, ...] = ('train', 'val', 'test')
pytestmark = pytest.mark.filterwarnings('ignore:Dataset has no geotransform')


def draw(path: Path, *, seed: int, size: tuple[int, int] = (6, 8)) -> None:
    """A picture of noise, which no other seed gives."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def fill(folder: Path, *, per_class: int = 10, classes: tuple[str, ...] = ('lake', 'road')) -> Path:
    for number, name in enumerate(classes):
        for i in range(per_class):
            draw(folder / name / f'{name}_{i}.png', seed=1000 * number + i)
    return folder


def write_tiff(path: Path, values: NDArray[Any], **profile: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = values.shape
    with rasterio.open(
        path, 'w', driver='GTiff', count=count, height=height, width=width, dtype=values.dtype,
        **profile,
    ) as dst:  # fmt: skip
        dst.write(values)


def names(images: ImageSet, split: SplitName) -> list[str]:
    return [Path(file).name for file in images.files(split)]


def test_a_drawn_split_has_its_share_of_each_class_and_no_image_twice(tmp_path: Path) -> None:
    begun: list[tuple[str, int]] = []
    done: list[int] = []

    def begin(text: str, total: int) -> Callable[[int], None]:
        begun.append((text, total))
        return done.append

    images = ImageSet(fill(tmp_path, per_class=20), size=4, seed=1, begin=begin)
    assert begun == [('reading files', 40)]
    assert sum(done) == 40
    assert [len(images.files(split)) for split in SPLITS] == [28, 6, 6]
    assert all(images.labels(split).bincount().unique().numel() == 1 for split in SPLITS)
    every = [file for split in SPLITS for file in images.files(split)]
    assert len(set(every)) == len(every) == 40
    assert '70 %' in images.note
    assert 'seed 1' in images.note
    assert names(images, 'test') == names(ImageSet(tmp_path, seed=1), 'test')
    assert names(images, 'test') != names(ImageSet(tmp_path, seed=2), 'test')


def test_equal_files_are_drawn_together(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    fill(tmp_path)
    for i in range(10):
        draw(tmp_path / 'road' / f'copy_{i}.png', seed=1000 + i)
    images = ImageSet(tmp_path)
    for split in SPLITS:
        held = [name.rpartition('_')[2] for name in names(images, split) if 'lake' not in name]
        assert all(held.count(number) == 2 for number in held)
    assert not recwarn.list


def test_folders_beside_those_of_splits_are_left_out_and_links_are_followed(tmp_path: Path) -> None:
    folder = tmp_path / 'images'
    for number, split in enumerate(('train', 'elsewhere', 'unlabelled')):
        for place, name in enumerate(('lake', 'road')):
            for i in range(3):
                draw(folder / split / name / f'{i}.png', seed=100 * number + 10 * place + i)
    (folder / 'elsewhere').rename(tmp_path / 'elsewhere')
    (folder / 'test').symlink_to(tmp_path / 'elsewhere')
    with pytest.warns(UserWarning, match='6 of 18 images lie in none of the folders test, train'):
        images = ImageSet(folder)
    assert [len(images.files(split)) for split in SPLITS] == [6, 0, 6]


@pytest.mark.parametrize('above', [True, False])
def test_folders_of_splits_lie_above_or_below_those_of_classes(tmp_path: Path, above: bool) -> None:
    for number, split in enumerate(('Train', 'validation', 'test')):
        for name in ('lake', 'road'):
            way = (split, name) if above else (name, split)
            draw(
                tmp_path.joinpath(*way, f'{split}-{name}.png'),
                seed=10 * number + len(name + way[0]),
            )
    images = ImageSet(tmp_path)
    assert images.classes == ('lake', 'road')
    assert names(images, 'val') == ['validation-lake.png', 'validation-road.png']
    assert images.labels('train').tolist() == [0, 1]


def test_without_validation_there_is_none(tmp_path: Path) -> None:
    fill(tmp_path / 'train', per_class=2)
    fill(tmp_path / 'test', per_class=1, classes=('road',))
    with pytest.warns(UserWarning, match=r'1 images are in two splits .* are the same file'):
        images = ImageSet(tmp_path)
    assert [len(images.files(split)) for split in SPLITS] == [4, 0, 1]
    assert images.labels('val').shape == (0,)


def write_table(path: Path, *rows: str) -> Path:
    path.write_text('\n'.join(rows))
    return path


def test_a_table_decides_and_says_what_it_leaves(tmp_path: Path) -> None:
    folder = fill(tmp_path / 'images', per_class=4)
    table = write_table(
        tmp_path / 'split.csv', 'filename,label,split', 'lake/lake_0.png,lake,train',
        'lake/lake_1.png,lake,Validation', 'lake/lake_2.png,lake,test', 'road/road_0.png,road,test',
        'road/road_9.png,road,train', '',
    )  # fmt: skip
    with pytest.warns(UserWarning, match='no image of road trains') as told:
        images = ImageSet(folder, split=table)
    messages = [str(warning.message) for warning in told]
    assert len(messages) == 3
    assert messages[0].startswith('1 of the 5 images that')
    assert messages[1].startswith('4 of the 8 images in')
    assert messages[2] == 'no image of road trains, so that few or none of theirs can be right'
    assert images.classes == ('lake', 'road')
    assert names(images, 'test') == ['lake_2.png', 'road_0.png']
    assert images.labels('test').tolist() == [0, 1]
    assert images.note == 'The split is that of split.csv.'


def test_bare_names_and_folders_for_labels_will_do(tmp_path: Path) -> None:
    folder = fill(tmp_path / 'images', per_class=2)
    rows = (f'{name}_{i},{"test" if i else "train"}' for name in ('lake', 'road') for i in (0, 1))
    images = ImageSet(folder, split=write_table(tmp_path / 's.csv', 'image_id,set', *rows))
    assert names(images, 'train') == ['lake_0.png', 'road_0.png']
    assert images.labels('test').tolist() == [0, 1]


def test_a_table_that_contradicts_folders_is_believed_aloud(tmp_path: Path) -> None:
    folder = fill(tmp_path / 'images', per_class=2)
    table = write_table(
        tmp_path / 's.csv', 'filename,label,split', 'lake_0.png,lake,train', 'lake_1.png,road,test',
        'road_0.png,road,train', 'road_1.png,road,test',
    )  # fmt: skip
    with pytest.warns(UserWarning, match=r'1 images lie in the folder of another class .* is road'):
        assert ImageSet(folder, split=table).labels('test').tolist() == [1, 1]


@pytest.mark.parametrize(
    ('rows', 'message'),
    [
        (['filename,label', 'lake_0.png,lake'], 'has no column for split, only filename, label'),
        (['filename,split', 'lake_0.png,held'], 'has the splits held; they must be train, val and'),
        (['filename,split', 'lake_0.png,train', 'lake_0.png,test'], 'is in train and test of'),
        (['filename,split', 'sea_0.png,train'], r'none of the 1 images that .* names is in'),
        (['filename,split', 'lake_0.png,train', 'lake_1.png,val'], 'no image tests; one of its'),
        (['filename,split', ',train'], 'must name its image, got an empty one'),
    ],
)
@pytest.mark.filterwarnings('ignore:.*are left out')
def test_tables_that_do_not_tell_are_refused(tmp_path: Path, rows: list[str], message: str) -> None:
    folder = fill(tmp_path / 'images', per_class=2)
    with pytest.raises(ValueError, match=message):
        ImageSet(folder, split=write_table(tmp_path / 's.csv', *rows))


def test_the_same_image_in_two_splits_is_a_leak(tmp_path: Path) -> None:
    folder = fill(tmp_path / 'images', per_class=3)
    (folder / 'lake' / 'twin.png').write_bytes((folder / 'lake' / 'lake_0.png').read_bytes())
    rows = [f'{n}_{i}.png,{split}' for n in ('lake', 'road') for i, split in enumerate(SPLITS)]
    table = write_table(tmp_path / 's.csv', 'filename,split', *rows, 'twin.png,test')
    with pytest.warns(
        UserWarning, match=r'^1 images are in two splits .*twin\.png \(test\) and .*'
    ):
        images = ImageSet(folder, split=table)
    assert [doubt for doubt in images.doubts if doubt.startswith('1 images are in two splits')]


def test_a_digest_follows_what_features_and_labels_follow_from(tmp_path: Path) -> None:
    folder = fill(tmp_path / 'a')
    first = ImageSet(folder).digest
    os.utime(folder / 'lake' / 'lake_0.png', (0, 0))
    moved = folder.rename(tmp_path / 'b')
    assert ImageSet(moved).digest == first
    assert ImageSet(moved, seed=5).digest != first
    draw(moved / 'lake' / 'lake_0.png', seed=99)
    assert ImageSet(moved).digest != first
    draw(moved / 'lake' / 'lake_0.png', seed=0)
    assert ImageSet(moved).digest == first


def test_a_digest_follows_what_a_vrt_refers_to(tmp_path: Path) -> None:
    folder, source = tmp_path / 'images', tmp_path / 'source.tif'
    values = np.arange(3 * 4 * 4, dtype=np.uint16).reshape(3, 4, 4)
    for i in range(8):
        write_tiff(folder / ('lake', 'road')[i % 2] / f'{i}.tif', values + i)
    write_tiff(source, values)
    rasterio.shutil.copy(source, folder / 'lake' / 'seen.vrt', driver='VRT')
    before = ImageSet(folder).digest
    assert ImageSet(folder).digest == before
    write_tiff(source, values[::-1])
    assert ImageSet(folder).digest != before


def test_whole_images_are_resized_as_the_benchmark_does_it(tmp_path: Path) -> None:
    images = ImageSet(fill(tmp_path), size=5)
    for split in SPLITS:
        stored = torch.from_numpy(np.array(Image.open(images.files(split)[0]))).permute(2, 0, 1)
        wanted = F.interpolate(
            stored[None].float(), size=(5, 5), mode='bilinear', align_corners=False
        )
        assert torch.equal(images.read(split, 0), wanted[0])
    batches = list(images.batches('train', batch_size=4))
    assert [len(batch) for batch in batches] == [4, 4, 4]
    assert torch.equal(torch.cat(batches)[9], images.read('train', 9))


@given(
    holes=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 5)), max_size=20),
    size=st.integers(1, 12),
)
def test_missing_pixels_change_none_that_are_seen(holes: list[tuple[int, int]], size: int) -> None:
    values = torch.full((2, 7, 6), 3.0)
    for row, col in holes:
        values[0, row, col] = torch.nan
    resized = resize_whole(values, size=size)
    seen = resized.isfinite()
    torch.testing.assert_close(resized[seen], torch.full_like(resized[seen], 3.0))
    assert seen[1].all()
    assert seen.all() or holes


@pytest.mark.parametrize('kind', ['nodata', 'nan', 'mask', 'alpha'])
def test_pixels_without_observation_are_nan(tmp_path: Path, kind: str) -> None:
    known: dict[str, dict[str, Any]] = {
        'nodata': {'nodata': 0},
        'alpha': {'photometric': 'RGB', 'ALPHA': 'YES'},
    }
    options = known.get(kind, {})
    dtype = 'float32' if kind == 'nan' else 'uint16'
    for number, name in enumerate(('lake', 'road')):
        for i in range(3):
            values = np.full((3, 4, 4), 100 + number, dtype=dtype)
            values[:, 0, 0] = np.nan if kind == 'nan' else 0
            if kind == 'alpha':
                opaque = np.full((1, 4, 4), 65535, dtype=dtype)
                opaque[:, 0, 0] = 0
                values = np.concatenate([values, opaque])
            path = tmp_path / name / f'{i}.tif'
            values[0, 1, 1] = i + 1
            write_tiff(path, values, **options)
            if kind == 'mask':
                with rasterio.open(path, 'r+') as dst:
                    dst.write_mask(values[0] > 0)
    images = ImageSet(tmp_path, size=4)
    assert len(images.bands) == 3
    read = images.read('test', 0)
    assert read[:, 0, 0].isnan().all()
    assert int(read.isnan().sum()) == 3
    mean, std = images.statistics()
    assert mean[1] == pytest.approx(100.5)
    assert std[1] == pytest.approx(0.5)


def test_statistics_are_those_of_the_training_pixels_as_stored(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for name in ('lake', 'road'):
        for i in range(8):
            sides = generator.integers(3, 9, 2)
            values = generator.integers(0, 10000, (13, *sides)).astype(np.uint16)
            values[10] = 7
            write_tiff(tmp_path / name / f'{i}.tif', values)
    images = ImageSet(tmp_path, size=4)
    pixels = [rasterio.open(file).read().reshape(13, -1) for file in images.files('train')]
    every = np.concatenate(pixels, axis=1).astype(np.float64)
    mean, std = images.statistics()
    np.testing.assert_allclose(mean, every.mean(axis=1))
    np.testing.assert_allclose(std, np.where(np.arange(13) == 10, 1, every.std(axis=1)))
    assert images.record().std[10] == 1
    assert images.dtype == 'uint16'
    chosen = ImageSet(tmp_path, bands=(4, 3, 2), size=4)
    assert torch.equal(chosen.read('test', 0), images.read('test', 0)[[3, 2, 1]])
    assert chosen.digest != images.digest


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            lambda f: write_tiff(f / 'lake' / 'x.tif', np.ones((3, 4, 4), np.uint8)),
            '1 rasters, one',
        ),
        (lambda f: draw(f / 'loose.png', seed=5), 'lie in no folder of a class'),
        (lambda f: (f / 'train').mkdir(), None),
    ],
)
@pytest.mark.filterwarnings('ignore:.*folders without any image')
def test_folders_that_are_no_data_set_are_refused(
    tmp_path: Path, change: Callable[[Path], object], message: str | None
) -> None:
    change(fill(tmp_path))
    if message is None:
        assert ImageSet(tmp_path).classes == ('lake', 'road')
        return
    with pytest.raises(ValueError, match=message):
        ImageSet(tmp_path)


def test_rasters_of_two_kinds_are_refused(tmp_path: Path) -> None:
    for i, dtype in enumerate((np.uint8, np.uint8, np.uint16)):
        write_tiff(tmp_path / 'lake' / f'{i}.tif', np.ones((3, 4, 4), dtype))
    with pytest.raises(ValueError, match=r'2\.tif has 3 bands of uint16, .* has 3 of uint8; give'):
        ImageSet(tmp_path)
    with pytest.raises(FileNotFoundError, match='no folder'):
        ImageSet(tmp_path / 'nothing')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match='no image'):
        ImageSet(tmp_path / 'empty')


def test_transparent_pixels_of_pictures_are_nan(tmp_path: Path) -> None:
    for name in ('lake', 'road'):
        for i in range(3):
            pixels = np.full((4, 4, 4), 10 * i + len(name), dtype=np.uint8)
            pixels[0, 0, 3] = 0
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / name / f'{name}{i}.png')
    read = ImageSet(tmp_path, size=4).read('train', 0)
    assert read[:, 0, 0].isnan().all()
    assert int(read.isnan().sum()) == 3
