"""An area of interest comes from any vector file, folder or archive, and resuming tells areas apart."""

import zipfile
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
import torch
from rasterio.transform import from_origin
from torchgeo.tasks import SemanticSegmentation

from gersp_geo.main import main
from gersp_geo.preprocessing import Preprocessing

CRS = 'EPSG:32633'
INSIDE = np.zeros((40, 40), dtype=np.bool_)
INSIDE[10:30, 5:25] = True
SQUARE = shapely.box(4e5 + 50, 5e6 - 300, 4e5 + 250, 5e6 - 100)
OTHER = shapely.box(4e5, 5e6 - 100, 4e5 + 100, 5e6)


@pytest.fixture(scope='module')
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    record = Preprocessing(
        bands=('x',), scale=(1.0,), mean=(0.0,), std=(1.0,), class_names=('land', 'water'),
        task_class='torchgeo.tasks.SemanticSegmentation',
    )  # fmt: skip
    task = SemanticSegmentation('unet', 'tu-test_resnet', in_channels=1, num_classes=2)
    saved = {'state_dict': task.state_dict(), 'hyper_parameters': dict(task.hparams)}
    more = {'gersp_geo': record.to_dict(), 'pytorch-lightning_version': '2.6.0'}
    path = tmp_path_factory.mktemp('model') / 'model.ckpt'
    torch.save(saved | more, path)
    return path


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / 'scene.tif'
    with rasterio.open(
        path, 'w', driver='GTiff', count=1, height=40, width=40, dtype='uint8', crs=CRS,
        transform=from_origin(4e5, 5e6, 10, 10),
    ) as dst:  # fmt: skip
        dst.write(np.ones((1, 40, 40), np.uint8))
    return path


def frame_of(*geometries: object) -> geopandas.GeoDataFrame:
    return geopandas.GeoDataFrame({'n': range(len(geometries))}, geometry=[*geometries], crs=CRS)


def write_area(folder: Path, form: str, polygon: shapely.Polygon = SQUARE) -> str:
    """Write an area, and say what the command is to be given."""
    frame = frame_of(polygon)
    name = folder / form
    match form:
        case 'aoi.gdb':
            frame.to_file(name, driver='OpenFileGDB')
        case 'shapes':
            name.mkdir(exist_ok=True)
            frame.to_file(name / 'aoi.shp')
        case 'aoi.parquet':
            # another geometry column, and several row groups
            split = [
                polygon.intersection(shapely.box(x, 0, x + 100, 1e7))
                for x in (4e5, 4e5 + 100, 4e5 + 200)
            ]
            table = frame_of(*split).rename_geometry('place')
            table.to_parquet(name, row_group_size=1)
        case 'deep.zip':
            frame.to_file(folder / 'aoi.shp')
            with zipfile.ZipFile(name, 'w') as archive:
                for part in folder.glob('aoi.*'):
                    archive.write(part, f'data/areas/{part.name}')
    return str(name)


def predict(model: Path, scene: Path, *words: str) -> int:
    found = str(scene.with_suffix('.map.tif'))
    line = [
        'predict',
        str(model),
        str(scene),
        '-o',
        found,
        '--size',
        '32',
        '--overlap',
        '8',
        '--no-progress',
    ]
    return main([*line, *words])


def is_predicted(scene: Path) -> np.ndarray:
    with rasterio.open(scene.with_suffix('.map.tif')) as src:
        return np.asarray(src.read(1) != src.nodata)


def refusal(capsys: pytest.CaptureFixture[str], model: Path, scene: Path, *words: str) -> str:
    capsys.readouterr()
    assert predict(model, scene, *words) == 1
    said = capsys.readouterr().err
    assert said.count('\n') == 1
    assert not scene.with_suffix('.map.tif').exists()
    return said


@pytest.mark.parametrize('form', ['aoi.gdb', 'shapes', 'aoi.parquet', 'deep.zip'])
def test_folders_archives_and_tables_are_areas(
    model: Path, scene: Path, tmp_path: Path, form: str
) -> None:
    assert predict(model, scene, '--area', write_area(tmp_path, form)) == 0
    assert np.array_equal(is_predicted(scene), INSIDE)


@pytest.mark.quick('zip://{}', '{}!data/areas/aoi.shp')
@pytest.mark.parametrize(
    'name',
    [
        'zip://{}',
        'zip://{}!data/areas/aoi.shp',
        '/vsizip/{}/data/areas/aoi.shp',
        '{}!data/areas/aoi.shp',
    ],
)
def test_a_file_in_an_archive_has_many_names(
    model: Path, scene: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    area = name.format(write_area(tmp_path, 'deep.zip'))
    line = [
        'plan',
        str(model),
        str(scene),
        '-o',
        str(tmp_path / 'map.tif'),
        '--overlap',
        '4',
        '--size',
        '16',
        '--batch-size',
        '1',
    ]
    patches = []
    for words in ([], ['--area', area], ['--area', write_area(tmp_path, 'shapes')]):
        assert main([*line, *words]) == 0
        (found,) = [
            text
            for text in capsys.readouterr().out.splitlines()
            if 'forwarded' in text or 'read' in text
        ][:1]
        patches.append(found)
    assert patches[1] == patches[2] != patches[0]


def test_of_several_layers_one_is_named(
    model: Path, scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / 'two.gpkg'
    frame_of(OTHER).to_file(path, layer='blocks')
    frame_of(SQUARE).to_file(path, layer='aoi')
    said = refusal(capsys, model, scene, '--area', str(path))
    assert 'has several layers with features: blocks, aoi; name one' in said
    assert 'area_layer (--area-layer)' in said
    said = refusal(capsys, model, scene, '--area', str(path), '--area-layer', 'aio')
    assert "has no layer 'aio', only blocks, aoi" in said
    said = refusal(capsys, model, scene, '--area-layer', 'aoi')
    assert "area_layer (--area-layer) names a layer of area, got 'aoi' without area" in said
    assert predict(model, scene, '--area', str(path), '--area-layer', 'aoi') == 0
    assert np.array_equal(is_predicted(scene), INSIDE)


@pytest.mark.quick('shapes')
@pytest.mark.parametrize('form', ['shapes', 'deep.zip'])
def test_another_area_does_not_go_on_where_one_was_stopped(
    model: Path, scene: Path, tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    area = write_area(tmp_path, form)
    assert predict(model, scene, '--area', area, '--shard', '0/2') == 0
    write_area(tmp_path, form, OTHER)
    said = refusal(capsys, model, scene, '--area', area, '--shard', '1/2')
    assert 'area_sha256' in said
    write_area(tmp_path, form)
    assert predict(model, scene, '--area', area, '--shard', '1/2') == 0
    assert predict(model, scene, '--area', area, '--merge') == 0
    assert np.array_equal(is_predicted(scene), INSIDE)
