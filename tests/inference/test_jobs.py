"""One scene or many."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from torch import Tensor

from gersp_geo.inference.jobs import plan, predict
from gersp_geo.inference.preview.quicklook import NO_OBSERVATION
from gersp_geo.inference.scenes import find_scenes, list_jobs
from gersp_geo.preprocessing import Preprocessing
from tests.inference.preview.pictures import read_panel

RECORD = Preprocessing(bands=('grey',), scale=(1.0,), mean=(0.0,), std=(1.0,))
OPTIONS: dict[str, Any] = {
    'preprocessing': RECORD, 'size': 32, 'overlap': 8, 'output': 'values', 'progress': False,
}  # fmt: skip


def identity(images: Tensor) -> Tensor:
    return images


def write(path: Path, value: int) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    with rasterio.open(
        path, 'w', driver='GTiff', height=40, width=50, count=1, dtype='uint8',
        crs='EPSG:32632', transform=Affine(1, 0, 4e5, 0, -1, 5e6),
    ) as dst:  # fmt: skip
        dst.write(np.full((1, 40, 50), value, dtype='uint8'))
    return path


def write_dates(folder: Path) -> tuple[Path, Path]:
    """The one before names its nodata, the one after does not; 7 is where nothing was seen."""
    paths = []
    for name, nodata in (('before', 255), ('after', None)):
        pixels = np.full((1, 40, 50), 100, dtype='uint8')
        pixels[0, :, 10:] = 150
        pixels[0, :, :10] = 7 if name == 'after' else 100
        paths.append(folder / f'{name}.tif')
        with rasterio.open(
            paths[-1], 'w', driver='GTiff', height=40, width=50, count=1, dtype='uint8',
            crs='EPSG:32632', transform=Affine(1, 0, 4e5, 0, -1, 5e6), nodata=nodata,
        ) as dst:  # fmt: skip
            dst.write(pixels)
    return paths[0], paths[1]


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
    assert find_scenes([scenes[1], str(tmp_path / '?.tif')]) == scenes[:2]
    assert list_jobs(iter(scenes[:1]), 'map.tif', suffix='.tif').is_single
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
    with pytest.raises(FileNotFoundError, match=r'no image (follows|.* in)'):
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
    planned = plan('maps', identity, scenes, tmp_path / 'maps', **OPTIONS)
    assert all(str(scene) in str(planned) for scene in scenes)
    assert 'failed' in str(planned)
    assert [scene for scene, _ in planned.failures] == [str(scenes[-1])]
    assert not (tmp_path / 'maps').exists()


def test_a_picture_that_is_missing_is_drawn_of_a_map_made_before(tmp_path: Path) -> None:
    for number in (1, 2):
        write(tmp_path / 'scenes' / f's{number}.tif', number)
    pictures = tmp_path / 'pictures'
    pictures.mkdir()
    call: dict[str, Any] = {'source': [tmp_path / 'scenes'], 'destination': tmp_path / 'maps'}
    predict('maps', identity, **call, **OPTIONS)
    (pictures / 's1.png').write_text('precious')
    again = predict('maps', identity, **call, preview=pictures, **OPTIONS)
    assert str(again).splitlines() == [
        f'preview  {pictures / "s2.png"}', '0 of 2 scenes predicted, 2 before',
    ]  # fmt: skip
    assert (pictures / 's1.png').read_text() == 'precious'
    assert (pictures / 's2.png').read_bytes().startswith(b'\x89PNG')


def test_a_picture_stays_in_a_folder_unless_it_may_be_replaced(tmp_path: Path) -> None:
    for number in (1, 2):
        write(tmp_path / 'scenes' / f's{number}.tif', number)
    pictures = tmp_path / 'pictures'
    pictures.mkdir()
    (pictures / 's1.png').write_text('precious')
    call: dict[str, Any] = {
        'source': [tmp_path / 'scenes'], 'destination': tmp_path / 'maps', 'preview': pictures,
    }  # fmt: skip
    first = predict('maps', identity, **call, **OPTIONS)
    ((scene, reason),) = first.failures
    assert scene.endswith('s1.tif')
    assert 's1.png exists; pass another path, or overwrite' in reason
    assert (pictures / 's1.png').read_text() == 'precious'
    assert [path.name for path in (tmp_path / 'maps').iterdir()] == ['s2.tif']
    assert not predict('maps', identity, **call, overwrite=True, **OPTIONS).failures
    assert (pictures / 's1.png').read_bytes().startswith(b'\x89PNG')


def test_a_folder_called_like_a_picture_is_refused_before_any_work(tmp_path: Path) -> None:
    scene = write(tmp_path / 'scene.tif', 1)
    (tmp_path / 'map.png').mkdir()
    with pytest.raises(FileExistsError, match=r'map\.png is a folder'):
        predict(
            'maps', identity, [scene], tmp_path / 'map.tif', preview=tmp_path / 'map.png',
            overwrite=True, **OPTIONS,
        )  # fmt: skip
    assert not (tmp_path / 'map.tif').exists()


@pytest.mark.parametrize('call', [predict, plan])
@pytest.mark.parametrize(
    ('names', 'options', 'message'),
    [
        (('one/a.tif', 'two/a.tif'), {}, 'would both become'),
        (('a.tif', 'b.tif'), {'probabilities': 'p.tif'}, 'probabilities name one file'),
        (('a.tif', 'b.tif'), {'after': 'c.tif'}, 'predict two dates per call'),
        (('a.tif', 'b.tif'), {'destination': 'maps.tif'}, r'maps\.tif looks like a file'),
        (('a.tif', 'b.tif'), {'destination': 'maps.gpkg'}, r'maps\.gpkg looks like a file'),
        (('a.tif', 'b.tif'), {'destination': 'a.tif'}, r'a\.tif looks like a file'),
    ],
)
def test_what_does_not_go_with_several_scenes_is_refused_by_predict_and_plan(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: Callable[..., object],
    names: tuple[str, ...],
    options: dict[str, Any],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    scenes = [write(tmp_path / name, 1) for name in names]
    given = {'destination': 'maps', 'output': 'auto'} | options
    with pytest.raises(ValueError, match=message):
        call('maps', identity, scenes, **OPTIONS | given)
    assert not Path('maps').exists()


def test_a_folder_of_pictures_is_not_called_like_one_but_may_exist_so(tmp_path: Path) -> None:
    scenes = [write(tmp_path / name, 1) for name in ('a.tif', 'b.tif')]
    with pytest.raises(ValueError, match=r'all\.png looks like a file'):
        list_jobs(scenes, tmp_path / 'maps', suffix='.tif', preview=tmp_path / 'all.png')
    (tmp_path / 'all.png').mkdir()
    jobs = list_jobs(scenes, tmp_path / 'maps', suffix='.tif', preview=tmp_path / 'all.png')
    assert [job.picture for job in jobs.scenes] == [
        tmp_path / 'all.png' / name for name in ('a.png', 'b.png')
    ]


def test_a_plan_says_which_maps_were_made_before_and_which_are_of_others(tmp_path: Path) -> None:
    scenes = [write(tmp_path / name, 1) for name in ('a.tif', 'b.tif')]
    maps = tmp_path / 'maps'
    predict('maps', identity, scenes, maps, **OPTIONS)
    planned = plan('maps', identity, scenes, maps, **OPTIONS)
    assert not planned.failures
    assert str(planned).count('made before') == 2
    (maps / 'a.tif').write_bytes(scenes[0].read_bytes())
    for failures in (
        predict('maps', identity, scenes, maps, **OPTIONS).failures,
        plan('maps', identity, scenes, maps, **OPTIONS).failures,
    ):
        assert len(failures) == 1
        assert 'a.tif exists; pass another path, or overwrite' in str(failures)
    planned = plan('maps', identity, scenes, maps, overwrite=True, **OPTIONS)
    assert not planned.failures
    assert 'made before' not in str(planned)


def test_the_picture_of_the_second_date_greys_what_that_scene_lacks(tmp_path: Path) -> None:
    before, after = write_dates(tmp_path)

    def second(images: Tensor) -> Tensor:
        return images[:, 1]

    picture = tmp_path / 'map.png'
    record = replace(RECORD, nodata=7)
    predict(
        'maps', second, [before], tmp_path / 'map.tif', after=after, preview=picture,
        **OPTIONS | {'preprocessing': record},
    )  # fmt: skip
    shown = [read_panel(picture, place, (480, 600))[240, 60] for place in range(2)]
    assert (shown[0] != NO_OBSERVATION).any()
    assert (shown[1] == NO_OBSERVATION).all()
