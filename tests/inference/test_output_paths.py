"""Files that are read stay, whatever a command is told to overwrite."""

import os
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
import torch
from rasterio.shutil import copy
from rasterio.transform import from_origin
from torchgeo.tasks import SemanticSegmentation

from gersp_geo.geoio.write.atomic import check_local
from gersp_geo.geoio.write.geotiff import write_raster
from gersp_geo.inference.output_paths import refuse_inputs
from gersp_geo.main import main
from gersp_geo.preprocessing import Preprocessing

TRANSFORM = from_origin(4e5, 5e6, 10, 10)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('model') / 'model.ckpt'
    record = Preprocessing(
        bands=('red', 'green', 'blue'), scale=(1 / 255,) * 3, mean=(0.5,) * 3, std=(0.2,) * 3,
        class_names=('land', 'water'), task_class='torchgeo.tasks.SemanticSegmentation',
    )  # fmt: skip
    task = SemanticSegmentation('fcn', num_classes=2, num_filters=2)
    saved = {'state_dict': task.state_dict(), 'hyper_parameters': dict(task.hparams)}
    torch.save(saved | {'gersp_geo': record.to_dict(), 'pytorch-lightning_version': '2.6.0'}, path)
    return path


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """A raster, which scene.vrt refers to, and outer.vrt by way of that."""
    (tmp_path / 'parts').mkdir()
    pixels = np.full((3, 40, 40), 7, dtype=np.uint8)
    path = tmp_path / 'parts' / 'part.tif'
    write_raster(path, pixels, crs='EPSG:32633', transform=TRANSFORM)
    copy(path, tmp_path / 'scene.vrt', driver='VRT')
    copy(tmp_path / 'scene.vrt', tmp_path / 'outer.vrt', driver='VRT')
    return path


def refusal(capsys: pytest.CaptureFixture[str], folder: Path, *words: str | Path) -> str:
    """Run, expect one line and exit code 1, and no file changed; return the line."""
    before = {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()}
    capsys.readouterr()
    assert main([str(word) for word in words]) == 1
    error = capsys.readouterr().err
    assert error.startswith('gersp-geo: error: ')
    assert error.count('\n') == 1
    assert {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()} == before
    return error


@pytest.mark.quick('direct', 'symbolic link')
@pytest.mark.parametrize('scene', ['scene.vrt', 'outer.vrt', 'vrt://parts/part.tif?bands=1,2,3'])
@pytest.mark.parametrize('command', ['predict', 'plan'])
@pytest.mark.parametrize('way', ['direct', 'dots', 'symbolic link', 'hard link'])
def test_a_part_of_a_virtual_raster_is_not_overwritten(
    way: str,
    command: str,
    scene: str,
    checkpoint: Path,
    part: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    named = {'direct': part, 'dots': tmp_path / 'parts/../parts/part.tif'}.get(way)
    if named is None:
        named = tmp_path / 'map.tif'
        named.symlink_to(part) if way == 'symbolic link' else os.link(part, named)
    error = refusal(
        capsys, tmp_path, command, checkpoint, scene, '-o', named, '--overwrite', '--no-progress'
    )
    assert str(named) in error
    assert 'part.tif' in error
    assert 'pass another destination' in error


def test_no_output_takes_the_place_of_what_is_read(
    checkpoint: Path, part: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy(part, tmp_path / 'scene.png', driver='PNG')
    begin: list[str | Path] = ['predict', checkpoint]
    rest: list[str | Path] = ['-o', tmp_path / 'map.tif', '--overwrite', '--no-progress']
    picture = refusal(
        capsys, tmp_path, *begin, tmp_path / 'scene.png', *rest, '--preview', tmp_path / 'scene.png'
    )
    assert 'scene.png is the scene itself' in picture
    second = refusal(
        capsys, tmp_path, *begin, tmp_path / 'scene.vrt', *rest, '--probabilities', part
    )
    assert 'part.tif would replace' in second
    # a map of one scene is a part of another
    folder = tmp_path / 'parts'
    copy(part, tmp_path / 'part.png', driver='PNG')
    several: list[str | Path] = [tmp_path / 'part.png', tmp_path / 'scene.vrt', '-o', folder]
    assert 'part.tif would replace' in refusal(capsys, tmp_path, *begin, *several, '--overwrite')


def test_a_map_and_the_scene_of_its_picture_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classes = np.ones((1, 40, 40), dtype=np.uint8)
    placed = {'crs': 'EPSG:32633', 'transform': TRANSFORM}
    write_raster(tmp_path / 'map.tif', classes, **placed)
    copy(tmp_path / 'map.tif', tmp_path / 'map.gpkg', driver='GPKG')
    copy(tmp_path / 'map.tif', tmp_path / 'back.png', driver='PNG')
    polygons: list[str | Path] = ['polygons', tmp_path / 'map.gpkg', '--overwrite', '-o']
    for words in (
        [tmp_path / 'map.gpkg'],
        [tmp_path / 'a.gpkg', '--preview', tmp_path / 'back.png', '--scene', tmp_path / 'back.png'],
    ):
        assert 'is the scene itself' in refusal(capsys, tmp_path, *polygons, *words)


def test_an_area_is_read_too(part: Path, tmp_path: Path) -> None:
    area = tmp_path / 'area.gpkg'
    gpd.GeoSeries([shapely.box(0, 0, 1, 1)], crs='EPSG:4326').to_file(area)
    with pytest.raises(ValueError, match=r'area\.gpkg is the area itself'):
        refuse_inputs([area, None], inputs=[area], role='the area')


def test_masks_beside_an_output_are_removed_with_it(part: Path, tmp_path: Path) -> None:
    # a new map.tif would take this file along, as that of a raster of former times
    mask = part.rename(tmp_path / 'parts' / 'map.tif.msk')
    copy(mask, tmp_path / 'other.vrt', driver='VRT')
    with pytest.raises(ValueError, match=r'map\.tif would replace .*map\.tif\.msk, which .*other'):
        refuse_inputs([tmp_path / 'parts' / 'map.tif'], inputs=[tmp_path / 'other.vrt'])


def test_what_lies_elsewhere_may_be_replaced(part: Path, tmp_path: Path) -> None:
    (tmp_path / 'map.tif').write_bytes(part.read_bytes())
    inputs = [tmp_path / 'scene.vrt', tmp_path / 'missing.tif', None]
    refuse_inputs([tmp_path / 'map.tif', tmp_path / 'new.tif', None], inputs=inputs)
    # a copy of the same bytes is another file, what the scene refers to is not
    with pytest.raises(ValueError, match='would replace'):
        refuse_inputs([part], inputs=inputs)


PLACES = ['s3://bucket/maps/map.tif', '/vsis3/bucket/map.tif', 'gs://bucket/map.tif',
          'https://example.org/map.tif', '/vsizip/a.zip/map.tif', '/vsimem/map.tif',
          'file:///tmp/map.tif']  # fmt: skip


@pytest.mark.quick(
    'predict-s3://bucket/maps/map.tif', 'plan-/vsis3/bucket/map.tif', 'predict-file:///tmp/map.tif'
)
@pytest.mark.parametrize('place', PLACES)
@pytest.mark.parametrize('command', ['predict', 'plan'])
def test_an_object_store_is_refused_before_any_work(
    command: str,
    place: str,
    checkpoint: Path,
    part: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    error = refusal(capsys, tmp_path, command, checkpoint, part, '-o', place)
    assert 'is not on a local disk' in error
    # pathlib leaves one slash of three
    assert place in error or place.startswith('file:')
    error = refusal(
        capsys, tmp_path, command, checkpoint, part, '-o', 'map.tif', '--probabilities', place
    )
    assert 'is not on a local disk' in error
    # several scenes become a folder
    scenes = (part, tmp_path / 'scene.vrt')
    folder = place.removesuffix('/map.tif')
    assert 'is not on a local' in refusal(
        capsys, tmp_path, command, checkpoint, *scenes, '-o', folder
    )
    assert {path.name for path in tmp_path.iterdir()} == {'parts', 'scene.vrt', 'outer.vrt'}


def test_pictures_and_polygons_in_object_stores_are_refused_too(
    checkpoint: Path, part: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin: list[str | Path] = ['predict', checkpoint, part, '-o', tmp_path / 'map.tif']
    for words in (
        [*begin, '--preview', 's3://bucket/map.png'],
        ['polygons', part, '-o', 's3://bucket/map.gpkg'],
        ['polygons', part, '-o', tmp_path / 'a.gpkg', '--preview', '/vsis3/bucket/a.png'],
    ):
        assert 'is not on a local disk' in refusal(capsys, tmp_path, *words)


@pytest.mark.parametrize(
    'name', ['map.tif', './s3:/map.tif', 'C:/map.tif', 'vsis3/map.tif', 'a:b.tif']
)
def test_what_only_looks_like_an_object_store_is_local(name: str) -> None:
    check_local(name)
