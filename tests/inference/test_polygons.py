import signal
import subprocess
import sys
from pathlib import Path
from time import sleep

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pyproj import Geod
from rasterio.windows import Window

from gersp_geo.geoio.polygons import maps
from gersp_geo.geoio.vector.rasterize import burn
from gersp_geo.geoio.write.geotiff import write_raster
from gersp_geo.inference import polygons
from gersp_geo.inference.polygons import polygonize
from gersp_geo.main import main

NAMES = ('field', 'forest', 'water')
COLORS = ((200, 180, 90), (20, 120, 40), (30, 60, 200))
UTM = Affine(10, 0, 500_000, 0, -10, 5_000_000)
DEGREES = Affine(0.01, 0, 8, 0, -0.02, 61)


@pytest.fixture(autouse=True)
def needs_pyarrow(request: pytest.FixtureRequest) -> None:
    """An environment made before pyarrow was required lacks it."""
    if 'parquet' in request.node.name:
        pytest.importorskip('pyarrow')


def write_map(
    path: Path,
    pixels: NDArray[np.generic],
    *,
    crs: str | None = 'EPSG:32632',
    transform: Affine = UTM,
) -> Path:
    return write_raster(
        path,
        pixels,
        crs=crs,
        transform=transform,
        nodata=255,
        class_names=NAMES,
        class_colors=COLORS,
        block_size=16,
        overwrite=True,
    )


def landscape(height: int, width: int, *, specks: float = 0.02) -> NDArray[np.uint8]:
    """Three classes with smooth borders, a share of specks, and a lake without observations."""
    rows, cols = np.mgrid[:height, :width] / 9.0
    pixels = np.asarray(np.sin(rows) + np.cos(cols * 1.3 + rows) > 0, dtype=np.uint8)
    pixels[np.sin(cols - rows / 2) > 0.8] = 2
    pixels[np.random.default_rng(0).random(pixels.shape) < specks] = 0
    pixels[(rows - 3) ** 2 + (cols - 3) ** 2 < 2] = 255
    return pixels


def read(path: Path) -> geopandas.GeoDataFrame:
    return geopandas.read_parquet(path) if path.suffix == '.parquet' else geopandas.read_file(path)


def paint(frame: geopandas.GeoDataFrame, shape: tuple[int, int]) -> NDArray[np.uint8]:
    placed = frame.to_crs(32632).geometry.to_numpy()
    values = [NAMES.index(name) for name in frame['class_name']]
    return burn(placed, values, transform=UTM, height=shape[0], width=shape[1], fill=255)


@pytest.mark.parametrize('suffix', ['.gpkg', '.parquet', '.geojson'])
def test_polygons_painted_back_are_the_map(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr(maps, '_PIXELS_TRACED', 7 * 90)
    monkeypatch.setattr(polygons, '_BATCH_POLYGONS', 5)
    pixels = landscape(70, 90)
    source = write_map(tmp_path / 'map.tif', pixels)
    summary = polygonize(source, tmp_path / f'objects{suffix}', progress=False)
    frame = read(tmp_path / f'objects{suffix}')
    assert frame.is_valid.all()
    np.testing.assert_array_equal(paint(frame, pixels.shape), pixels)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ['map.tif', 'map.tif.aux.xml', 'map.qml', f'objects{suffix}', 'objects.qml']
    )
    # the summary is what the file holds
    assert summary.names == NAMES
    assert summary.counts == tuple((frame['class'] == value).sum() for value in range(3))
    assert summary.areas_m2 == tuple(100.0 * (pixels == value).sum() for value in range(3))
    assert frame['area_m2'].sum() == 100 * (pixels != 255).sum()
    if suffix != '.geojson':
        np.testing.assert_allclose(frame.area, frame['area_m2'])


@given(
    pixels=arrays(np.uint8, (33, 17), elements=st.sampled_from([0, 1, 1, 2, 255])),
    rows=st.integers(1, 33),
)
def test_the_file_does_not_depend_on_how_the_map_is_read(
    tmp_path_factory: pytest.TempPathFactory, pixels: NDArray[np.uint8], rows: int
) -> None:
    folder = tmp_path_factory.mktemp('maps')
    source = write_map(folder / 'map.tif', pixels)
    found = []
    for traced in (rows * 17, 33 * 17):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(maps, '_PIXELS_TRACED', traced)
            polygonize(source, folder / 'map.gpkg', overwrite=True, progress=False)
        frame = geopandas.read_file(folder / 'map.gpkg')
        texts = shapely.to_wkt(shapely.normalize(frame.geometry.to_numpy()))
        found.append(sorted(zip(frame['class'], frame['area_m2'], texts, strict=True)))
    assert found[0] == found[1]


def test_small_polygons_are_dropped_and_counted(tmp_path: Path) -> None:
    pixels = np.zeros((20, 20), np.uint8)
    pixels[2, 2] = pixels[5:7, 5:7] = 1
    source = write_map(tmp_path / 'map.tif', pixels)
    summary = polygonize(source, tmp_path / 'map.gpkg', min_area=400, progress=False)
    frame = read(tmp_path / 'map.gpkg')
    assert sorted(frame['area_m2']) == [400, 39_500]
    assert (summary.dropped, summary.dropped_m2) == (1, 100)
    assert '1 small ones, 100 m2' in str(summary)
    # their place stays empty
    assert paint(frame, pixels.shape)[2, 2] == 255


def test_only_classes_that_are_wanted(tmp_path: Path) -> None:
    pixels = landscape(40, 40)
    source = write_map(tmp_path / 'map.tif', pixels)
    summary = polygonize(source, tmp_path / 'some.gpkg', classes=['water', '0'], progress=False)
    assert summary.names == ('field', 'water')
    expected = np.where(pixels == 1, 255, pixels)
    np.testing.assert_array_equal(paint(read(tmp_path / 'some.gpkg'), pixels.shape), expected)
    assert 'forest' not in (tmp_path / 'some.qml').read_text()


def test_areas_in_degrees_are_those_on_the_ellipsoid(tmp_path: Path) -> None:
    pixels = landscape(40, 40)
    source = write_map(tmp_path / 'map.tif', pixels, crs='EPSG:4326', transform=DEGREES)
    polygonize(source, tmp_path / 'map.gpkg', progress=False)
    frame = read(tmp_path / 'map.gpkg')
    geod = Geod(ellps='WGS84')
    # short sides, since those of Geod are geodesics and not parallels
    fine = frame.geometry.segmentize(0.001)
    geodesic = [abs(geod.geometry_area_perimeter(polygon)[0]) for polygon in fine]
    np.testing.assert_allclose(frame['area_m2'], geodesic, rtol=1e-6)


def test_without_a_crs_that_tells_areas_there_are_none(tmp_path: Path) -> None:
    turned = DEGREES @ Affine.rotation(10)
    source = write_map(tmp_path / 'map.tif', landscape(20, 20), crs='EPSG:4326', transform=turned)
    summary = polygonize(source, tmp_path / 'map.gpkg', progress=False)
    assert summary.areas_m2 is None
    assert 'm2' not in str(summary)
    assert read(tmp_path / 'map.gpkg')['area_m2'].isna().all()
    with pytest.raises(ValueError, match='min_area needs a CRS that tells areas'):
        polygonize(source, tmp_path / 'b.gpkg', min_area=1, progress=False)


def test_simplified_polygons_share_their_borders(tmp_path: Path) -> None:
    source = write_map(tmp_path / 'map.tif', landscape(70, 90))
    exact = polygonize(source, tmp_path / 'exact.gpkg', progress=False)
    simple = polygonize(source, tmp_path / 'simple.gpkg', simplify=15, progress=False)
    before, after = read(tmp_path / 'exact.gpkg'), read(tmp_path / 'simple.gpkg')
    assert simple.counts == exact.counts
    assert after.is_valid.all()
    assert shapely.coverage_is_valid(after.geometry.to_numpy())
    assert after.count_coordinates().sum() < 0.6 * before.count_coordinates().sum()
    # the pixels'
    assert sorted(after['area_m2']) == sorted(before['area_m2'])


@pytest.mark.parametrize('limit', ['MAX_SIMPLIFIED', 'MAX_SIMPLIFIED_SEGMENTS'])
def test_too_many_polygons_are_not_simplified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(polygons, limit, 10)
    source = write_map(tmp_path / 'map.tif', landscape(70, 90))
    with pytest.raises(ValueError, match=r'the map has more: \d+ and [\d,]+ so far; leave small'):
        polygonize(source, tmp_path / 'simple.gpkg', simplify=15, progress=False)
    assert not (tmp_path / 'simple.gpkg').exists()


@pytest.mark.parametrize('suffix', ['.gpkg', '.parquet', '.geojson'])
@pytest.mark.parametrize('simplify', [None, 5.0])
def test_a_map_of_nothing_makes_a_valid_file(
    tmp_path: Path, suffix: str, simplify: float | None
) -> None:
    source = write_map(tmp_path / 'map.tif', np.full((5, 7), 255, np.uint8))
    path = tmp_path / f'none{suffix}'
    summary = polygonize(source, path, simplify=simplify, progress=False)
    frame = read(path)
    assert len(frame) == 0
    if suffix != '.geojson':
        # which says nothing about what is not there
        assert set(frame.columns) >= {'class', 'class_name', 'area_m2', 'geometry'}
        assert frame.crs == 'EPSG:32632'
    assert summary.counts == ()
    assert f'{path}: 0' in str(summary)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'min_area': -1.0}, 'min_area must be >= 0'),
        ({'simplify': 0.0}, 'simplify must be > 0'),
        ({'classes': ['lake']}, "no class 'lake'"),
    ],
)
def test_wrong_options_leave_no_file(
    tmp_path: Path, options: dict[str, object], message: str
) -> None:
    source = write_map(tmp_path / 'map.tif', landscape(20, 20))
    with pytest.raises(ValueError, match=message):
        polygonize(source, tmp_path / 'a.gpkg', progress=False, **options)  # type: ignore[arg-type]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'map.qml',
        'map.tif',
        'map.tif.aux.xml',
    ]


def test_an_existing_file_is_left_alone(tmp_path: Path) -> None:
    source = write_map(tmp_path / 'map.tif', landscape(20, 20))
    (tmp_path / 'a.gpkg').write_text('mine')
    with pytest.raises(FileExistsError, match='--overwrite'):
        polygonize(source, tmp_path / 'a.gpkg', progress=False)
    assert (tmp_path / 'a.gpkg').read_text() == 'mine'


def test_a_map_that_breaks_off_leaves_no_file(tmp_path: Path) -> None:
    source = write_map(
        tmp_path / 'map.tif', np.random.default_rng(0).integers(0, 3, (90, 90), np.uint8)
    )
    data = source.read_bytes()
    source.write_bytes(data[: len(data) // 2])
    with pytest.raises(OSError, match='cannot be read at rows'):
        polygonize(source, tmp_path / 'a.gpkg', progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'map.qml',
        'map.tif',
        'map.tif.aux.xml',
    ]


def test_the_command_says_what_was_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_map(tmp_path / 'map.tif', landscape(40, 40))
    destination = tmp_path / 'objects.gpkg'
    words = ['polygons', str(source), '-o', str(destination), '--min-area', '300', '--no-progress']
    assert main([*words, '--classes', 'field', 'water', '--simplify', '12']) == 0
    printed = capsys.readouterr().out
    frame = read(destination)
    assert set(frame['class_name']) == {'field', 'water'}
    assert f'{destination}: {len(frame)}' in printed
    assert 'dropped' in printed
    assert 'ha' in printed
    assert main(words) == 1
    assert 'exists' in capsys.readouterr().err
    assert main([*words, '--overwrite']) == 0


def test_a_map_without_a_crs_is_one_line_and_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_map(tmp_path / 'map.tif', landscape(9, 9), crs=None)
    assert main(['polygons', str(source), '-o', str(tmp_path / 'a.gpkg')]) == 1
    error = capsys.readouterr().err
    assert error.count('\n') == 1
    assert 'names no CRS' in error


def test_the_command_needs_no_torch(tmp_path: Path) -> None:
    source = write_map(tmp_path / 'map.tif', landscape(20, 20))
    code = (
        'import sys\nfrom gersp_geo.main import main\n'
        'assert main(sys.argv[1:]) == 0\n'
        'assert not {"torch", "lightning", "torchgeo"} & set(sys.modules)'
    )
    words = ['polygons', source, '-o', tmp_path / 'a.gpkg', '--preview', tmp_path / 'a.png']
    command = [sys.executable, '-c', code, *map(str, words), '--no-progress']
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


def test_a_signal_ends_the_command_and_leaves_no_file(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 3, (1500, 1500), np.uint8)
    source = write_map(tmp_path / 'map.tif', pixels)
    made = tmp_path / 'made'
    words = ['polygons', source, '-o', made / 'a.gpkg', '--no-progress']
    command = [sys.executable, '-m', 'gersp_geo.main', *map(str, words)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not list(made.glob('.a.*.gpkg')):
            sleep(0.01)
        process.terminate()
        _, error = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM, error
    assert 'begins anew with the same command' in error
    assert list(made.iterdir()) == []


MEASURE = """
import resource, sys
from gersp_geo.inference.polygons import polygonize

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

polygonize(sys.argv[1], sys.argv[2], progress=False)
before = peak()
print(polygonize(sys.argv[3], sys.argv[4], progress=False))
print(peak() - before)
"""


@pytest.mark.slow
def test_a_map_of_20_000_x_20_000_pixels_takes_bounded_memory(tmp_path: Path) -> None:
    pytest.importorskip('resource')
    tile = landscape(2000, 2000, specks=0)
    profile = {'driver': 'GTiff', 'count': 1, 'dtype': 'uint8', 'crs': 'EPSG:32632', 'nodata': 255}
    layout = {'tiled': True, 'blockxsize': 512, 'blockysize': 512, 'compress': 'deflate'}
    large = tmp_path / 'large.tif'
    with rasterio.open(
        large, 'w', height=20_000, width=20_000, transform=UTM, **profile, **layout
    ) as dst:
        for row in range(0, 20_000, 2000):
            dst.write(np.tile(tile, (1, 10)), 1, window=Window(0, row, 20_000, 2000))
    small = write_map(tmp_path / 'small.tif', tile)
    words = [small, tmp_path / 'small.gpkg', large, tmp_path / 'large.gpkg']
    answer = subprocess.run(
        [sys.executable, '-c', MEASURE, *map(str, words)],
        capture_output=True,
        text=True,
        check=True,
    )
    more = int(answer.stdout.split()[-1])
    # 400 MB of pixels; one object goes all over, with most of the vertices
    assert more < 1.2e9, answer.stdout
    areas = read(tmp_path / 'large.gpkg').groupby('class')['area_m2'].sum()
    for value in range(3):
        assert areas[value] == 100 * 100 * (tile == value).sum()
