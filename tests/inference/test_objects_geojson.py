"""GeoJSON of objects and of polygons is what RFC 7946 asks, wherever the scene lies."""

import json
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
import torch
from affine import Affine
from rasterio.crs import CRS

from gersp_geo.geoio.write.geotiff import write_raster
from gersp_geo.inference import detect_objects
from gersp_geo.main import main
from gersp_geo.preprocessing import Preprocessing
from gersp_geo.tasks import ObjectDetection
from tests.inference.detection.detectors import RECORD, Exact, draw, write_scene

SHAPE = (60, 80)
BOXES = [(30, 20, 50, 40), (5, 5, 9, 12), (60, 45, 75, 50)]
GEOSTATIONARY = '+proj=geos +h=35785831 +lon_0=0 +sweep=y'
# the middle of each scene lies at 180 degrees or at a pole
SCENES = {
    'zone 60': ('EPSG:32660', Affine(1000, 0, 736_500 - 40_000, 0, -1000, 5e6)),
    'zone 1, south-up': ('EPSG:32601', Affine(10, 0, 263_500 - 400, 0, 10, 5e6)),
    'pacific mercator': ('EPSG:3832', Affine(10, 0, 3_339_584.7 - 400, 0, -10, 5e6)),
    'south pole on a corner': ('EPSG:3031', Affine(1e4, 0, -4e5, 0, -1e4, 3e5)),
    'south pole within': ('EPSG:3031', Affine(1e4, 0, -4.05e5, 0, -1e4, 3.05e5)),
    'north pole': ('EPSG:3413', Affine(1e4, 0, -4e5, 0, -1e4, 3e5)),
    '0 to 360': ('EPSG:4326', Affine(0.1, 0, 176, 0, -0.1, 45)),
    'beyond the poles': ('EPSG:4326', Affine(1, 0, 140, 0, -1, 110)),
    'another datum': ('EPSG:4267', Affine(0.1, 0, 176, 0, -0.1, 45)),
    'south-up': ('EPSG:32633', Affine(10, 0, 5e5, 0, 10, 5e6)),
    'rotated': ('EPSG:32633', Affine(6, 8, 5e5, 8, -6, 5e6)),
    'westings': ('EPSG:2053', Affine(10, 0, 5e4, 0, -10, 3e6)),
}  # fmt: skip


@pytest.fixture(scope='module')
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    task = ObjectDetection('faster-rcnn', 'resnet18', in_channels=1, num_classes=2)
    record = Preprocessing(
        bands=('b0',), scale=(1.0,), mean=(0.0,), std=(1.0,), class_names=('car',),
        task_class='gersp_geo.tasks.ObjectDetection',
    )  # fmt: skip
    path = tmp_path_factory.mktemp('model') / 'detector.ckpt'
    saved: dict[str, Any] = {
        'state_dict': task.state_dict(),
        'hyper_parameters': dict(task.hparams),
    }
    saved |= {'pytorch-lightning_version': '2.6.0', 'gersp_geo': record.to_dict()}
    torch.save(saved, path)
    return path


def write(path: Path, crs: str, transform: Affine) -> Path:
    return write_scene(path, draw(SHAPE, BOXES), transform=transform, crs=CRS.from_string(crs))


def check(path: Path) -> list[shapely.Geometry]:
    """Read what RFC 7946 allows, ring by ring as the text has it."""
    text = json.loads(path.read_text())
    assert 'crs' not in text
    found = []
    for feature in text['features']:
        geometry = shapely.geometry.shape(feature['geometry'])
        assert geometry.is_valid
        left, bottom, right, top = geometry.bounds
        assert -180 <= left <= right <= 180
        assert -90 <= bottom <= top <= 90
        for part in shapely.get_parts(geometry):
            assert part.exterior.is_ccw
            assert (
                part.bounds[2] - part.bounds[0] < 360
                or part.bounds[1] == -90
                or part.bounds[3] == 90
            )
        found.append(geometry)
    return found


@pytest.mark.quick(
    'True-zone 60',
    'True-south pole within',
    'True-another datum',
    'True-rotated',
    'True-westings',
    'False-0 to 360',
)
@pytest.mark.parametrize('name', SCENES)
@pytest.mark.parametrize('masks', [False, True])
def test_objects_and_polygons_are_the_same_geojson(masks: bool, name: str, tmp_path: Path) -> None:
    crs, transform = SCENES[name]
    source = write(tmp_path / 'scene.tif', crs, transform)
    summary = detect_objects(
        Exact(masks=masks), source, tmp_path / 'objects.geojson', size=60, overlap=50,
        preprocessing=RECORD, progress=False,
    )  # fmt: skip
    assert summary.objects == 3
    objects = check(tmp_path / 'objects.geojson')
    assert len(objects) == 3 - summary.left_out
    assert (
        main(['polygons', str(source), '-o', str(tmp_path / 'map.geojson'), '--classes', '1']) == 0
    )
    polygons = check(tmp_path / 'map.geojson')
    for one, other in zip(sorted(objects, key=key), sorted(polygons, key=key), strict=True):
        # of a degree: neighbours of a pole are far apart in longitude
        assert one.symmetric_difference(other).area <= 1e-4 * one.area


def key(geometry: shapely.Geometry) -> tuple[float, ...]:
    return tuple(np.round(geometry.bounds, 4))


@pytest.mark.quick('predict-+proj=longlat +R=1737400', 'polygons-+proj=longlat +R=1737400')
@pytest.mark.parametrize('crs', ['LOCAL_CS["site",UNIT["metre",1]]', '+proj=longlat +R=1737400'])
@pytest.mark.parametrize('command', ['plan', 'predict', 'polygons'])
def test_no_place_on_earth_is_one_line_before_the_model_runs(
    command: str, crs: str, detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def never(*arguments: Any, **options: Any) -> None:
        raise AssertionError('the model runs')

    monkeypatch.setattr(ObjectDetection, 'forward', never)
    source = write(tmp_path / 'scene.tif', crs, Affine(0.01, 0, 15, 0, -0.01, 45))
    words = [command, *([] if command == 'polygons' else [detector]), source]
    assert main([*map(str, words), '-o', str(tmp_path / 'found.geojson')]) == 1
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1
    assert 'longitude and latitude of the Earth' in error[0]
    assert error[0].endswith('write a .gpkg or .parquet file instead')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['scene.tif']


def test_a_local_crs_is_fine_in_other_formats(
    detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(tmp_path / 'scene.tif', 'LOCAL_CS["site",UNIT["metre",1]]', Affine.scale(2))
    words = ['predict', detector, source, '-o', tmp_path / 'found.gpkg', '--size', '64']
    assert main([*map(str, words), '--overlap', '16', '--score-threshold', '0.01']) == 0
    assert 'objects ' in capsys.readouterr().out


def test_objects_beside_the_earth_are_left_out_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(tmp_path / 'scene.tif', GEOSTATIONARY, Affine(1e5, 0, -4e6, 0, -1e5, 6e6))
    summary = detect_objects(
        Exact(), source, tmp_path / 'objects.geojson', size=60, overlap=50, preprocessing=RECORD,
        progress=False,
    )  # fmt: skip
    assert (summary.objects, summary.left_out) == (3, 1)
    assert len(check(tmp_path / 'objects.geojson')) == 2
    assert 'of 3 objects, 1 lie where the CRS has no longitude and latitude' in str(summary)
    words = ['polygons', source, '-o', tmp_path / 'map.geojson', '--classes', '1']
    assert main(list(map(str, words))) == 0
    assert 'of 3 polygons, 1 lie where' in capsys.readouterr().out
    assert len(check(tmp_path / 'map.geojson')) == 2


def test_the_command_cuts_boxes_at_180_degrees(detector: Path, tmp_path: Path) -> None:
    crs, transform = SCENES['zone 60']
    random = np.random.default_rng(0).integers(0, 255, SHAPE, dtype=np.uint8)
    source = write_raster(tmp_path / 'scene.tif', random, crs=crs, transform=transform)
    counts = []
    for name in ('found.geojson', 'found.gpkg'):
        words = [
            'predict',
            detector,
            source,
            '-o',
            tmp_path / name,
            '--size',
            '64',
            '--overlap',
            '32',
        ]
        assert main([*map(str, words), '--score-threshold', '0.01', '--no-progress']) == 0
        counts.append(len(geopandas.read_file(tmp_path / name)))
    found = check(tmp_path / 'found.geojson')
    assert counts == [len(found)] * 2
    assert any(geometry.geom_type == 'MultiPolygon' for geometry in found)
    assert max(geometry.area for geometry in found) < 2
