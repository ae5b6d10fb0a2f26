"""Scenes beyond 180 degrees, across the antimeridian and at the poles, on other grids."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from numpy.typing import NDArray
from pyproj import Geod, Transformer
from rasterio.crs import CRS
from shapely import MultiPolygon, box
from torch import Tensor
from torchgeo.tasks import SemanticSegmentation

from gersp_geo.geoio.read.reader import describe_reader
from gersp_geo.inference import plan_prediction, predict_geotiff
from gersp_geo.inference.options import MapOptions
from gersp_geo.inference.scene.headers import read_area_of
from gersp_geo.main import main
from gersp_geo.preprocessing import Preprocessing
from gersp_geo.windows import Window

RECORD = Preprocessing(bands=('gray',), scale=(1.0,), mean=(0.0,), std=(1.0,), dtype='float32')
DEGREES = 'EPSG:4326'


def itself(images: Tensor) -> Tensor:
    return images.clone()


def warmth(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values that are smooth on the ground, across 180 degrees and at the poles too."""
    east, north = np.radians(lon), np.radians(lat)
    x, y, z = np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)
    return np.asarray(1000 * x + 2000 * y + 3000 * z)


def middles(grid: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    cols, rows = np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5)
    x, y = grid.transform @ (cols, rows)
    return x, y


def ground(grid: Any, crs: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    to_degrees = Transformer.from_crs(crs, DEGREES, always_xy=True)
    lon, lat = to_degrees.transform(*middles(grid))
    return lon, lat


def write(path: Path, crs: str, transform: Affine, *, height: int = 60, width: int = 80) -> Path:
    """Write a scene of warmth, -1 where there is no ground."""
    with rasterio.open(
        path, 'w', driver='GTiff', count=1, height=height, width=width, dtype='float32', crs=crs,
        transform=transform, nodata=-1e6,
    ) as dst:  # fmt: skip
        lon, lat = ground(dst, crs)
        known = np.isfinite(lon) & np.isfinite(lat)
        values = warmth(np.where(known, lon, 0), np.where(known, lat, 0))
        dst.write(np.where(known, values, -1e6).astype('float32'), 1)
    return path


def columns_and_rows(scene: Path, lon: Any, lat: Any) -> tuple[Any, Any]:
    """Find ground in a scene, in float64 and without GDAL, whatever turn its longitudes are in."""
    with rasterio.open(scene) as src:
        x, y = Transformer.from_crs(DEGREES, src.crs, always_xy=True).transform(lon, lat)
        if src.crs.is_geographic:
            middle = src.transform.c + src.width * src.transform.a / 2
            x = x - 360 * np.round((x - middle) / 360)
        cols, rows = ~src.transform @ (x, y)
    return cols, rows


def check(scene: Path, made: Path, *, tolerance: float) -> None:
    """Compare a map of the scene itself with the ground, everywhere; and no ground is left out."""
    with rasterio.open(made) as src, rasterio.open(scene) as whole:
        values, shown = src.read(1), src.read_masks(1) > 0
        lon, lat = ground(src, src.crs)
        size = whole.height, whole.width
        known = whole.read_masks(1) > 0
    cols, rows = columns_and_rows(scene, lon, lat)
    is_in = (
        np.isfinite(cols) & (cols > 1) & (cols < size[1] - 1) & (rows > 1) & (rows < size[0] - 1)
    )
    is_out = ~np.isfinite(cols) | (cols < -1) | (cols > size[1] + 1)
    is_out |= (rows < -1) | (rows > size[0] + 1)
    if known.all():
        assert is_in.any()
        assert shown[is_in].all()
    assert not shown[is_out].any()
    assert np.abs(values - warmth(lon, lat))[shown].max() < tolerance
    # every pixel of the scene lies on the map
    with rasterio.open(made) as src, rasterio.open(scene) as whole:
        x, y = Transformer.from_crs(whole.crs, src.crs, always_xy=True).transform(*middles(whole))
        x, y = np.asarray(x)[known], np.asarray(y)[known]
        if src.crs.is_geographic or src.crs.to_epsg() == 3857:
            turn = 360 if src.crs.is_geographic else 2 * np.pi * 6378137
            middle = src.transform.c + src.width * src.transform.a / 2
            x = x - turn * np.round((x - middle) / turn)
        cols, rows = ~src.transform @ (x, y)
        inside = (
            (cols >= -0.5) & (cols <= src.width + 0.5) & (rows >= -0.5) & (rows <= src.height + 0.5)
        )
    assert inside.all()


def run(scene: Path, folder: Path, **options: Any) -> Path:
    folder.mkdir(exist_ok=True)
    made = folder / 'map.tif'
    predict_geotiff(
        itself, scene, made, preprocessing=RECORD, output='values', size=32, overlap=8,
        progress=False, device='cpu', **options,
    )  # fmt: skip
    return made


SCENES = {
    'beyond 180': (DEGREES, Affine(0.05, 0, 235, 0, -0.05, 40)),
    'across 180': (DEGREES, Affine(0.03, 0, 179, 0, -0.03, 45)),
    'across -180': (DEGREES, Affine(0.03, 0, -181, 0, -0.03, 45)),
    'NAD27 beyond 180': ('EPSG:4267', Affine(0.03, 0, 245, 0, -0.03, 45)),
    'zone 60': ('EPSG:32660', Affine(1000, 0, 700_000, 0, -1000, 5e6)),
    'zone 60, fine': ('EPSG:32660', Affine(10, 0, 735_800, 0, -10, 5e6)),
    'turned': ('EPSG:32660', Affine(600, 400, 700_000, 400, -600, 5e6)),
    'polar': ('EPSG:3413', Affine(2000, 0, -1.5e6, 0, -2000, 1.5e6)),
    'the pole': ('EPSG:3413', Affine(10, 0, -300, 0, -10, 250)),
    'beside the pole': ('EPSG:3413', Affine(10, 0, 600, 0, -10, 500)),
    'the south pole': ('EPSG:3031', Affine(50_000, 0, -2e6, 0, -50_000, 1.5e6)),
}


CRSS = {
    'beyond 180': ('EPSG:32610', 'EPSG:3413'),
    'across 180': ('EPSG:32660', 'EPSG:3857', 'EPSG:4269'),
    'across -180': ('EPSG:32660',),
    'NAD27 beyond 180': ('EPSG:32610',),
    'zone 60': (DEGREES,),
    'zone 60, fine': (DEGREES,),
    'turned': ('EPSG:3857',),
    'polar': (DEGREES,),
    'the pole': (DEGREES,),
    'beside the pole': (DEGREES,),
    'the south pole': (DEGREES,),
}


@pytest.mark.parametrize(
    ('scene', 'crs'), [(scene, crs) for scene, wanted in CRSS.items() for crs in wanted]
)
def test_a_map_in_another_crs_shows_the_whole_scene_where_it_lies(
    scene: str, crs: str, tmp_path: Path
) -> None:
    path = write(tmp_path / 'scene.tif', *SCENES[scene])
    made = run(path, tmp_path, crs=crs)
    with rasterio.open(path) as src:
        lon, lat = ground(src, src.crs)
    _, _, size = Geod(ellps='WGS84').inv(lon[:, :-1], lat[:, :-1], lon[:, 1:], lat[:, 1:])
    # the steepest slope on the ground, over two pixels of the scene
    check(path, made, tolerance=2 * 4000 * float(size.max()) / 6.37e6 + 0.01)
    with rasterio.open(made) as src:
        # neither a line, nor millions of columns
        assert src.height * src.width < 8 * lon.size
        assert min(src.height, src.width) > 20


def subtract(images: Tensor) -> Tensor:
    return images[:, 1] - images[:, 0]


PAIRS = {
    'metres, then degrees beyond 180': (
        ('EPSG:32610', Affine(5000, 0, 480_000, 0, -5000, 4_400_000)),
        (DEGREES, Affine(0.05, 0, 235, 0, -0.05, 40)),
    ),
    'degrees beyond 180, then metres': (
        (DEGREES, Affine(0.05, 0, 235, 0, -0.05, 40)),
        ('EPSG:32610', Affine(5000, 0, 480_000, 0, -5000, 4_400_000)),
    ),
    'to 180, then to 360': (
        (DEGREES, Affine(0.05, 0, -125, 0, -0.05, 40)),
        (DEGREES, Affine(0.05, 0, 235.03, 0, -0.05, 40.01)),
    ),
    'to 360, then to 180': (
        (DEGREES, Affine(0.05, 0, 235, 0, -0.05, 40)),
        (DEGREES, Affine(0.05, 0, -124.97, 0, -0.05, 40.01)),
    ),
    'the same pixels a turn away': (
        (DEGREES, Affine(0.05, 0, -125, 0, -0.05, 40)),
        (DEGREES, Affine(0.05, 0, 235, 0, -0.05, 40)),
    ),
    'across 180, then across -180': (
        (DEGREES, Affine(0.05, 0, 178, 0, -0.05, 40)),
        (DEGREES, Affine(0.05, 0, -181.97, 0, -0.05, 40.01)),
    ),
    'zone 60, then zone 1': (
        ('EPSG:32660', Affine(3000, 0, 650_000, 0, -3000, 5e6)),
        ('EPSG:32601', Affine(3000, 0, 180_000, 0, -3000, 5e6)),
    ),
    'across 180, then zone 1': (
        (DEGREES, Affine(0.05, 0, 178, 0, -0.05, 45)),
        ('EPSG:32601', Affine(3000, 0, 180_000, 0, -3000, 5e6)),
    ),
    'two worlds': (
        (DEGREES, Affine(4.5, 0, -180, 0, -3, 90)),
        (DEGREES, Affine(4.5, 0, 0, 0, -3, 90)),
    ),
}


@pytest.mark.parametrize('pair', PAIRS)
def test_two_dates_meet_on_the_same_ground_whatever_turn_they_are_in(
    pair: str, tmp_path: Path
) -> None:
    before, after = (
        write(tmp_path / f'{number}.tif', *made) for number, made in enumerate(PAIRS[pair])
    )
    predict: dict[str, Any] = {
        'preprocessing': RECORD, 'output': 'values', 'size': 32, 'overlap': 8, 'device': 'cpu',
    }  # fmt: skip
    summary = predict_geotiff(
        subtract, before, tmp_path / 'map.tif', after=after, progress=False, **predict
    )
    with rasterio.open(before) as src, rasterio.open(tmp_path / 'map.tif') as made:
        difference, shown = made.read(1), made.read_masks(1) > 0
        lon, lat = ground(src, src.crs)
        step = 2 * 4000 * 6000 / 6.37e6 if 'world' not in pair else 2 * 4000 * np.radians(4.5)
        assert np.abs(difference[shown]).max() < step
    cols, rows = columns_and_rows(after, lon, lat)
    is_in = (cols > 0.5) & (cols < 79.5) & (rows > 0.5) & (rows < 59.5)
    is_out = (cols < -0.5) | (cols > 80.5) | (rows < -0.5) | (rows > 60.5)
    assert is_in.sum() > 500
    assert shown[is_in].all()
    assert not shown[is_out].any()
    # what is said of it is what was found
    plan = plan_prediction(subtract, before, tmp_path / 'b.tif', after=after, **predict)
    assert plan.after is not None
    assert plan.after.covers == pytest.approx(shown.mean(), abs=0.03)
    assert summary.valid_pixels == shown.sum()


def test_a_later_scene_of_which_half_would_be_lost_is_refused(tmp_path: Path) -> None:
    before = write(tmp_path / 'a.tif', *SCENES['zone 60'])
    mercator = 'EPSG:3857', Affine(1500, 0, 20_000_000, 0, -1500, 5.62e6)
    after = write(tmp_path / 'b.tif', *mercator)
    with pytest.raises(ValueError, match=r'b\.tif cannot be put on the grid of \S+a\.tif: \d\d %'):
        run(before, tmp_path, after=after)
    # it can give the grid
    options: dict[str, Any] = {'size': 32, 'overlap': 8, 'device': 'cpu', 'output': 'values'}
    plan = plan_prediction(
        subtract, after, tmp_path / 'c.tif', after=before, preprocessing=RECORD, **options
    )
    assert plan.after is not None
    assert plan.after.covers > 0.5


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('model') / 'model.ckpt'
    record = Preprocessing(
        bands=('gray',), scale=(1.0,), mean=(0.0,), std=(1e3,), dtype='float32',
        class_names=('low', 'high'), task_class='torchgeo.tasks.SemanticSegmentation',
    )  # fmt: skip
    task = SemanticSegmentation('fcn', in_channels=1, num_classes=2, num_filters=2)
    saved = {'state_dict': task.state_dict(), 'hyper_parameters': dict(task.hparams)}
    torch.save(saved | {'gersp_geo': record.to_dict(), 'pytorch-lightning_version': '2.6.0'}, path)
    return path


def command(*words: object) -> int:
    return main([*map(str, words), '--size', '64', '--overlap', '16', '--batch-size', '2'])


def test_the_command_makes_such_maps_and_what_follows_from_them(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = write(tmp_path / 'scene.tif', *SCENES['zone 60'])
    made = tmp_path / 'map.tif'
    words = checkpoint, scene, '-o', made, '--crs', DEGREES, '--no-progress'
    assert command('plan', *words) == 0
    assert re.search(r'scene +\S+: 4\d x 8\d px', capsys.readouterr().out)
    assert command('predict', *words, '--preview', tmp_path / 'map.png') == 0
    with rasterio.open(made) as src:
        assert src.bounds.left < 180 < src.bounds.right
        assert (src.read_masks(1) > 0).mean() > 0.8
    assert main(['polygons', str(made), '-o', str(tmp_path / 'map.geojson'), '--no-progress']) == 0
    drawn = geopandas.read_file(tmp_path / 'map.geojson')
    left, _, right, _ = drawn.total_bounds
    assert left >= -180
    assert right <= 180
    # two parts, of the size of the scene: nothing goes around the world
    assert sum(part.area for part in drawn.geometry) < 3
    assert drawn.is_valid.all()


@pytest.mark.parametrize('name', ['plan', 'predict'])
@pytest.mark.parametrize(
    ('scene', 'crs', 'message'),
    [
        ((DEGREES, Affine(4.5, 0, -180, 0, -3, 90)), 'EPSG:3413', r'only \d\d % of its pixels'),
        (
            ('EPSG:3857', Affine(1000, 0, 20_000_000, 0, -1000, 5e6)), DEGREES,
            r'x goes on beyond 180 degrees, which only longitudes in degrees may: cut',
        ),
    ],
)  # fmt: skip
def test_what_a_crs_cannot_show_is_refused_in_one_line(
    name: str, scene: tuple[str, Affine], crs: str, message: str, checkpoint: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = write(tmp_path / 'scene.tif', *scene)
    assert command(name, checkpoint, path, '-o', tmp_path / 'map.tif', '--crs', crs) == 1
    error = capsys.readouterr().err
    assert error.count('\n') == 1
    assert re.search(rf'scene\.tif cannot be expressed in {crs}: .*{message}', error)
    assert [file.name for file in tmp_path.iterdir()] == ['scene.tif']


def test_a_world_map_becomes_one_in_mercators_projection(tmp_path: Path) -> None:
    for west in (-180, 0):
        placed = Affine(2, 0, west, 0, -2, 90)
        path = write(tmp_path / f'{west}.tif', DEGREES, placed, height=90, width=180)
        made = run(path, tmp_path, crs='EPSG:3857', overwrite=True)
        with rasterio.open(made) as src:
            assert src.bounds.left == pytest.approx(-20_037_508, abs=1)
            assert src.bounds.right == pytest.approx(20_037_508, abs=1)
            assert 100 < src.height < 200
            assert 100 < src.width < 200
            shown = src.read_masks(1) > 0
            assert shown[2:-2].all()
            off = np.abs(src.read(1) - warmth(*ground(src, 'EPSG:3857')))[shown]
            assert off.max() < 2 * 4000 * np.radians(2)
            # within a pixel, up to where world maps end
            lat = ground(src, 'EPSG:3857')[1]
            assert 84 < lat.max() < 87


def test_a_world_map_of_another_resolution_shows_the_earth_once(tmp_path: Path) -> None:
    path = write(tmp_path / 'a.tif', DEGREES, Affine(4.5, 0, -180, 0, -3, 90))
    with rasterio.open(run(path, tmp_path, res=7.0)) as src:
        lon, shown = middles(src)[0], src.read_masks(1) > 0
        assert src.bounds.left == -182
        assert not shown[np.abs(lon) > 180].any()
        assert shown[np.abs(lon) < 180 - 7].all()


AREAS = {
    'drawn across 180': box(179.5, 44.65, 180.5, 44.9),
    'split at 180': MultiPolygon([box(179.5, 44.65, 180, 44.9), box(-180, 44.65, -179.5, 44.9)]),
    'beyond -180': box(-180.5, 44.65, -179.5, 44.9),
}


@pytest.mark.parametrize(
    ('drawn', 'crs'), [*((drawn, DEGREES) for drawn in AREAS), ('drawn across 180', 'EPSG:32601')]
)
@pytest.mark.parametrize('scene', ['across 180', 'zone 60', 'mercator'])
def test_an_area_covers_a_scene_on_the_other_side_whole(
    drawn: str, crs: str, scene: str, tmp_path: Path
) -> None:
    placed = SCENES | {'mercator': ('EPSG:3857', Affine(3000, 0, 19_920_000, 0, -3000, 5.63e6))}
    path = write(tmp_path / 'scene.tif', *placed[scene])
    frame = geopandas.GeoDataFrame(geometry=[AREAS[drawn]], crs=DEGREES)
    if crs != DEGREES:
        frame = frame.segmentize(0.01).to_crs(crs)
    frame.to_file(tmp_path / 'area.gpkg')
    with rasterio.open(path) as src:
        lon, lat = ground(src, src.crs)
        header = describe_reader(src)
    area = read_area_of(MapOptions(area=tmp_path / 'area.gpkg'), header, source=str(path))
    assert area is not None
    whole = Window(row_off=0, col_off=0, height=60, width=80)
    mask = area.mask(header.transform, whole)
    off = np.abs(180 - np.asarray(lon) % 360)
    # edges are straight in degrees, and pixels half in
    is_in = (off < 0.49) & (lat > 44.66) & (lat < 44.89)
    is_out = (off > 0.51) | (lat < 44.64) | (lat > 44.91)
    assert is_in.any()
    assert mask[is_in].all()
    assert not mask[is_out].any()


def test_an_area_bounds_a_map_beyond_180(checkpoint: Path, tmp_path: Path) -> None:
    scene = write(tmp_path / 'scene.tif', *SCENES['across 180'])
    frame = geopandas.GeoDataFrame(geometry=[AREAS['split at 180']], crs=DEGREES)
    frame.to_file(tmp_path / 'area.geojson')
    words = '--area', tmp_path / 'area.geojson', '--no-progress'
    assert command('predict', checkpoint, scene, '-o', tmp_path / 'map.tif', *words) == 0
    with rasterio.open(tmp_path / 'map.tif') as src:
        lon, lat = middles(src)
        np.testing.assert_array_equal(
            src.read_masks(1) > 0, (lon > 179.5) & (lon < 180.5) & (lat > 44.65) & (lat < 44.9)
        )


@pytest.mark.parametrize('res', [20.0, (30.0, 20.0)])
def test_columns_from_east_to_west_are_put_in_order(res: Any, tmp_path: Path) -> None:
    path = write(tmp_path / 'scene.tif', 'EPSG:32633', Affine(-10, 0, 5e5, 0, -10, 5e6))
    check(path, run(path, tmp_path, res=res), tolerance=0.1)
    with rasterio.open(tmp_path / 'map.tif') as src:
        assert src.transform.a == (res if isinstance(res, float) else res[0])
        assert src.bounds[:2] == (499_200 - (0 if res == 20.0 else 499_200 % 30), 4_999_400)


@pytest.mark.parametrize('crs', ['ESRI:102113', 'ESRI:54009'])
def test_a_crs_keeps_its_identity(crs: str, tmp_path: Path) -> None:
    path = write(tmp_path / 'scene.tif', DEGREES, Affine(0.01, 0, 9, 0, -0.01, 50))
    wanted = CRS.from_user_input(crs)
    with rasterio.open(run(path, tmp_path, crs=crs)) as src:
        assert src.crs == wanted
        assert src.crs.to_authority() == wanted.to_authority()
    # and without a wish
    own = run(tmp_path / 'map.tif', tmp_path / 'again', bands=(1,))
    with rasterio.open(own) as src:
        assert src.crs == wanted


@pytest.mark.parametrize('wish', [{'res': 7.0}, {'crs': DEGREES}])
def test_half_floats_are_resampled(wish: dict[str, Any], tmp_path: Path) -> None:
    values = np.linspace(1, 2, 4800, dtype='float16').reshape(1, 60, 80)
    profile = {
        'driver': 'GTiff', 'count': 1, 'height': 60, 'width': 80, 'dtype': 'float16',
        'crs': 'EPSG:32633', 'transform': Affine(10, 0, 5e5, 0, -10, 5e6),
    }  # fmt: skip
    with rasterio.open(tmp_path / 'a.tif', 'w', **profile) as dst:
        dst.write(values)
    record = replace(RECORD, dtype='float16')
    options = {
        'preprocessing': record, 'output': 'values', 'size': 32, 'overlap': 8, 'device': 'cpu',
        'progress': False, **wish,
    }  # fmt: skip
    predict_geotiff(itself, tmp_path / 'a.tif', tmp_path / 'map.tif', **options)
    with rasterio.open(tmp_path / 'map.tif') as src:
        shown = src.read(1)[src.read_masks(1) > 0]
    assert (shown.min(), shown.max()) == pytest.approx((1, 2), abs=0.01)
    assert shown.mean() == pytest.approx(1.5, abs=0.01)
    predict_geotiff(
        subtract, tmp_path / 'a.tif', tmp_path / 'b.tif', after=tmp_path / 'a.tif', **options
    )
    with rasterio.open(tmp_path / 'b.tif') as src:
        assert np.abs(src.read(1)[src.read_masks(1) > 0]).max() < 0.02
