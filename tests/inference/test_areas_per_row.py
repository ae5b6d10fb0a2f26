"""Areas of classes and objects in degrees are those of their own rows, on the ellipsoid."""

import json
import re
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from numpy.typing import NDArray
from pyproj import Geod
from rasterio.crs import CRS
from torch import Tensor
from torchgeo.tasks import SemanticSegmentation

from gersp_geo.geoio.write.geotiff import write_raster
from gersp_geo.inference import detect_objects
from gersp_geo.inference.options import MapOptions
from gersp_geo.inference.outputs.map_maker import MapMaker
from gersp_geo.inference.outputs.map_summary import PredictionSummary
from gersp_geo.inference.prepare import prepare
from gersp_geo.inference.run import run_plan
from gersp_geo.main import main
from gersp_geo.preprocessing import Preprocessing
from tests.inference.detection.detectors import RECORD as BAND
from tests.inference.detection.detectors import Exact, draw, write_scene

RECORD = Preprocessing(
    bands=('red', 'green', 'blue'),
    scale=(1 / 255,) * 3,
    mean=(0.5,) * 3,
    std=(0.25,) * 3,
    class_names=('field', 'water'),
    task_class='torchgeo.tasks.SemanticSegmentation',
)
GEOD = Geod(ellps='WGS84')
WORLD = Affine(2, 0, -180, 0, -2, 90)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    arguments = {'model': 'fcn', 'num_classes': 2, 'num_filters': 4}
    task = SemanticSegmentation(**arguments)  # type: ignore[arg-type]
    path = tmp_path_factory.mktemp('model') / 'model.ckpt'
    saved: dict[str, Any] = {'state_dict': task.state_dict(), 'hyper_parameters': arguments}
    torch.save(saved | {'gersp_geo': RECORD.to_dict()}, path)
    return path


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (3, 90, 180), dtype=np.uint8)
    # more of one class in the north
    pixels[:, :30] //= 4
    return write_raster(tmp_path / 'scene.tif', pixels, crs='EPSG:4326', transform=WORLD)


def row_area(north: float, south: float, width: float) -> float:
    """Area between parallels, as a polygon of geodesics that are short enough to follow them."""
    lon = np.linspace(0, 1, 4001)
    lat = np.concatenate([np.full(4001, south), np.full(4001, north)])
    return width * abs(GEOD.polygon_area_perimeter(np.concatenate([lon, lon[::-1]]), lat)[0])


def areas_of(pixels: NDArray[Any], transform: Affine, classes: int) -> list[float]:
    rows = [
        row_area(
            transform.f + transform.e * row, transform.f + transform.e * (row + 1), transform.a
        )
        for row in range(len(pixels))
    ]
    return [float(((pixels == value).sum(axis=1) * rows).sum()) for value in range(classes)]


def test_a_world_map_has_its_areas(
    checkpoint: Path, scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ['predict', checkpoint, scene, '-o', tmp_path / 'map.tif', '--size', '64', '--overlap']
    assert main([*map(str, words), '16', '--no-progress']) == 0
    printed = re.findall(r'([\d,]+) m2 = ', capsys.readouterr().out)
    found = [float(text.replace(',', '')) for text in printed]
    with rasterio.open(tmp_path / 'map.tif') as src:
        expected = areas_of(src.read(1), src.transform, 2)
    assert min(expected) > 0
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert sum(found) == pytest.approx(510_065_621_724_000, rel=1e-9)
    assert main(['polygons', str(tmp_path / 'map.tif'), '-o', str(tmp_path / 'map.gpkg')]) == 0
    frame = geopandas.read_file(tmp_path / 'map.gpkg')
    sums = [frame[frame['class'] == value]['area_m2'].sum() for value in (0, 1)]
    np.testing.assert_allclose(sums, expected, rtol=1e-9)


def predict(scene: Path, destination: Path, **options: Any) -> PredictionSummary:
    def brightness(images: Tensor) -> Tensor:
        return torch.cat([images[:, :1], -images[:, :1]], dim=1)

    chosen: dict[str, Any] = {
        'size': 32, 'overlap': 8, 'preprocessing': RECORD, 'part_pixels': 1, 'device': 'cpu',
    }  # fmt: skip
    plan = prepare(MapMaker, brightness, scene, destination, MapOptions(**chosen | options))
    summary: PredictionSummary = run_plan(plan, progress=False)
    return summary


@pytest.mark.parametrize('south_up', [False, True])
def test_shards_and_holes_change_no_area(south_up: bool, scene: Path, tmp_path: Path) -> None:
    with rasterio.open(scene, 'r+') as dst:
        dst.nodata = 7
        hole = np.full((3, 40, 70), 7, dtype=np.uint8)
        dst.write(hole, window=rasterio.windows.Window(30, 10, 70, 40))
        dst.transform = Affine(2, 0, -180, 0, 2, -90) if south_up else WORLD
    whole = predict(scene, tmp_path / 'whole.tif')
    for shard in ('0/2', '1/2'):
        predict(scene, tmp_path / 'map.tif', shard=shard)
    merged = predict(scene, tmp_path / 'map.tif', merge=True)
    assert merged.parts_before > 2
    with rasterio.open(tmp_path / 'map.tif') as src:
        expected = areas_of(src.read(1), src.transform, 2)
    for summary in (merged, whole):
        assert summary.class_areas_m2 is not None
        np.testing.assert_allclose(summary.class_areas_m2, expected, rtol=1e-9)


def test_parts_with_other_areas_are_refused(scene: Path, tmp_path: Path) -> None:
    predict(scene, tmp_path / 'map.tif', shard='0/2')
    record = tmp_path / '.map.tif.parts' / 'prediction.json'
    record.write_text(json.dumps(json.loads(record.read_text()) | {'version': 1}))
    with pytest.raises(ValueError, match=r'version was 1, is \d; go on .*--overwrite'):
        predict(scene, tmp_path / 'map.tif', shard='1/2')


def test_a_tall_object_has_the_area_of_its_rows(tmp_path: Path) -> None:
    # from 80 degrees north to 40 south
    boxes = [(10, 5, 14, 65), (40, 20, 60, 22)]
    transform, crs = Affine(2, 0, -180, 0, -2, 90), CRS.from_epsg(4326)
    source = write_scene(
        tmp_path / 'scene.tif', draw((90, 100), boxes), transform=transform, crs=crs
    )
    for model in (Exact(), Exact(masks=True)):
        detect_objects(
            model, source, tmp_path / 'objects.gpkg', size=90, overlap=80, preprocessing=BAND,
            progress=False, overwrite=True,
        )  # fmt: skip
        frame = geopandas.read_file(tmp_path / 'objects.gpkg')
        expected = [
            row_area(90 - 2 * top, 90 - 2 * bottom, 2.0 * (right - left))
            for left, top, right, bottom in boxes
        ]
        np.testing.assert_allclose(sorted(frame['area_m2']), sorted(expected), rtol=1e-8)
