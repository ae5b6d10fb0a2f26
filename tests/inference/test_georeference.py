"""Scenes that lie by ground control points or rational polynomials, and maps of them."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC
from rasterio.transform import from_origin
from scipy.interpolate import RBFInterpolator
from torch import Tensor, nn
from torchgeo.tasks import PixelwiseRegression, SemanticSegmentation

from gersp_geo.inference import detect_objects, embed_scene, predict_geotiff
from gersp_geo.main import main
from gersp_geo.preprocessing import Preprocessing

pytestmark = pytest.mark.filterwarnings('ignore::rasterio.errors.NotGeoreferencedWarning')

HEIGHT, WIDTH = 90, 120
RECORD = Preprocessing(bands=('one', 'two'), scale=(1.0,) * 2, mean=(0.0,) * 2, std=(1.0,) * 2)
BAND: dict[str, Any] = {'bands': ['one'], 'scale': [1.0], 'mean': [0.0], 'std': [1.0]}

type Bend = Callable[[Any, Any], tuple[Any, Any]]


def save(path: Path, task: Any, record: dict[str, Any]) -> Path:
    name = type(task).__name__
    record = RECORD.to_dict() | record | {'task_class': f'torchgeo.tasks.{name}'}
    content = {'state_dict': task.state_dict(), 'hyper_parameters': dict(task.hparams)}
    torch.save(content | {'gersp_geo': record}, path)
    return path


@pytest.fixture(scope='module')
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that returns a band of numbers above 0."""
    task = PixelwiseRegression(model='fcn', in_channels=1, num_filters=1)
    for module in task.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.dirac_(module.weight)
            assert module.bias is not None
            nn.init.zeros_(module.bias)
    return save(tmp_path_factory.mktemp('model') / 'unchanged.ckpt', task, BAND)


@pytest.fixture(scope='module')
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    task = SemanticSegmentation('fcn', in_channels=2, num_classes=2, num_filters=4)
    return save(tmp_path_factory.mktemp('model') / 'c.ckpt', task, {'class_names': ['a', 'b']})


def places() -> NDArray[np.float32]:
    """Bands that say in which column and row a pixel lies, counted from 1 in its middle."""
    rows, cols = np.mgrid[:HEIGHT, :WIDTH].astype('f4')
    return np.stack([cols + 1, rows + 1])


def points(bend: Bend, *, rows: int = 6, cols: int = 7) -> list[GroundControlPoint]:
    return [
        GroundControlPoint(float(row), float(col), *bend(col, row), float(row + col))
        for row in np.linspace(0, HEIGHT, rows)
        for col in np.linspace(0, WIDTH, cols)
    ]


def put(path: Path, pixels: NDArray[Any] | None = None, **options: Any) -> Path:
    pixels = places() if pixels is None else pixels
    with rasterio.open(
        path, 'w', driver='GTiff', count=len(pixels), height=HEIGHT, width=WIDTH,
        dtype=pixels.dtype, **options,
    ) as dst:  # fmt: skip
        dst.write(pixels)
    return path


def run(*words: object) -> int:
    return main([str(word) for word in words])


def plain(col: Any, row: Any) -> tuple[Any, Any]:
    """Like radar over mountains, in degrees: no polynomial meets it."""
    return 15 + 2e-4 * col + 3e-5 * row + 3e-4 * np.sin(col / 12), 47 + 2e-5 * col - 1.4e-4 * row


def slanted(col: Any, row: Any) -> tuple[Any, Any]:
    """A polynomial of order 2, in UTM 33."""
    return 5e5 + 10 * col - 2 * row + 0.004 * row * row, 5.2e6 - 9 * row + col


def across(col: Any, row: Any) -> tuple[Any, Any]:
    """Across 180 degrees."""
    lon = 179.99 + 2e-4 * col + 3e-5 * np.sin(row / 10)
    return np.where(lon > 180, lon - 360, lon), 65 - 1e-4 * row


def polynomials(**changes: Any) -> RPC:
    def terms(**of: float) -> list[float]:
        return [of.get(f't{number}', 0.0) for number in range(20)]

    given = {
        'line_off': 45.0, 'samp_off': 60.0, 'line_scale': 50.0, 'samp_scale': 66.0, 'lat_off': 47.0,
        'long_off': 15.0, 'lat_scale': 0.004, 'long_scale': 0.006, 'height_off': 1200.0,
        'height_scale': 500.0, 'err_bias': None, 'err_rand': None,
        'line_num_coeff': terms(t1=0.02, t2=-1.0, t3=0.3, t4=0.01), 'line_den_coeff': terms(t0=1.0),
        'samp_num_coeff': terms(t1=1.0, t2=0.03, t3=0.5), 'samp_den_coeff': terms(t0=1.0, t1=0.001),
    }  # fmt: skip
    return RPC(**(given | changes))


def carried(src: Any) -> tuple[list[tuple[float, ...]], Any]:
    found, crs = src.gcps
    return [(p.row, p.col, p.x, p.y, p.z) for p in found], crs


# ---- without --crs ----


def as_vrt(path: Path) -> Path:
    final = path.with_suffix('.vrt')
    rasterio.shutil.copy(path, final, driver='VRT')
    return final


def as_png(path: Path) -> Path:
    """The points lie in a file beside."""
    with rasterio.open(path) as src:
        pixels, (found, crs) = src.read(), src.gcps
    final = path.with_suffix('.png')
    profile = {'driver': 'PNG', 'dtype': 'uint16', 'count': 2, 'height': HEIGHT, 'width': WIDTH}
    with rasterio.open(final, 'w', **profile) as dst:
        dst.write(pixels.astype('u2'))
    with rasterio.open(final, 'r+') as dst:
        dst.gcps = found, crs
    return final


FORMATS: dict[str, Callable[[Path], Path]] = {
    'tif': lambda path: path,
    'vrt': as_vrt,
    'png': as_png,
}


@pytest.mark.parametrize('kind', FORMATS)
def test_a_map_has_the_points_of_its_scene(
    kind: str, unchanged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = put(tmp_path / 's.tif', gcps=points(plain), crs='EPSG:4326')
    scene = FORMATS[kind](scene)
    words = [
        unchanged,
        scene,
        '-o',
        tmp_path / 'map.tif',
        '--size',
        64,
        '--bands',
        1,
        '--batch-size',
        2,
    ]
    for command in ('plan', 'predict'):
        assert run(command, *words, '--no-progress') == 0
        said = capsys.readouterr().out
        assert '42 ground control points (EPSG:4326), carried to the map' in said
    with rasterio.open(scene) as src, rasterio.open(tmp_path / 'map.tif') as made:
        assert carried(made) == carried(src)
        assert made.crs is None
        np.testing.assert_allclose(made.read(1), places()[0], atol=1e-3)


def test_shards_and_a_second_map_have_the_points_too(classes: Path, tmp_path: Path) -> None:
    scene = put(tmp_path / 's.tif', gcps=points(plain), crs='EPSG:4326')
    words = [
        'predict', classes, scene, '-o', tmp_path / 'map.tif', '--size', 32, '--overlap', 8,
        '--probabilities', tmp_path / 'p.tif', '--no-progress',
    ]  # fmt: skip
    for shard in ('0/2', '1/2'):
        assert run(*words, '--shard', shard) == 0
    assert run(*words, '--merge') == 0
    with rasterio.open(scene) as src:
        for name in ('map.tif', 'p.tif'):
            with rasterio.open(tmp_path / name) as made:
                assert carried(made) == carried(src)


def test_shards_of_a_scene_whose_points_have_moved_are_refused(
    classes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = as_png(put(tmp_path / 's.tif', gcps=points(plain), crs='EPSG:4326'))
    words = ['predict', classes, scene, '-o', tmp_path / 'map.tif', '--size', 32, '--overlap', 8]
    words += ['--bands', '1,2', '--no-progress']
    assert run(*words, '--shard', '0/2') == 0
    with rasterio.open(scene, 'r+') as dst:
        dst.gcps = points(across), rasterio.crs.CRS.from_epsg(4326)
    assert run(*words, '--shard', '1/2') == 1
    assert 'georeference' in capsys.readouterr().err


def write_rpb(scene: Path, rpc: RPC) -> None:
    lines = ['satId = "QB02";', 'bandId = "P";', 'SpecId = "RPC00B";', 'BEGIN_GROUP = IMAGE']
    lines += ['\terrBias = 0;', '\terrRand = 0;']
    names = {'lineOffset': 'line_off', 'sampOffset': 'samp_off', 'latOffset': 'lat_off',
             'longOffset': 'long_off', 'heightOffset': 'height_off', 'lineScale': 'line_scale',
             'sampScale': 'samp_scale', 'latScale': 'lat_scale', 'longScale': 'long_scale',
             'heightScale': 'height_scale'}  # fmt: skip
    lines += [f'\t{name} = {getattr(rpc, ours)!r};' for name, ours in names.items()]
    for side in ('line', 'samp'):
        for part in ('num', 'den'):
            values = ',\n\t\t\t'.join(map(repr, getattr(rpc, f'{side}_{part}_coeff')))
            lines.append(f'\t{side}{part.capitalize()}Coef = (\n\t\t\t{values});')
    scene.with_suffix('.RPB').write_text('\n'.join([*lines, 'END_GROUP = IMAGE', 'END;', '']))


def write_text(scene: Path, rpc: RPC) -> None:
    lines = []
    for side, unit in (('LINE', 'pixels'), ('SAMP', 'pixels'), ('LAT', 'degrees'),
                       ('LONG', 'degrees'), ('HEIGHT', 'meters')):  # fmt: skip
        for what in ('OFF', 'SCALE'):
            lines.append(f'{side}_{what}: {getattr(rpc, f"{side}_{what}".lower())!r} {unit}')
    for name in ('LINE_NUM', 'LINE_DEN', 'SAMP_NUM', 'SAMP_DEN'):
        values = getattr(rpc, f'{name}_coeff'.lower())
        lines += [f'{name}_COEFF_{place}: {value!r}' for place, value in enumerate(values, 1)]
    scene.with_name(f'{scene.stem}_RPC.TXT').write_text('\n'.join([*lines, '']))


@pytest.mark.parametrize('kind', ['tags', 'RPB', 'text'])
def test_a_map_has_the_polynomials_of_its_scene(
    kind: str, unchanged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = put(tmp_path / 's.tif', **({'rpcs': polynomials()} if kind == 'tags' else {}))
    if kind != 'tags':
        {'RPB': write_rpb, 'text': write_text}[kind](scene, polynomials())
    words = [
        unchanged,
        scene,
        '-o',
        tmp_path / 'map.tif',
        '--bands',
        1,
        '--size',
        64,
        '--no-progress',
    ]
    assert run('predict', *words) == 0
    assert 'rational polynomials (RPCs), carried to the map' in capsys.readouterr().out
    with rasterio.open(tmp_path / 'map.tif') as made:
        found = made.rpcs
    for name in ('off', 'scale'):
        for side in ('line', 'samp', 'lat', 'long', 'height'):
            assert getattr(found, f'{side}_{name}') == getattr(polynomials(), f'{side}_{name}')
    for side in ('line_num', 'line_den', 'samp_num', 'samp_den'):
        assert getattr(found, f'{side}_coeff') == getattr(polynomials(), f'{side}_coeff')


def test_polynomials_beside_a_transform_go_to_the_map_too(
    unchanged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = {'crs': 'EPSG:32633', 'transform': from_origin(5e5, 5.2e6, 10, 10)}
    scene = put(tmp_path / 's.tif', rpcs=polynomials(), **grid)
    words = ['predict', unchanged, scene, '--bands', 1, '--size', 64, '--no-progress', '-o']
    assert run(*words, tmp_path / 'map.tif') == 0
    assert 'EPSG:32633, by the transform of the scene; its rational' in capsys.readouterr().out
    assert run(*words, tmp_path / 'coarse.tif', '--res', 20) == 0
    assert '(RPCs) hold for its own pixels, and not for the map' in capsys.readouterr().out
    with rasterio.open(scene) as src, rasterio.open(tmp_path / 'map.tif') as made:
        assert made.tags(ns='RPC') == src.tags(ns='RPC')
        assert (made.crs, made.transform) == (src.crs, src.transform)
    with rasterio.open(tmp_path / 'coarse.tif') as made:
        assert made.rpcs is None


def with_arrays(scene: Path) -> Path:
    lon = scene.with_name('lon.tif')
    put(lon, places()[:1])
    final = scene.with_suffix('.vrt')
    rasterio.shutil.copy(scene, final, driver='VRT')
    keys = {'X_DATASET': lon, 'Y_DATASET': lon, 'X_BAND': 1, 'Y_BAND': 1, 'PIXEL_OFFSET': 0,
            'LINE_OFFSET': 0, 'PIXEL_STEP': 1, 'LINE_STEP': 1}  # fmt: skip
    items = ''.join(f'<MDI key="{key}">{value}</MDI>' for key, value in keys.items())
    srs = '<SRS>EPSG:4326</SRS>'
    text = final.read_text().replace(
        '<VRTRasterBand', f'{srs}<Metadata domain="GEOLOCATION">{items}</Metadata><VRTRasterBand', 1
    )
    final.write_text(text)
    return final


def test_a_map_without_a_place_says_so(
    unchanged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = put(tmp_path / 'nowhere.tif')
    placed = put(tmp_path / 'placed.tif', transform=from_origin(5, 6, 7, 7))
    swath = with_arrays(nowhere)
    many = put(tmp_path / 'many.tif', gcps=points(slanted, rows=110, cols=100), crs='EPSG:32633')
    for scene, said in {
        nowhere: 'none: the scene names neither a CRS nor a transform',
        placed: 'in no CRS: the scene names none; the map has its transform',
        swath: 'none: the scene lies by arrays of longitudes and latitudes, which a map does not',
        many: 'none: the scene has 11,000 ground control points, and a GeoTIFF holds 10,922',
    }.items():
        made = tmp_path / f'{scene.name}-map.tif'
        command = [unchanged, scene, '-o', made, '--bands', 1, '--size', 64, '--no-progress']
        assert run('plan', *command, '--batch-size', 2) == 0
        assert said in capsys.readouterr().out
        assert run('predict', *command, '--batch-size', 2) == 0
        assert said in capsys.readouterr().out
        with rasterio.open(made) as src:
            assert src.crs is None
            assert src.gcps[0] == []
    words = ['--bands', 1, '--crs', 'EPSG:32633']
    assert run('predict', unchanged, swath, '-o', tmp_path / 'a.tif', *words) == 1
    error = capsys.readouterr().err
    assert 'nowhere.vrt lies by arrays of longitudes and latitudes' in error
    assert 'gdalwarp -geoloc' in error
    assert not (tmp_path / 'a.tif').exists()


# ---- with --crs ----


def warp(
    model: Path, scene: Path, crs: str, *words: Any
) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.float64]]:
    """Predict in a CRS; return the map and where its pixels lie."""
    final, made = scene.with_name('map.tif'), []
    for band in (1, 2):
        given = [scene, '-o', final, '--crs', crs, '--size', 64, '--overwrite', '--no-progress']
        assert run('predict', model, *given, '--bands', band, *words) == 0
        with rasterio.open(final) as src:
            assert src.crs == rasterio.crs.CRS.from_user_input(crs)
            assert src.gcps[0] == []
            made.append(src.read(1))
            rows, cols = np.mgrid[: src.height, : src.width]
            xs, ys = src.transform @ (cols + 0.5, rows + 0.5)
    return np.stack(made), xs, ys


def compare(
    pixels: NDArray[Any], cols: NDArray[np.float64], rows: NDArray[np.float64], *, within: float
) -> None:
    """Compare with where pixels come from, columns and rows from the corner of the scene."""
    inside = (cols > 1) & (cols < WIDTH - 1) & (rows > 1) & (rows < HEIGHT - 1)
    outside = (cols < -1) | (cols > WIDTH + 1) | (rows < -1) | (rows > HEIGHT + 1)
    # nearly all of the scene is there, in pixels of about its own size
    assert 0.8 < inside.sum() / ((WIDTH - 2) * (HEIGHT - 2)) < 1.25
    assert np.isnan(pixels[:, outside]).all()
    np.testing.assert_allclose(pixels[0][inside], cols[inside] + 0.5, atol=within)
    np.testing.assert_allclose(pixels[1][inside], rows[inside] + 0.5, atol=within)


# name: where pixels lie, CRS of the points, CRS wanted, what is said
BENDS: dict[str, tuple[Bend, str, str, str]] = {
    'spline': (plain, 'EPSG:4326', 'EPSG:32633', 'a thin plate spline through 42'),
    'spline, own CRS': (plain, 'EPSG:4326', 'EPSG:4326', 'a thin plate spline through 42'),
    'polynomial': (slanted, 'EPSG:32633', 'EPSG:32634', 'a polynomial that meets 42'),
    '180 degrees': (across, 'EPSG:4326', 'EPSG:32660', 'a thin plate spline'),
    '180 degrees, degrees': (across, 'EPSG:4326', 'EPSG:4326', 'a thin plate spline'),
    '180 degrees, metres': (across, 'EPSG:4326', 'EPSG:3857', 'a thin plate spline'),
}


@pytest.mark.quick('spline', 'polynomial', '180 degrees, degrees')
@pytest.mark.parametrize('name', BENDS)
def test_a_scene_is_warped_by_its_points(
    name: str, unchanged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bend, own, wanted, said = BENDS[name]
    given = points(bend)
    scene = put(tmp_path / 's.tif', gcps=given, crs=own)
    pixels, xs, ys = warp(unchanged, scene, wanted)
    assert f'{wanted}, warped by {said}' in capsys.readouterr().out
    # the spline itself, in float64
    to_wanted = Transformer.from_crs(own, wanted, always_xy=True)
    places = np.stack(to_wanted.transform([p.x for p in given], [p.y for p in given]), axis=1)
    # across 180 degrees, x goes on beyond it
    turn = {'EPSG:4326': 360.0, 'EPSG:3857': 2 * np.pi * 6378137}.get(wanted, 0.0)
    places[:, 0] += np.where(places[:, 0] < 0, turn, 0.0)
    middle, width = places.mean(axis=0), np.ptp(places, axis=0).max()
    spline = RBFInterpolator(
        (places - middle) / width, [(p.col, p.row) for p in given], kernel='thin_plate_spline'
    )
    ground = (np.stack([xs.ravel(), ys.ravel()], axis=1) - middle) / width
    cols, rows = spline(ground).T.reshape(2, *xs.shape)
    compare(pixels, cols, rows, within=0.15)


@pytest.mark.parametrize(('rows', 'cols'), [(2, 2), (3, 3)])
def test_a_few_points_are_enough(
    rows: int, cols: int, unchanged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Affine(10, -2, 5e5, 1, -9, 5.2e6)
    given = points(lambda col, row: place @ (col, row), rows=rows, cols=cols)
    scene = put(tmp_path / 's.tif', gcps=given, crs='EPSG:32633')
    pixels, xs, ys = warp(unchanged, scene, 'EPSG:32633')
    assert f'warped by a polynomial that meets {rows * cols}' in capsys.readouterr().out
    compare(pixels, *(~place @ (xs, ys)), within=0.01)


@pytest.mark.parametrize('wanted', ['EPSG:32633', 'EPSG:4326'])
def test_a_scene_is_warped_by_its_polynomials_at_their_height(
    wanted: str, unchanged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rpc = polynomials()
    pixels, xs, ys = warp(unchanged, put(tmp_path / 's.tif', rpcs=rpc), wanted)
    said = 'warped by rational polynomials (RPCs), with all ground at a height of 1,200 m'
    assert said in capsys.readouterr().out
    lon, lat = Transformer.from_crs(wanted, 'EPSG:4326', always_xy=True).transform(xs, ys)
    x, y = (lon - rpc.long_off) / rpc.long_scale, (lat - rpc.lat_off) / rpc.lat_scale
    # at the middle height, terms with heights are 0
    rows = (0.02 * x - y) * rpc.line_scale + rpc.line_off + 0.5
    # term 4 is x times y
    rows += 0.01 * x * y * rpc.line_scale
    cols = (x + 0.03 * y) / (1 + 0.001 * x) * rpc.samp_scale + rpc.samp_off + 0.5
    compare(pixels, cols, rows, within=0.15)


def test_res_alone_warps_too(unchanged: Path, tmp_path: Path) -> None:
    scene = put(tmp_path / 's.tif', gcps=points(slanted), crs='EPSG:32633')
    final = tmp_path / 'map.tif'
    words = ['predict', unchanged, scene, '-o', final, '--bands', 1, '--size', 64]
    assert run(*words, '--res', 20, '--no-progress') == 0
    with rasterio.open(final) as src:
        assert src.crs == rasterio.crs.CRS.from_epsg(32633)
        assert src.res == (20, 20)
        # the place of column 60, row 45
        place = slanted(60, 45)
        assert next(src.sample([place]))[0] == pytest.approx(60.5, abs=1.5)


@pytest.mark.parametrize('how', ['tag', 'option', 'mask'])
def test_what_is_no_observation_is_none_in_the_warped_map(
    how: str, unchanged: Path, tmp_path: Path
) -> None:
    pixels = places()
    pixels[:, 30:60, 40:80] = 9999
    nodata = {'nodata': 9999.0} if how == 'tag' else {}
    scene = put(tmp_path / 's.tif', pixels, gcps=points(slanted), crs='EPSG:32633', **nodata)
    if how == 'mask':
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(scene, 'r+') as dst:
            dst.write_mask(pixels[0] != 9999)
    words = ['--nodata', 9999] if how == 'option' else []
    made, xs, ys = warp(unchanged, scene, 'EPSG:32633', *words)
    assert not (made > 200).any()
    cols, rows = columns_and_rows(xs, ys)
    hidden = (cols > 41) & (cols < 79) & (rows > 31) & (rows < 59)
    assert np.isnan(made[:, hidden]).all()
    seen = (np.abs(cols - 60) > 22) & (cols > 1) & (cols < 119) & (rows > 1) & (rows < 89)
    np.testing.assert_allclose(made[0][seen], cols[seen] + 0.5, atol=0.15)


def columns_and_rows(xs: Any, ys: Any) -> tuple[Any, Any]:
    """Invert :func:`slanted`."""
    cols, rows = np.full(xs.shape, 60.0), np.full(xs.shape, 45.0)
    for _ in range(20):
        east, north = xs - 5e5 + 2 * rows - 0.004 * rows * rows, ys - 5.2e6
        cols = east / 10
        rows = (cols - north) / 9
    return cols, rows


# ---- two dates ----

OPTIONS: dict[str, Any] = {
    'preprocessing': RECORD, 'size': 64, 'overlap': 16, 'output': 'values',
    'progress': False, 'device': 'cpu',
}  # fmt: skip


def difference(images: Tensor) -> Tensor:
    return images[:, 1] - images[:, 0]


def test_two_dates_with_the_same_points_are_on_one_grid(tmp_path: Path) -> None:
    before = put(tmp_path / 'a.tif', gcps=points(plain), crs='EPSG:4326')
    after = put(tmp_path / 'b.tif', places() + 7, gcps=points(plain), crs='EPSG:4326')
    predict_geotiff(difference, before, tmp_path / 'm.tif', after=after, **OPTIONS)
    with rasterio.open(tmp_path / 'm.tif') as made, rasterio.open(before) as src:
        np.testing.assert_allclose(made.read(), 7, atol=1e-3)
        assert carried(made) == carried(src)


def test_two_dates_with_other_points_need_a_crs(tmp_path: Path) -> None:
    before = put(tmp_path / 'a.tif', gcps=points(slanted), crs='EPSG:32633')
    moved = [GroundControlPoint(p.row, p.col, p.x + 100, p.y, p.z) for p in points(slanted)]
    after = put(tmp_path / 'b.tif', gcps=moved, crs='EPSG:32633')
    words = (
        r'a\.tif has 42 ground control points \(EPSG:32633\) in place of a transform.*--crs EPSG:'
    )
    with pytest.raises(ValueError, match=words):
        predict_geotiff(difference, before, tmp_path / 'm.tif', after=after, **OPTIONS)
    summary = predict_geotiff(
        difference, before, tmp_path / 'm.tif', after=after, crs='EPSG:32633', **OPTIONS
    )
    assert summary.overlap is not None
    # of the images themselves, not of the grid around them, which has empty corners
    assert 'b.tif covers 90.4 % of a.tif; 90.4 % of b.tif lies in it' in summary.overlap
    with rasterio.open(tmp_path / 'm.tif') as made:
        change = made.read()
        rows, cols = np.mgrid[: made.height, : made.width]
        xs, ys = made.transform @ (cols + 0.5, rows + 0.5)
    # what lies 100 m farther east shows there what was to the west
    moved_by = np.subtract(columns_and_rows(xs - 100, ys), columns_and_rows(xs, ys))
    assert np.isfinite(change).mean() > 0.5
    np.testing.assert_array_less(np.nan_to_num(np.abs(change - moved_by)), 0.7)
    assert np.nanmedian(np.abs(change - moved_by)) < 0.05


def test_a_later_scene_is_warped_to_the_grid_of_the_earlier_one(tmp_path: Path) -> None:
    grid = {'crs': 'EPSG:32633', 'transform': from_origin(5e5, 5.2e6, 10, 10)}
    before = put(tmp_path / 'a.tif', **grid)
    straight = points(lambda col, row: (5e5 + 10 * col, 5.2e6 - 10 * row))
    after = put(tmp_path / 'b.tif', places() + 7, gcps=straight, crs='EPSG:32633')
    predict_geotiff(difference, before, tmp_path / 'm.tif', after=after, **OPTIONS)
    with rasterio.open(tmp_path / 'm.tif') as made:
        np.testing.assert_allclose(made.read(), 7, atol=1e-3)
    nowhere = put(tmp_path / 'c.tif')
    with pytest.raises(ValueError, match=r'c\.tif names no CRS'):
        predict_geotiff(difference, before, tmp_path / 'n.tif', after=nowhere, **OPTIONS)


# ---- patches, objects, areas, polygons ----


@pytest.mark.parametrize('overlap', [0, 10])
def test_a_map_of_patches_has_points_and_polynomials_in_its_own_pixels(
    overlap: int, tmp_path: Path
) -> None:
    def means(images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3))

    options: dict[str, Any] = {'preprocessing': RECORD, 'size': 30, 'overlap': overlap}
    options |= {'progress': False, 'device': 'cpu'}
    pointed = put(tmp_path / 's.tif', gcps=points(slanted), crs='EPSG:32633')
    summary = embed_scene(means, pointed, tmp_path / 'm.tif', **options)
    assert '42 ground control points (EPSG:32633), carried to the map' in str(summary)
    scene = put(tmp_path / 'r.tif', rpcs=polynomials())
    embed_scene(means, scene, tmp_path / 'n.tif', **options)
    # the middle of the first patch, in the scene and in the map
    with rasterio.open(tmp_path / 'm.tif') as made:
        transform = rasterio.transform.GCPTransformer(made.gcps[0], tps=True)
        place = transform.xy(0.5, 0.5, offset='ul')
        assert place == pytest.approx(slanted(15, 15), abs=0.5)
    with rasterio.open(tmp_path / 'n.tif') as made, rasterio.open(scene) as src:
        found = made.rpcs
        there, here = (
            rasterio.transform.RPCTransformer(rpc, rpc_height=1200) for rpc in (found, src.rpcs)
        )
        ours, theirs = there.xy(1.5, 0.5, offset='ul'), here.xy(15 + 30 - overlap, 15, offset='ul')
        assert ours == pytest.approx(theirs, abs=1e-7)


def test_tables_and_objects_and_areas_say_the_way_out(
    unchanged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = put(tmp_path / 's.tif', gcps=points(plain), crs='EPSG:4326')
    lack = r's\.tif has 42 ground control points \(EPSG:4326\) in place of a transform'
    way = r'pass crs \(--crs EPSG:32633\), or .* gdalwarp -tps -t_srs EPSG:32633'
    options: dict[str, Any] = {'preprocessing': RECORD, 'progress': False, 'device': 'cpu'}
    with pytest.raises(ValueError, match=f'{lack}, and objects.*{way}'):
        detect_objects(lambda images: [], scene, tmp_path / 'o.gpkg', **options)
    with pytest.raises(ValueError, match=f'{lack}, and polygons.*{way}'):
        embed_scene(lambda images: images[:, :, 0, 0], scene, tmp_path / 'p.parquet', **options)
    area = tmp_path / 'area.geojson'
    area.write_text(
        '{"type": "Polygon", "coordinates": [[[15, 46.99], [15.01, 46.99], [15.01, 47], [15, 46.99]]]}'
    )
    words = [unchanged, scene, '-o', tmp_path / 'map.tif', '--area', area, '--bands', 1]
    for command in ('plan', 'predict'):
        assert run(command, *words) == 1
        error = capsys.readouterr().err
        assert 'so that no area can be found in it; pass crs (--crs EPSG:32633)' in error
        assert error.count('\n') == 1
    assert run('predict', *words, '--crs', 'EPSG:32633', '--no-progress') == 0


@pytest.mark.parametrize('kind', ['points', 'polynomials'])
def test_polygons_of_such_a_map_say_the_way_out(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = (
        {'gcps': points(across), 'crs': 'EPSG:4326'}
        if kind == 'points'
        else {'rpcs': polynomials(lat_off=-33.0)}
    )
    put(tmp_path / 'm.tif', np.ones((1, HEIGHT, WIDTH), 'u1'), **place)
    assert run('polygons', tmp_path / 'm.tif', '-o', tmp_path / 'p.gpkg') == 1
    error = capsys.readouterr().err
    assert 'm.tif has ' in error
    assert {'points': '-tps -t_srs EPSG:326', 'polynomials': '-rpc -t_srs EPSG:32733'}[
        kind
    ] in error
    assert 'a_srs' not in error
    assert error.count('\n') == 1


BROKEN: dict[str, tuple[list[Any], str, str]] = {
    'two': (points(slanted)[:2], 'EPSG:32633', r'2 ground control point\(s\), and at least 3'),
    'on a line': (points(slanted, rows=1), 'EPSG:32633', 'ground control points'),
    'no CRS': (points(slanted), '', 'in a CRS that it does not name'),
    'beyond reach': (points(lambda c, r: (15 + c, 95 + r)), 'EPSG:4326', 'ground control points'),
    'contradicting': (
        [GroundControlPoint(p.row, p.col, q.x, q.y) for p, q in
         zip(points(slanted), np.random.default_rng(0).permutation(np.array(points(slanted), object)), strict=True)],
        'EPSG:32633', 'contradict|two places',
    ),
}  # fmt: skip


@pytest.mark.parametrize('kind', BROKEN)
def test_points_that_say_no_place_are_refused_in_one_line(
    kind: str, unchanged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given, crs, said = BROKEN[kind]
    scene = put(
        tmp_path / 's.tif',
        gcps=given,
        crs=rasterio.crs.CRS.from_user_input(crs) if crs else rasterio.crs.CRS(),
    )
    for command in ('plan', 'predict'):
        words = [unchanged, scene, '-o', tmp_path / 'm.tif', '--bands', 1, '--crs', 'EPSG:32633']
        code = run(command, *words)
        error = capsys.readouterr().err
        assert code == 1
        assert error.count('\n') == 1
        assert 's.tif' in error
        assert re.search(said, error)
    assert not (tmp_path / 'm.tif').exists()


def test_an_image_of_the_world_is_not_taken_for_one_across_180_degrees(tmp_path: Path) -> None:
    corners = [
        GroundControlPoint(row, col, -170 + col / WIDTH * 340, 80 - row / HEIGHT * 160)
        for row in (0, HEIGHT)
        for col in (0, WIDTH)
    ]
    scene = put(tmp_path / 'world.tif', gcps=corners, crs='EPSG:4326')
    with pytest.raises(ValueError, match=r'more than half a turn .* make a grid of it first'):
        predict_geotiff(lambda x: x, scene, tmp_path / 'm.tif', crs='EPSG:4326', **OPTIONS)
    assert not (tmp_path / 'm.tif').exists()
