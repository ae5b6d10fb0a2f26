"""Laws of tiled prediction, on real GeoTIFFs."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import torch
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.crs import CRS
from rio_cogeo.cogeo import cog_validate
from torch import Tensor, nn

from gersp_geo.inference import plan_prediction, predict_geotiff
from gersp_geo.inference.options import MapOptions
from gersp_geo.inference.outputs.map_maker import MapMaker
from gersp_geo.inference.prepare import prepare
from gersp_geo.inference.run import run_plan
from gersp_geo.preprocessing import Preprocessing

type Predict = Callable[..., NDArray[Any]]

UTM = CRS.from_epsg(32632)
GRID = Affine(0.3, 0, 399_999.7, 0, -0.3, 5_000_000.2)
SHAPES = {
    'odd': (67, 101),
    'one patch': (32, 32),
    'a patch and a pixel': (33, 33),
    'smaller than a patch': (9, 20),
    'one pixel wide': (50, 1),
    'one pixel': (1, 1),
}


def record_for(bands: int, **others: object) -> Preprocessing:
    ones = (1.0,) * bands
    names = tuple(f'b{index}' for index in range(bands))
    return Preprocessing(
        bands=names,
        scale=ones,
        mean=(0.0,) * bands,
        std=ones,
        **others,  # type: ignore[arg-type]
    )


def write(
    path: Path,
    pixels: NDArray[Any],
    *,
    nodata: float | None = None,
    transform: Affine = GRID,
    crs: CRS = UTM,
    compress: str | None = None,
) -> Path:
    count, height, width = pixels.shape
    with rasterio.open(
        path, 'w', driver='GTiff', height=height, width=width, count=count, dtype=pixels.dtype,
        nodata=nodata, crs=crs, transform=transform, tiled=True, blockxsize=16, blockysize=16,
        compress=compress,
    ) as dst:  # fmt: skip
        dst.write(pixels)
    return path


def noise(shape: tuple[int, ...], dtype: str = 'float32') -> NDArray[Any]:
    random = np.random.default_rng(7)
    if dtype == 'float32':
        return random.random(shape, dtype='float32')
    return random.integers(0, np.iinfo(dtype).max, shape).astype(dtype)


def identity(images: Tensor) -> Tensor:
    return images


@pytest.fixture
def predict(tmp_path: Path) -> Predict:
    """Predict with small patches and return the pixels of the map."""

    def run(model: object, source: Path, **options: object) -> NDArray[Any]:
        settings: dict[str, object] = {
            'size': 32, 'overlap': 8, 'output': 'values', 'overwrite': True, 'progress': False,
            **options,
        }  # fmt: skip
        destination = tmp_path / 'map.tif'
        predict_geotiff(model, source, destination, **settings)  # type: ignore[arg-type]
        with rasterio.open(destination) as src:
            pixels: NDArray[Any] = src.read()
        return pixels

    return run


@pytest.mark.quick('odd', 'one pixel')
@pytest.mark.parametrize('shape', SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize('options', [{}, {'blend': 'crop'}, {'overlap': 0}, {'margin': 4}], ids=str)
def test_an_identity_model_returns_the_scene(
    tmp_path: Path, predict: Predict, shape: tuple[int, int], options: dict[str, object]
) -> None:
    pixels = noise((2, *shape))
    source = write(tmp_path / 'scene.tif', pixels)
    stitched = predict(identity, source, preprocessing=record_for(2), **options)
    np.testing.assert_allclose(stitched, pixels, rtol=0, atol=1e-6)


@given(
    shape=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    overlap=st.integers(0, 23),
    blend=st.sampled_from(['hann', 'crop']),
)
def test_an_identity_model_returns_any_scene(
    tmp_path: Path, predict: Predict, shape: tuple[int, int], overlap: int, blend: str
) -> None:
    pixels = noise((1, *shape))
    source = write(tmp_path / 'scene.tif', pixels)
    options = {'size': 24, 'overlap': overlap, 'blend': blend}
    stitched = predict(identity, source, preprocessing=record_for(1), **options)
    # with a stride of one, each pixel is a sum of 576 rounded products; 1e-5 is what is promised
    np.testing.assert_allclose(stitched, pixels, rtol=0, atol=1e-6 if overlap <= 12 else 1e-5)


@pytest.mark.parametrize('dtype', ['uint8', 'int16', 'uint16', 'int32'])
def test_integers_enter_as_they_are(tmp_path: Path, predict: Predict, dtype: str) -> None:
    pixels = noise((1, 40, 40), dtype)
    source = write(tmp_path / 'scene.tif', pixels)
    stitched = predict(identity, source, preprocessing=record_for(1))
    np.testing.assert_allclose(stitched, pixels.astype('float32'), rtol=1e-6)


@pytest.mark.parametrize('blend', ['hann', 'crop'])
def test_a_constant_model_gives_a_constant_map(
    tmp_path: Path, predict: Predict, blend: str
) -> None:
    source = write(tmp_path / 'scene.tif', noise((1, 75, 90)))

    def constant(images: Tensor) -> Tensor:
        return torch.tensor([0.0, 3.0, 1.0])[None, :, None, None].expand(
            len(images), 3, *images.shape[2:]
        )

    options = {'preprocessing': record_for(1), 'blend': blend}
    classes = predict(constant, source, output='classes', **options)
    assert (classes == 1).all()
    probabilities = predict(constant, source, output='probabilities', **options)
    expected = torch.tensor([0.0, 3.0, 1.0]).softmax(0).numpy()[:, None, None]
    np.testing.assert_allclose(probabilities, np.broadcast_to(expected, (3, 75, 90)), rtol=1e-6)


def test_each_band_is_scaled_and_standardised_by_its_own_numbers(
    tmp_path: Path, predict: Predict
) -> None:
    pixels = noise((3, 20, 20), 'uint8')
    source = write(tmp_path / 'scene.tif', pixels)
    record = Preprocessing(
        bands=('nir', 'red'), scale=(0.5, 2.0), mean=(1.0, -3.0), std=(4.0, 0.25)
    )
    stitched = predict(identity, source, preprocessing=record, bands=(3, 1))
    expected = np.stack([(pixels[2] * 0.5 - 1) / 4, (pixels[0] * 2.0 + 3) / 0.25])
    np.testing.assert_allclose(stitched, expected, rtol=1e-6, atol=1e-6)


def test_the_result_is_independent_of_the_batch_size(tmp_path: Path, predict: Predict) -> None:
    torch.manual_seed(0)
    model = nn.Conv2d(1, 4, 3, padding=1)
    source = write(tmp_path / 'scene.tif', noise((1, 100, 130)))
    options = {'preprocessing': record_for(1), 'output': 'probabilities'}
    one = predict(model, source, batch_size=1, **options)
    for batch_size in (2, 3, 64, 'auto'):
        many = predict(model, source, batch_size=batch_size, **options)
        np.testing.assert_allclose(many, one, rtol=0, atol=1e-6)


@pytest.mark.parametrize('nodata', [-9999.0, float('nan'), float(np.finfo('float32').min)])
@pytest.mark.parametrize('tagged', [True, False])
def test_a_hole_comes_out_as_nodata_and_spoils_nothing_around(
    tmp_path: Path, predict: Predict, nodata: float, tagged: bool
) -> None:
    pixels = noise((2, 70, 70))
    hole = np.zeros((70, 70), dtype=bool)
    hole[20:45, 30:50] = True
    pixels[:, hole] = nodata
    source = write(tmp_path / 'scene.tif', pixels, nodata=nodata if tagged else None)
    options = {'preprocessing': record_for(2)} | ({} if tagged else {'nodata': nodata})
    # sees its surroundings, so that one infinity would spread
    mean = nn.AvgPool2d(3, stride=1, padding=1)
    values = predict(mean, source, **options)
    assert (np.isnan(values) == hole).all()
    assert (np.abs(values[:, ~hole]) <= 1).all()
    classes = predict(identity, source, **options, output='classes')
    assert ((classes == 255) == hole).all()


def test_nodata_of_the_record_counts_where_the_scene_says_nothing(
    tmp_path: Path, predict: Predict
) -> None:
    pixels = np.full((1, 40, 40), 5, dtype='uint8')
    pixels[:, :10] = 0
    source = write(tmp_path / 'scene.tif', pixels)
    values = predict(identity, source, preprocessing=record_for(1, nodata=0))
    assert np.isnan(values[:, :10]).all()
    np.testing.assert_allclose(values[:, 10:], 5, rtol=1e-6)


class Counter(nn.Module):
    """Counts the patches that it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = 0

    def forward(self, images: Tensor) -> Tensor:
        self.patches += len(images)
        return images


def test_patches_without_an_observation_are_not_forwarded(tmp_path: Path) -> None:
    pixels = np.zeros((1, 96, 96), dtype='uint8')
    pixels[:, 40:50, 40:50] = 200
    source = write(tmp_path / 'scene.tif', pixels, nodata=0)
    model = Counter()
    summary = predict_geotiff(
        model, source, tmp_path / 'map.tif', size=32, overlap=0, preprocessing=record_for(1),
        output='values', progress=False,
    )  # fmt: skip
    assert (summary.patches, summary.forwarded) == (9, 1)
    # and the patch of zeros that tells the number of channels
    assert model.patches == 2
    assert summary.valid_pixels == 100
    with rasterio.open(tmp_path / 'map.tif') as src:
        assert (np.isfinite(src.read()) == (pixels > 0)).all()


def test_a_scene_without_any_observation_becomes_a_map_without_any(
    tmp_path: Path, predict: Predict
) -> None:
    source = write(tmp_path / 'scene.tif', np.zeros((1, 50, 40), dtype='uint8'), nodata=0)
    for output, nodata in (('classes', 255), ('values', np.nan)):
        pixels = predict(identity, source, preprocessing=record_for(1), output=output)
        np.testing.assert_array_equal(pixels, np.full((1, 50, 40), nodata))


def test_a_vrt_is_a_scene_like_any_other(tmp_path: Path, predict: Predict) -> None:
    pixels = noise((1, 45, 45))
    source = write(tmp_path / 'scene.tif', pixels)
    rasterio.shutil.copy(source, tmp_path / 'scene.vrt', driver='VRT')
    stitched = predict(identity, tmp_path / 'scene.vrt', preprocessing=record_for(1))
    np.testing.assert_allclose(stitched, pixels, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ('transform', 'epsg'),
    [
        (Affine(0.1, 0, 11_350_123.1, 0, -0.1, 6_123_456.7), 3857),
        (Affine(0.3, 0, 5e5 + 1 / 3, 0, 0.3, 5e6), 32632),
        (Affine(0.29, 0.045, 5e5 + 1 / 7, 0.067, -0.19, 5e6), 32632),
        (Affine(1 / 3600, 0, 11 + 1 / 3, 0, -1 / 3600, 48), 4326),
    ],
    ids=['0.1 m, large coordinates', 'south-up', 'rotated', 'geographic'],
)
def test_the_map_lies_exactly_where_the_scene_lies(
    tmp_path: Path, predict: Predict, transform: Affine, epsg: int
) -> None:
    crs = CRS.from_epsg(epsg)
    pixels = noise((1, 70, 50))
    source = write(tmp_path / 'scene.tif', pixels, transform=transform, crs=crs)
    stitched = predict(identity, source, preprocessing=record_for(1))
    with rasterio.open(tmp_path / 'map.tif') as src:
        assert tuple(src.transform) == tuple(transform)
        assert src.crs == crs
    np.testing.assert_allclose(stitched, pixels, rtol=0, atol=1e-6)


def test_a_class_map_is_a_valid_cog_with_a_legend_and_a_history(tmp_path: Path) -> None:
    source = write(tmp_path / 'scene.tif', noise((3, 600, 530)))
    record = record_for(
        3, class_names=('water', 'forest', 'road'), class_colors=((0, 0, 9), (0, 9, 0), (9, 9, 9))
    )
    destination = tmp_path / 'map.tif'
    predict_geotiff(
        nn.Identity(), source, destination, size=256, preprocessing=record, progress=False
    )
    is_valid, errors, warnings = cog_validate(destination, strict=True)
    assert is_valid, (errors, warnings)
    with rasterio.open(destination) as src:
        assert src.dtypes == ('uint8',)
        assert src.nodata == 255
        assert [src.colormap(1)[index][:3] for index in range(3)] == list(record.class_colors)
        assert json.loads(src.tags(1)['CLASS_NAMES']) == list(record.class_names)
        assert src.tags()['MODEL'] == 'Identity'
        assert src.tags()['PATCH_SIZE'] == '256'
        assert src.overviews(1)
    assert 'forest' in (tmp_path / 'map.qml').read_text(encoding='utf-8')


def test_probabilities_name_their_bands_and_sum_to_one(tmp_path: Path, predict: Predict) -> None:
    source = write(tmp_path / 'scene.tif', noise((3, 70, 70)))
    record = record_for(3, class_names=('water', 'forest', 'road'))
    pixels = predict(identity, source, preprocessing=record, output='probabilities')
    np.testing.assert_allclose(pixels.sum(axis=0), 1, rtol=1e-6)
    with rasterio.open(tmp_path / 'map.tif') as src:
        assert src.descriptions == record.class_names
        assert np.isnan(src.nodata)
        assert src.dtypes == ('float32',) * 3


def test_one_logit_means_two_classes(tmp_path: Path, predict: Predict) -> None:
    pixels = noise((1, 40, 40)) - 0.5
    source = write(tmp_path / 'scene.tif', pixels)
    record = record_for(1, class_names=('background', 'building'))
    classes = predict(identity, source, preprocessing=record, output='classes')
    np.testing.assert_array_equal(classes, pixels >= 0)
    predict(identity, source, preprocessing=record, output='probabilities')
    with rasterio.open(tmp_path / 'map.tif') as src:
        assert src.descriptions == ('building',)


def test_more_classes_than_a_byte_holds_take_two(tmp_path: Path, predict: Predict) -> None:
    source = write(tmp_path / 'scene.tif', np.zeros((1, 20, 20), dtype='uint8'))

    def last_of_300(images: Tensor) -> Tensor:
        scores = torch.zeros(len(images), 300, *images.shape[2:])
        scores[:, 299] = 1
        return scores

    pixels = predict(last_of_300, source, preprocessing=record_for(1), output='classes')
    assert pixels.dtype == np.uint16
    assert (pixels == 299).all()


def test_areas_add_up_to_the_valid_part_of_the_scene(tmp_path: Path) -> None:
    pixels = noise((2, 60, 60))
    pixels[:, :15] = np.nan
    source = write(tmp_path / 'scene.tif', pixels)
    summary = predict_geotiff(
        identity, source, tmp_path / 'map.tif', size=32, overlap=8, preprocessing=record_for(2),
        progress=False,
    )  # fmt: skip
    assert sum(summary.class_pixels) == summary.valid_pixels == 45 * 60
    assert summary.pixels == 3600
    assert summary.class_areas_m2 is not None
    assert sum(summary.class_areas_m2) == pytest.approx(45 * 60 * 0.09)
    assert 'class 1' in str(summary)


def hidden_and_maps(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != 'scene.tif')


def test_a_failing_model_leaves_no_file(tmp_path: Path) -> None:
    source = write(tmp_path / 'scene.tif', noise((1, 100, 100)))
    calls: Iterator[int] = iter(range(100))

    def fails_later(images: Tensor) -> Tensor:
        if next(calls) == 4:
            raise RuntimeError('out of memory')
        return images

    with pytest.raises(RuntimeError, match='out of memory'):
        predict_geotiff(
            fails_later, source, tmp_path / 'map.tif', size=32, overlap=0, batch_size=1,
            preprocessing=record_for(1), progress=False,
        )  # fmt: skip
    assert hidden_and_maps(tmp_path) == []


def test_a_damaged_scene_leaves_no_file(tmp_path: Path) -> None:
    source = write(tmp_path / 'scene.tif', noise((1, 100, 100)), compress='deflate')
    source.write_bytes(source.read_bytes()[:-5000] + b'x' * 5000)
    with pytest.raises(OSError, match=r'scene\.tif cannot be read at rows'):
        predict_geotiff(
            identity, source, tmp_path / 'map.tif', size=32, overlap=0,
            preprocessing=record_for(1), progress=False,
        )  # fmt: skip
    assert hidden_and_maps(tmp_path) == []


def test_an_existing_map_is_kept_before_any_work(tmp_path: Path) -> None:
    source = write(tmp_path / 'scene.tif', noise((1, 20, 20)))
    (tmp_path / 'map.tif').write_text('precious')
    model = Counter()
    for function in (predict_geotiff, plan_prediction):
        with pytest.raises(FileExistsError, match=r'map\.tif exists'):
            function(model, source, tmp_path / 'map.tif', preprocessing=record_for(1))
    assert model.patches == 0
    assert (tmp_path / 'map.tif').read_text() == 'precious'


def test_a_folder_is_refused_before_any_work(tmp_path: Path) -> None:
    source = write(tmp_path / 'scene.tif', noise((1, 20, 20)))
    (tmp_path / 'maps').mkdir()
    model = Counter()
    with pytest.raises(FileExistsError, match=r'maps is a folder; pass the path of a file'):
        predict_geotiff(
            model, source, tmp_path / 'maps', preprocessing=record_for(1), overwrite=True
        )
    assert model.patches == 0


def test_the_scene_itself_is_never_replaced(tmp_path: Path) -> None:
    source = write(tmp_path / 'scene.tif', noise((1, 20, 20)))
    with pytest.raises(ValueError, match='is the scene itself'):
        predict_geotiff(identity, source, source, preprocessing=record_for(1), overwrite=True)


def test_a_model_is_evaluated_without_gradients_and_left_as_it_was(tmp_path: Path) -> None:
    class Watched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.frozen = nn.BatchNorm2d(1).eval()
            self.seen: list[tuple[bool, bool]] = []

        def forward(self, images: Tensor) -> Tensor:
            self.seen.append((self.training, torch.is_grad_enabled()))
            return images

    model = Watched().train()
    model.frozen.eval()
    source = write(tmp_path / 'scene.tif', noise((1, 20, 20)))
    options = MapOptions(
        size=32, overlap=0, preprocessing=record_for(1), output='values', device='cpu'
    )
    run_plan(prepare(MapMaker, model, source, tmp_path / 'map.tif', options), progress=False)
    assert set(model.seen) == {(False, False)}
    assert model.training
    assert not model.frozen.training


def test_progress_is_shown_on_standard_error_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(tmp_path / 'scene.tif', noise((1, 40, 40)))
    predict_geotiff(
        identity, source, tmp_path / 'map.tif', size=32, overlap=0, preprocessing=record_for(1)
    )
    captured = capsys.readouterr()
    assert captured.out == ''
    assert 'Mpx/s' in captured.err
