"""One scene or many."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from torch import Tensor

from gersp_geo.inference.dispatch import plan, predict
from gersp_geo.inference.scenes import find_scenes
from gersp_geo.records import Preprocessing

RECORD = Preprocessing(bands=('grey',), scale=(1.0,), mean=(0.0,), std=(1.0,))
OPTIONS: dict[str, Any] = {
    'preprocessing': RECORD, 'size': 32, 'overlap': 8, 'output': 'values', 'progress': False,
}  # fmt: skip


def identity(images: Tensor) -> Tensor:
    return images


def write(path: Path, value: int) -> Path:
    path.parent.mkdir(exist_ok=True)
    with rasterio.open(
        path, 'w', driver='GTiff', height=40, width=50, count=1, dtype='uint8',
        crs='EPSG:32632', transform=Affine(1, 0, 4e5, 0, -1, 5e6),
    ) as dst:  # fmt: skip
        dst.write(np.full((1, 40, 50), value, dtype='uint8'))
    return path


def value_of(path: Path) -> int:
    with rasterio.open(path) as src:
        pixels = src.read()
    assert pixels.max() - pixels.min() < 1e-5
    return round(float(pixels.max()))


def test_a_folder_is_predicted_into_a_folder(tmp_path: Path) -> None:
    for number in range(1, 4):
        write(tmp_path / 'scenes' / f's{number}.tif', number)
    (tmp_path / 'scenes' / 'notes.txt').write_text('no raster')
    summary = predict('maps', identity, [tmp_path / 'scenes'], tmp_path / 'maps', **OPTIONS)
    assert [value_of(tmp_path / 'maps' / f's{n}.tif') for n in range(1, 4)] == [1, 2, 3]
    assert not summary.failures
    assert '3 of 3 scenes predicted' in str(summary)


def test_one_file_is_predicted_into_one_file(tmp_path: Path) -> None:
    scene = write(tmp_path / 'scene.tif', 7)
    predict('maps', identity, [scene], tmp_path / 'map.tif', **OPTIONS)
    assert value_of(tmp_path / 'map.tif') == 7


def test_a_folder_of_one_scene_is_still_a_folder(tmp_path: Path) -> None:
    write(tmp_path / 'scenes' / 'only.tif', 7)
    predict('maps', identity, [tmp_path / 'scenes'], tmp_path / 'maps', **OPTIONS)
    assert value_of(tmp_path / 'maps' / 'only.tif') == 7


def test_a_scene_that_fails_does_not_stop_the_others_and_is_named(tmp_path: Path) -> None:
    write(tmp_path / 'scenes' / 'a.tif', 1)
    (tmp_path / 'scenes' / 'b.tif').write_bytes(b'no raster at all')
    write(tmp_path / 'scenes' / 'c.tif', 3)
    summary = predict('maps', identity, [tmp_path / 'scenes'], tmp_path / 'maps', **OPTIONS)
    assert sorted(path.name for path in (tmp_path / 'maps').iterdir()) == ['a.tif', 'c.tif']
    ((scene, reason),) = summary.failures
    assert scene.endswith('b.tif')
    assert 'is not a raster that GDAL can read' in reason
    assert '2 of 3 scenes predicted' in str(summary)
    assert f'failed   {scene}: ' in str(summary)


def test_a_single_scene_that_fails_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'absent\.tif does not exist'):
        predict('maps', identity, [tmp_path / 'absent.tif'], tmp_path / 'map.tif', **OPTIONS)


def test_patterns_folders_and_names_are_expanded_once(tmp_path: Path) -> None:
    scenes = [str(write(tmp_path / name, 1)) for name in ('a.tif', 'b.tif', 'c.vrt')]
    assert find_scenes([str(tmp_path / '*.tif')]) == scenes[:2]
    assert find_scenes([tmp_path]) == scenes
    assert find_scenes([scenes[1], str(tmp_path / '?.tif')]) == [scenes[1], scenes[0]]
    assert find_scenes(['/vsicurl/https://host/a.tif']) == ['/vsicurl/https://host/a.tif']


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path: Path) -> None:
    scene = write(tmp_path / 'scene [1].tif', 5)
    predict('maps', identity, [scene], tmp_path / 'map.tif', **OPTIONS)
    assert value_of(tmp_path / 'map.tif') == 5


@pytest.mark.parametrize('source', ['*.tif', '.'])
def test_where_there_is_no_scene_that_is_said(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match='holds no raster'):
        find_scenes([source])


def test_a_picture_that_exists_is_refused_before_any_work(tmp_path: Path) -> None:
    scene = write(tmp_path / 'scene.tif', 1)
    (tmp_path / 'map.png').write_text('precious')
    with pytest.raises(FileExistsError, match=r'map\.png exists'):
        predict(
            'maps', identity, [scene], tmp_path / 'map.tif', preview=tmp_path / 'map.png', **OPTIONS
        )
    assert not (tmp_path / 'map.tif').exists()


def test_two_scenes_of_one_name_are_refused_before_any_work(tmp_path: Path) -> None:
    scenes = [write(tmp_path / name / 'scene.tif', 1) for name in ('one', 'two')]
    with pytest.raises(ValueError, match='would both become'):
        predict('maps', identity, scenes, tmp_path / 'maps', **OPTIONS)
    assert not (tmp_path / 'maps').exists()


def test_every_scene_has_its_plan(tmp_path: Path) -> None:
    scenes = [write(tmp_path / name, 1) for name in ('a.tif', 'b.tif')]
    (tmp_path / 'c.tif').write_text('no raster')
    scenes.append(tmp_path / 'c.tif')
    text, complete = plan('maps', identity, scenes, tmp_path / 'maps', **OPTIONS)
    assert all(str(scene) in text for scene in scenes)
    assert 'failed' in text
    assert not complete
    assert not (tmp_path / 'maps').exists()
