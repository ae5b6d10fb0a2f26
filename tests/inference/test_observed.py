"""What is an observation, through the commands: a graph that returns its input shows what it saw."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.shutil import copy

from gersp_geo.main import main
from gersp_geo.preprocessing import Preprocessing

MEAN = 100.0
SHAPE = (40, 50)
SCENE = Affine(10, 0, 500000, 0, -10, 5000000)
LOWEST = -3.4028234663852886e38

type Pixels = NDArray[np.generic]
type Flags = NDArray[np.bool_]


@pytest.fixture(scope='module')
def graph(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A graph that returns what it is given, or the mean of 15 x 15 pixels; a pixel less its mean."""
    folder = tmp_path_factory.mktemp('graphs')

    def make(*names: str, blurs: bool = False) -> Path:
        count = len(names)
        record = Preprocessing(
            bands=names, scale=(1.0,) * count, mean=(MEAN,) * count, std=(1.0,) * count
        )
        path = folder / f'{"-".join(names)}-{blurs}.onnx'
        shape: list[str | int | None] = ['batch', count, 'height', 'width']
        image, scores = (
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
            for name in ('image', 'scores')
        )
        options: dict[str, Any] = {'kernel_shape': [15, 15], 'pads': [7] * 4} if blurs else {}
        node = onnx.helper.make_node(
            'AveragePool' if blurs else 'Identity', ['image'], ['scores'], **options
        )
        body = onnx.helper.make_graph([node], 'same', [image], [scores])
        model = onnx.helper.make_model(body, opset_imports=[onnx.helper.make_opsetid('', 18)])
        model.ir_version = 9
        told = {'gersp_geo': json.dumps(record.to_dict()), 'scores': 'values'}
        onnx.helper.set_model_props(model, told)
        onnx.save(model, path)
        return path

    return make


def noise(count: int, dtype: str) -> Pixels:
    pixels: Pixels = np.random.default_rng(1).integers(1, 120, (count, *SHAPE)).astype(dtype)
    return pixels


def write(path: Path, pixels: Pixels, **profile: Any) -> Path:
    count, height, width = pixels.shape
    with rasterio.open(
        path, 'w', driver='GTiff', count=count, height=height, width=width, dtype=pixels.dtype,
        **{'crs': 'EPSG:32633', 'transform': SCENE} | profile,
    ) as dst:  # fmt: skip
        dst.write(pixels)
    return path


def run(model: Path, scene: Path, *words: str | Path) -> Pixels:
    """Predict, and return what the model saw, NaN where there is nothing."""
    found = scene.with_name('map.tif')
    line = ['predict', model, scene, '-o', found, '--output', 'values', '--overwrite']
    line += ['--size', '32', '--overlap', '8', '--blend', 'crop', '--no-progress']
    assert main([str(word) for word in (*line, *words)]) == 0
    with rasterio.open(found) as src:
        pixels: Pixels = src.read()
    return pixels


def seen(pixels: Pixels, present: Flags, valid: Flags) -> Pixels:
    """What a model sees that is right: the mean, which is 0, where a band is missing."""
    found = np.where(present, pixels.astype('float64') - MEAN, 0).astype('float32')
    return np.where(valid, found, np.nan)


def one_band_missing(dtype: str, value: float) -> tuple[Pixels, Flags]:
    """Pixels of which some lack one band, and some all; and where they do."""
    missing = np.zeros((3, *SHAPE), dtype=bool)
    missing[0, 5:12, 5:14] = True
    missing[2, 20:, 30:33] = True
    missing[:, 30:36, 2:9] = True
    return np.where(missing, np.array(value, dtype=dtype), noise(3, dtype)), missing


RULES = {(): None, ('--observed', 'any'): True, ('--observed', 'all'): False}


@pytest.mark.parametrize('words', RULES, ids=lambda words: ' '.join(words) or 'default')
@pytest.mark.parametrize(
    ('dtype', 'value', 'how'),
    [
        ('uint8', 0, 'tag'), ('uint8', 0, 'given'), ('int16', -9999, 'tag'), ('uint16', 0, 'given'),
        ('float32', LOWEST, 'tag'), ('float32', np.nan, 'itself'), ('float64', np.inf, 'itself'),
    ],
)  # fmt: skip
def test_a_value_in_one_band(
    tmp_path: Path,
    graph: Callable[..., Path],
    dtype: str,
    value: float,
    how: str,
    words: tuple[str, ...],
) -> None:
    pixels, missing = one_band_missing(dtype, value)
    scene = write(tmp_path / 'a.tif', pixels, nodata=value if how == 'tag' else None)
    given = ('--nodata', str(value)) if how == 'given' else ()
    found = run(graph('red', 'green', 'blue'), scene, *words, *given)
    is_byte = dtype == 'uint8'
    is_any = is_byte if RULES[words] is None else RULES[words]
    valid = ~missing.all(axis=0) if is_any else ~missing.any(axis=0)
    # a 0 in one band of a picture is data
    present = np.ones_like(missing) if is_byte else ~missing
    np.testing.assert_array_equal(found, seen(pixels, present, valid))


@pytest.mark.parametrize('words', RULES, ids=lambda words: ' '.join(words) or 'default')
@pytest.mark.parametrize(
    ('dtype', 'kind'), [('uint8', 'vrt'), ('uint16', 'msk'), ('float32', 'vrt')]
)
def test_a_mask_of_one_band(
    tmp_path: Path, graph: Callable[..., Path], dtype: str, kind: str, words: tuple[str, ...]
) -> None:
    _, missing = one_band_missing(dtype, 0)
    pixels = noise(3, dtype)
    scene = write(tmp_path / 'a.tif', pixels)
    masks = tmp_path / ('masks.tif' if kind == 'vrt' else 'a.tif.msk')
    write(masks, np.where(missing, 0, 255).astype('uint8'))
    if kind == 'msk':
        with rasterio.open(masks, 'r+') as dst:
            dst.update_tags(**{f'INTERNAL_MASK_FLAGS_{band}': 0 for band in (1, 2, 3)})
    else:
        scene = tmp_path / 'a.vrt'
        copy(tmp_path / 'a.tif', scene, driver='VRT')
        parts = scene.read_text().split('</VRTRasterBand>')
        for band in (1, 2, 3):
            parts[band - 1] += (
                '<MaskBand><VRTRasterBand dataType="Byte"><SimpleSource><SourceFilename '
                f'relativeToVRT="1">masks.tif</SourceFilename><SourceBand>{band}</SourceBand>'
                '</SimpleSource></VRTRasterBand></MaskBand>'
            )
        scene.write_text('</VRTRasterBand>'.join(parts))
    found = run(graph('red', 'green', 'blue'), scene, *words)
    valid = ~missing.all(axis=0) if RULES[words] else ~missing.any(axis=0)
    np.testing.assert_array_equal(found, seen(pixels, ~missing, valid))


def test_bands_of_several_extents_count_where_all_of_them_are(
    tmp_path: Path, graph: Callable[..., Path]
) -> None:
    pixels = noise(2, 'int16')
    write(tmp_path / 'one.tif', pixels[:1], nodata=-1)
    write(tmp_path / 'two.tif', pixels[1:, 10:, :30], nodata=-1)
    bands = ''.join(
        f'<VRTRasterBand dataType="Int16" band="{band}"><NoDataValue>-1</NoDataValue>'
        f'<ComplexSource><SourceFilename relativeToVRT="1">{name}.tif</SourceFilename><SourceBand>1'
        f'</SourceBand><SrcRect xOff="0" yOff="0" xSize="{width}" ySize="{height}"/><DstRect xOff="0" '
        f'yOff="{top}" xSize="{width}" ySize="{height}"/><NODATA>-1</NODATA></ComplexSource>'
        '</VRTRasterBand>'
        for band, name, top, height, width in ((1, 'one', 0, 40, 50), (2, 'two', 10, 30, 30))
    )
    scene = tmp_path / 'a.vrt'
    scene.write_text(
        f'<VRTDataset rasterXSize="50" rasterYSize="40"><SRS>EPSG:32633</SRS><GeoTransform>'
        f'{", ".join(map(str, SCENE.to_gdal()))}</GeoTransform>{bands}</VRTDataset>'
    )
    valid = np.zeros(SHAPE, dtype=bool)
    valid[10:, :30] = True
    found = run(graph('VV', 'VH'), scene)
    np.testing.assert_array_equal(found, seen(pixels, np.ones_like(pixels, dtype=bool), valid))


def test_a_missing_band_does_not_spread(tmp_path: Path, graph: Callable[..., Path]) -> None:
    pixels = np.full((3, *SHAPE), MEAN, dtype='float32')
    pixels[0, 20:22, 25:27] = LOWEST
    scene = write(tmp_path / 'a.tif', pixels, nodata=LOWEST)
    for words in (('--observed', 'any'), ()):
        found = run(graph('red', 'green', 'blue', blurs=True), scene, *words)
        assert np.isnan(found).sum() == (0 if words else 12)
        assert not np.nan_to_num(found).any()


@pytest.mark.parametrize(
    ('dtype', 'words'),
    [
        ('uint8', ()), ('uint8', ('--res', '7')), ('uint8', ('--crs', 'EPSG:32632')),
        ('uint16', ('--res', '7')), ('float32', ('--crs', 'EPSG:32632')),
    ],
    ids=str,
)  # fmt: skip
def test_a_band_that_is_read_is_data_also_where_it_is_tagged_as_alpha(
    tmp_path: Path, graph: Callable[..., Path], dtype: str, words: tuple[str, ...]
) -> None:
    pixels = np.full((4, *SHAPE), 150, dtype=dtype)
    pixels[3, :20] = 0
    scene = write(tmp_path / 'a.tif', pixels, photometric='RGB', alpha='YES')
    with rasterio.open(scene) as src:
        assert src.colorinterp[3] == ColorInterp.alpha
    model = graph('red', 'green', 'blue', 'nir')
    found = run(model, scene, '--bands', '1,2,3,4', *words)
    line = ['--bands', '1,2,3', *words]
    three = run(graph('red', 'green', 'blue'), scene, *line)
    shown = np.isfinite(found).all(axis=0)
    assert (found[:3, shown] == 50).all()
    share = shown.mean()
    assert share > (0.95 if not words or '--res' in words else 0.8)
    # where it is not read, its zeros are transparency
    assert np.isfinite(three).all(axis=0).mean() == pytest.approx(share / 2, abs=0.04)


@pytest.mark.parametrize('words', [('--res', '7'), ('--crs', 'EPSG:32632')], ids=str)
@pytest.mark.parametrize('how', ['int16', 'float32', 'mask'])
def test_what_is_missing_is_not_resampled_into_its_neighbours(
    tmp_path: Path, graph: Callable[..., Path], how: str, words: tuple[str, ...]
) -> None:
    missing = np.zeros(SHAPE, dtype=bool)
    missing[10:20, 10:30] = True
    pixels = np.full((3, *SHAPE), 150, dtype='int16' if how == 'mask' else how)
    pixels[1, missing] = -9999
    if how == 'float32':
        pixels[1, missing] = np.nan
        pixels[2, 30, 30] = np.inf
    scene = write(tmp_path / 'a.tif', pixels, nodata=-9999 if how == 'int16' else None)
    if how == 'mask':
        masks = np.repeat(np.where(missing, 0, 255).astype('uint8')[None], 3, axis=0)
        with rasterio.open(write(tmp_path / 'a.tif.msk', masks), 'r+') as dst:
            dst.update_tags(**{f'INTERNAL_MASK_FLAGS_{band}': 0 for band in (1, 2, 3)})
    found = run(graph('red', 'green', 'blue'), scene, *words)
    shown = np.isfinite(found).all(axis=0)
    assert (found[:, shown] == 50).all()
    with rasterio.open(tmp_path / 'map.tif') as src:
        area = shown.sum() * abs(src.transform.a * src.transform.e)
    # as much ground as before
    assert area == pytest.approx((~missing).sum() * 100 - 100 * (how == 'float32'), rel=0.02)


@pytest.mark.parametrize('dtype', ['uint8', 'int16'])
def test_a_block_that_one_band_does_not_store_is_missing_there(
    tmp_path: Path, graph: Callable[..., Path], dtype: str
) -> None:
    pixels = np.random.default_rng(0).integers(1, 100, (2, 64, 64)).astype(dtype)
    missing = np.zeros(pixels.shape, dtype=bool)
    missing[0, :32, 32:] = missing[:, 32:, 32:] = True
    pixels[missing] = 0
    scene = write(
        tmp_path / 'a.tif', pixels, nodata=0, interleave='band', tiled=True, blockxsize=32,
        blockysize=32, sparse_ok=True,
    )  # fmt: skip
    for words in ((), ('--observed', 'all'), ('--observed', 'any')):
        is_any = words == ('--observed', 'any') or (dtype == 'uint8' and not words)
        valid = ~missing.all(axis=0) if is_any else ~missing.any(axis=0)
        present = np.ones_like(missing) if dtype == 'uint8' else ~missing
        found = run(graph('VV', 'VH'), scene, *words)
        np.testing.assert_array_equal(found, seen(pixels, present, valid))


@pytest.mark.parametrize('words', RULES, ids=lambda words: ' '.join(words) or 'default')
def test_two_dates_need_each_other_and_each_is_judged_by_itself(
    tmp_path: Path, graph: Callable[..., Path], words: tuple[str, ...]
) -> None:
    dates, gaps = [], []
    for name, rows in (('before', slice(0, 10)), ('after', slice(5, 20))):
        pixels = noise(2, 'int16')
        missing = np.zeros(pixels.shape, dtype=bool)
        missing[0, rows, 5:15] = missing[:, rows, 30:35] = True
        pixels[missing] = -5
        write(tmp_path / f'{name}.tif', pixels, nodata=-5)
        dates.append(pixels)
        gaps.append(missing)
    model = graph('VV', 'VH', 'VV2', 'VH2')
    # of two dates, bands lie side by side
    proto = onnx.load(model)
    record = Preprocessing(bands=('VV', 'VH'), scale=(1.0,) * 2, mean=(MEAN,) * 2, std=(1.0,) * 2)
    told = {'gersp_geo': json.dumps(record.to_dict()), 'scores': 'values'}
    onnx.helper.set_model_props(proto, told)
    onnx.save(proto, tmp_path / 'pair.onnx')
    found = run(
        tmp_path / 'pair.onnx', tmp_path / 'before.tif', '--after', tmp_path / 'after.tif', *words
    )
    judged = [~g.all(axis=0) if RULES[words] else ~g.any(axis=0) for g in gaps]
    expected = seen(np.concatenate(dates), ~np.concatenate(gaps), judged[0] & judged[1])
    np.testing.assert_array_equal(found, expected)


def test_the_rule_is_told_in_plan_and_map_and_another_one_does_not_go_on(
    tmp_path: Path, graph: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    pixels, _ = one_band_missing('int16', -9999)
    scene = write(tmp_path / 'a.tif', pixels, nodata=-9999)
    model = graph('red', 'green', 'blue')
    line = [str(model), str(scene), '-o', str(tmp_path / 'map.tif'), '--output', 'values']
    assert main(['plan', *line]) == 0
    assert 'observed' not in capsys.readouterr().out
    assert main(['plan', *line, '--observed', 'any']) == 0
    assert 'observed   where any band is there' in capsys.readouterr().out
    assert main(['predict', *line, '--shard', '0/2', '--observed', 'any']) == 0
    capsys.readouterr()
    assert main(['predict', *line, '--shard', '1/2']) == 1
    assert 'observed' in capsys.readouterr().err
    assert main(['predict', *line, '--shard', '1/2', '--observed', 'any']) == 0
    assert main(['predict', *line, '--merge', '--observed', 'any']) == 0
    with rasterio.open(tmp_path / 'map.tif') as src:
        assert src.tags()['OBSERVED'] == 'any'
    with pytest.raises(SystemExit):
        main(['predict', *line, '--observed', 'some'])


def test_single_bands_without_a_value_of_their_own_are_refused_on_another_grid(
    tmp_path: Path, graph: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    scene = write(tmp_path / 'a.tif', noise(2, 'uint16'))
    masks = write(tmp_path / 'a.tif.msk', noise(2, 'uint8'))
    with rasterio.open(masks, 'r+') as dst:
        dst.update_tags(INTERNAL_MASK_FLAGS_1=0, INTERNAL_MASK_FLAGS_2=0)
    line = ['predict', str(graph('VV', 'VH')), str(scene), '-o', str(tmp_path / 'map.tif')]
    assert main([*line, '--output', 'values', '--res', '7', '--observed', 'any']) == 1
    error = capsys.readouterr().err
    assert error.count('\n') == 1
    assert "observed='any' (--observed any) needs one nodata value" in error
    assert not (tmp_path / 'map.tif').exists()
