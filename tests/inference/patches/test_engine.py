"""Vectors and classes of patches: those of the model on the same windows."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
import shapely
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rio_cogeo.cogeo import cog_validate
from torch import Tensor, nn
from torchgeo.tasks import Classification

from gersp_geo import export_backbone
from gersp_geo.inference import classify_scene, embed_scene
from gersp_geo.inference.options import ObjectOptions, PatchOptions
from gersp_geo.models.backbones import create_backbone
from tests.inference.patches.scenes import (
    GRID,
    NAMES,
    RECORD,
    UTM,
    Corners,
    noise,
    normalised,
    save,
    write_scene,
)

QUIET: dict[str, Any] = {'device': 'cpu', 'progress': False}


def test_auto_means_what_is_usual_of_each_kind() -> None:
    for kind, usual in ((PatchOptions, (224, 0)), (ObjectOptions, (512, 64))):
        options = kind(size='auto', overlap='auto')
        assert (options.side, options.shared) == usual


def windows(pixels: NDArray[Any], size: int, overlap: int) -> Tensor:
    """Cut a scene into patches by NumPy, shape (rows, cols, bands, size, size)."""
    stride = size - overlap
    _, height, width = pixels.shape
    rows, cols = (range(0, max(length - overlap, 1), stride) for length in (height, width))
    padded = np.pad(pixels, ((0, 0), (0, size), (0, size)), mode='reflect')
    images = normalised(padded)
    return torch.stack(
        [torch.stack([images[:, r : r + size, c : c + size] for c in cols]) for r in rows]
    )


def read_map(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as src:
        values: NDArray[Any] = src.read()
        return values


def vectors_of(table: Path) -> NDArray[np.float32]:
    """Read the vectors in the order of the grid."""
    frame = geopandas.read_parquet(table).sort_values(['row', 'col'])
    return np.stack(frame['embedding'].to_list())


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    size = draw(st.integers(4, 30))
    return {
        'height': draw(st.integers(size, 70)),
        'width': draw(st.integers(size, 70)),
        'size': size,
        'overlap': draw(st.integers(0, size - 1 if size < 8 else size // 2)),
        'batch_size': draw(st.integers(1, 7)),
    }


@given(cases())
def test_vectors_are_those_of_the_model_on_the_same_windows(
    tmp_path: Path, case: dict[str, Any]
) -> None:
    pixels = noise(case.pop('height'), case.pop('width'))
    source = write_scene(tmp_path / 'scene.tif', pixels)
    made, raster = tmp_path / 'vectors.parquet', tmp_path / 'vectors.tif'
    summary = embed_scene(
        Corners(),
        source,
        made,
        raster=raster,
        preprocessing=RECORD,
        overwrite=True,
        **case,
        **QUIET,
    )
    cut = windows(pixels, case['size'], case['overlap'])
    rows, cols = cut.shape[:2]
    expected = Corners()(cut.flatten(0, 1))
    np.testing.assert_allclose(vectors_of(made), expected, atol=1e-5)
    assert (summary.rows, summary.cols, summary.forwarded) == (rows, cols, rows * cols)
    # the map holds the same, one pixel per patch
    expected = expected.unflatten(0, (rows, cols)).permute(2, 0, 1)
    np.testing.assert_allclose(read_map(raster), expected, atol=1e-5)


def test_a_backbone_from_a_file_gives_what_timm_gives(tmp_path: Path) -> None:
    torch.manual_seed(0)
    backbone = create_backbone('resnet18', in_channels=2, size=32)
    torch.save({'state_dict': {f'backbone.{k}': v for k, v in backbone.state_dict().items()}, 'hyper_parameters': {'model': 'resnet18'}}, tmp_path / 'raw.ckpt')  # fmt: skip
    export_backbone(tmp_path / 'raw.ckpt', tmp_path / 'folder', format='timm')
    pixels = noise(70, 100)
    source = write_scene(tmp_path / 'scene.tif', pixels)
    with torch.inference_mode():
        expected = backbone.eval()(windows(pixels, 32, 8).flatten(0, 1)).numpy()
    for weights in (tmp_path / 'raw.ckpt', tmp_path / 'folder'):
        made = tmp_path / f'{weights.stem}.parquet'
        summary = embed_scene(weights, source, made, preprocessing=RECORD, size=32, overlap=8, **QUIET)  # fmt: skip
        assert summary.length == 512
        np.testing.assert_allclose(vectors_of(made), expected, atol=1e-5)


def test_the_table_is_geoparquet_whose_polygons_show_where_each_patch_lies(tmp_path: Path) -> None:
    pixels = noise(40, 50)
    source = write_scene(tmp_path / 'scene.tif', pixels)
    made = tmp_path / 'vectors.parquet'
    embed_scene(Corners(), source, made, preprocessing=RECORD, size=16, **QUIET)
    frame = geopandas.read_parquet(made)
    assert frame.crs == 'EPSG:32632'
    assert list(frame.columns) == ['row', 'col', 'observed', 'embedding', 'geometry']
    for patch in frame.itertuples():
        left, bottom, right, top = patch.geometry.bounds
        assert (left, top) == GRID @ (16 * patch.col, 16 * patch.row)
        assert (right, bottom) == GRID @ (
            min(16 * patch.col + 16, 50),
            min(16 * patch.row + 16, 40),
        )
        # what hangs over is no observation
        assert patch.observed == pytest.approx(patch.geometry.area / (16 * 0.5) ** 2)
    # a box reads what lies there only
    found = geopandas.read_parquet(made, bbox=frame.geometry[0].buffer(-1).bounds)
    assert list(zip(found['row'], found['col'], strict=True)) == [(0, 0)]
    assert b'gersp_geo' in pq.read_metadata(made).metadata


def test_the_map_is_a_cog_on_the_grid_of_the_patches(tmp_path: Path) -> None:
    source = write_scene(tmp_path / 'scene.tif', noise(40, 50))
    made = tmp_path / 'vectors.tif'
    embed_scene(Corners(), source, made, preprocessing=RECORD, size=16, overlap=4, **QUIET)
    assert cog_validate(made, strict=True)[0]
    with rasterio.open(made) as src:
        assert (src.count, src.height, src.width) == (6, 3, 4)
        assert src.crs == UTM
        assert src.transform @ (0, 0) == GRID @ (2, 2)
        assert src.res == (6.0, 6.0)
        assert src.descriptions[0] == 'feature 0'
        assert src.tags()['PATCH_OVERLAP'] == '4'
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith('.')] == []


def test_vectors_that_are_views_of_the_images_stay_as_they_were(tmp_path: Path) -> None:
    pixels = noise(64, 64)
    source = write_scene(tmp_path / 'scene.tif', pixels)
    made = tmp_path / 'vectors.parquet'
    embed_scene(
        lambda images: images[:, :, 3, 5], source, made, preprocessing=RECORD, size=16,
        batch_size=1, **QUIET,
    )  # fmt: skip
    expected = windows(pixels, 16, 0).flatten(0, 1)[:, :, 3, 5]
    np.testing.assert_allclose(vectors_of(made), expected, atol=1e-6)


def test_panels_and_batches_change_nothing(tmp_path: Path) -> None:
    source = write_scene(tmp_path / 'scene.tif', noise(100, 400))
    options: dict[str, Any] = {'preprocessing': RECORD, 'size': 16, 'overlap': 5, **QUIET}
    embed_scene(Corners(), source, tmp_path / 'a.parquet', raster=tmp_path / 'a.tif', **options)
    embed_scene(
        Corners(), source, tmp_path / 'b.parquet', raster=tmp_path / 'b.tif',
        memory_limit=180_000, batch_size=3, threads=2, **options,
    )  # fmt: skip
    np.testing.assert_array_equal(vectors_of(tmp_path / 'a.parquet'), vectors_of(tmp_path / 'b.parquet'))  # fmt: skip
    np.testing.assert_array_equal(read_map(tmp_path / 'a.tif'), read_map(tmp_path / 'b.tif'))


def test_patches_without_observations_are_left_out_and_are_nodata_in_the_map(
    tmp_path: Path,
) -> None:
    pixels = noise(48, 64)
    pixels[:, :16, 16:32] = 0
    pixels[:, 16:24, :16] = 0
    source = write_scene(tmp_path / 'scene.tif', pixels, nodata=0)
    made, raster = tmp_path / 'vectors.parquet', tmp_path / 'vectors.tif'
    summary = embed_scene(
        Corners(), source, made, raster=raster, preprocessing=RECORD, size=16, **QUIET
    )
    frame = geopandas.read_parquet(made)
    places = set(zip(frame['row'], frame['col'], strict=True))
    assert summary.forwarded == len(frame) == 11
    assert (0, 1) not in places
    half = frame[(frame['row'] == 1) & (frame['col'] == 0)].iloc[0]
    assert half['observed'] == 0.5
    # what is no observation enters as the mean of its band
    assert half['embedding'][0] == half['embedding'][1] == 0
    missing = np.isnan(read_map(raster)).all(axis=0)
    assert np.argwhere(missing).tolist() == [[0, 1]]


def test_a_patch_of_reflected_observations_alone_is_left_out(tmp_path: Path) -> None:
    pixels = np.zeros((2, 16, 20), dtype=np.uint8)
    # the second patch begins at column 16, and sees this in the scene that is reflected at its side
    pixels[:, 4:12, 10:15] = 200
    source = write_scene(tmp_path / 'scene.tif', pixels, nodata=0)
    made = tmp_path / 'vectors.parquet'
    summary = embed_scene(Corners(), source, made, preprocessing=RECORD, size=16, **QUIET)
    assert summary.forwarded == 1
    assert geopandas.read_parquet(made)['col'].tolist() == [0]


def test_only_patches_that_touch_the_area_are_described(tmp_path: Path) -> None:
    source = write_scene(tmp_path / 'scene.tif', noise(64, 64))
    left, top = GRID @ (20, 20)
    right, bottom = GRID @ (40, 30)
    area = geopandas.GeoDataFrame(geometry=[shapely.box(left, bottom, right, top)], crs=UTM)
    area.to_crs('EPSG:4326').to_file(tmp_path / 'area.gpkg')
    made = tmp_path / 'vectors.parquet'
    embed_scene(
        Corners(), source, made, preprocessing=RECORD, size=16, area=tmp_path / 'area.gpkg', **QUIET
    )
    frame = geopandas.read_parquet(made)
    assert set(zip(frame['row'], frame['col'], strict=True)) == {(1, 1), (1, 2)}


def test_a_scene_without_observations_gives_an_empty_table_with_all_columns(tmp_path: Path) -> None:
    source = write_scene(tmp_path / 'scene.tif', np.zeros((2, 32, 32), np.uint8), nodata=0)
    made, raster = tmp_path / 'vectors.parquet', tmp_path / 'vectors.tif'
    summary = embed_scene(
        Corners(), source, made, raster=raster, preprocessing=RECORD, size=16, **QUIET
    )
    frame = geopandas.read_parquet(made)
    assert (len(frame), summary.forwarded, frame.crs) == (0, 0, 'EPSG:32632')
    assert list(frame.columns) == ['row', 'col', 'observed', 'embedding', 'geometry']
    assert np.isnan(read_map(raster)).all()


def test_classes_are_those_of_the_task_on_the_same_windows(tmp_path: Path) -> None:
    torch.manual_seed(0)
    task = Classification(model='test_resnet', in_channels=2, num_classes=3).eval()
    checkpoint = save(tmp_path / 'task.ckpt', task)
    pixels = noise(70, 100)
    source = write_scene(tmp_path / 'scene.tif', pixels)
    made, raster = tmp_path / 'classes.parquet', tmp_path / 'classes.tif'
    summary = classify_scene(checkpoint, source, made, raster=raster, size=32, **QUIET)
    images = windows(pixels, 32, 0).flatten(0, 1)
    with torch.inference_mode():
        expected = task(images).softmax(1).numpy()
        features = task.model.forward_head(task.model.forward_features(images), pre_logits=True)
    frame = geopandas.read_parquet(made).sort_values(['row', 'col'])
    np.testing.assert_allclose(np.stack(frame['probabilities'].to_list()), expected, atol=1e-5)
    np.testing.assert_allclose(vectors_of(made), features, atol=1e-4)
    assert frame['class'].tolist() == expected.argmax(1).tolist()
    assert frame['class_name'].tolist() == [NAMES[index] for index in expected.argmax(1)]
    np.testing.assert_allclose(frame['score'], expected.max(1), atol=1e-5)
    assert summary.class_patches == dict(frame['class_name'].value_counts())
    with rasterio.open(raster) as src:
        assert src.read(1).ravel().tolist() == frame['class'].tolist()
        assert set(src.colormap(1)) >= {0, 1, 2}
        assert 'forest' in src.tags(1)['CLASS_NAMES']
    assert raster.with_suffix('.qml').exists()


def test_a_module_around_a_network_is_asked_as_a_whole(tmp_path: Path) -> None:
    class Turned(nn.Module):
        """Gives the logits of its network in another order."""

        def __init__(self) -> None:
            super().__init__()
            self.model = create_backbone('resnet18', in_channels=2, size=32)

        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = self.model(images)[:, :3].flip(1)
            return logits

    torch.manual_seed(0)
    model = Turned().eval()
    pixels = noise(32, 64)
    source = write_scene(tmp_path / 'scene.tif', pixels)
    made = tmp_path / 'classes.parquet'
    classify_scene(model, source, made, preprocessing=RECORD, size=32, **QUIET)
    with torch.inference_mode():
        expected = model(windows(pixels, 32, 0).flatten(0, 1)).softmax(1)
    frame = geopandas.read_parquet(made).sort_values(['row', 'col'])
    np.testing.assert_allclose(np.stack(frame['probabilities'].to_list()), expected, atol=1e-5)


def test_labels_that_do_not_exclude_each_other_have_probabilities_only(tmp_path: Path) -> None:
    torch.manual_seed(0)
    task = Classification(
        model='test_resnet', in_channels=2, task='multilabel', num_labels=3, loss='bce'
    ).eval()
    checkpoint = save(tmp_path / 'task.ckpt', task)
    pixels = noise(32, 64)
    source = write_scene(tmp_path / 'scene.tif', pixels)
    made, raster = tmp_path / 'labels.parquet', tmp_path / 'labels.tif'
    classify_scene(checkpoint, source, made, raster=raster, size=32, **QUIET)
    with torch.inference_mode():
        expected = task(windows(pixels, 32, 0).flatten(0, 1)).sigmoid().numpy()
    frame = geopandas.read_parquet(made).sort_values(['row', 'col'])
    np.testing.assert_allclose(np.stack(frame['probabilities'].to_list()), expected, atol=1e-5)
    assert 'class' not in frame
    np.testing.assert_allclose(read_map(raster)[:, 0].T, expected, atol=1e-5)


def test_one_logit_means_two_classes(tmp_path: Path) -> None:
    source = write_scene(tmp_path / 'scene.tif', noise(16, 32))
    made = tmp_path / 'bright.parquet'

    def bright(images: Tensor) -> Tensor:
        return images[:, :1, 0, 0]

    classify_scene(bright, source, made, preprocessing=RECORD, size=16, **QUIET)
    frame = geopandas.read_parquet(made)
    expected = 1 / (1 + np.exp(-windows(noise(16, 32), 16, 0)[0, :, 0, 0, 0].numpy()))
    found = np.stack(frame['probabilities'].to_list())
    np.testing.assert_allclose(found, np.stack([1 - expected, expected], axis=1), atol=1e-6)
    assert frame['class'].tolist() == (expected > 0.5).astype(int).tolist()


def feature_map(images: Tensor) -> Tensor:
    return images


def not_a_number(images: Tensor) -> Tensor:
    # of zeros, a number
    return torch.where(images[:, :, 0, 0] == 0, 0.0, torch.nan)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'destination': 'vectors.gpkg'}, r'must end in \.parquet, \.tif, \.tiff'),
        ({'destination': 'vectors.tif', 'raster': 'more.tif'}, 'is a map of patches already'),
        ({'raster': 'more.png'}, r'map of patches must end in \.tif'),
        ({'destination': 'scene.tif', 'overwrite': True}, 'is the scene itself'),
        ({'raster': 'scene.tif', 'overwrite': True}, 'is the scene itself'),
        ({'model': feature_map}, 'average feature maps'),
        ({'overlap': 16}, r'overlap must be in \[0, size=16\)'),
        ({'preprocessing': None}, 'needs preprocessing'),
        ({'bands': (1,)}, 'bands must be 2 indices'),
        ({'model': 'nothing.pth'}, 'neither a file, a folder nor'),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_scene(tmp_path / 'scene.tif', noise(32, 32))
    arguments: dict[str, Any] = {
        'model': Corners(), 'source': 'scene.tif', 'destination': 'vectors.parquet', 'size': 16,
        'preprocessing': RECORD,
    }  # fmt: skip
    given = arguments | changes | QUIET
    places = [given.pop(name) for name in ('model', 'source', 'destination')]
    with pytest.raises((ValueError, OSError), match=message):
        embed_scene(*places, **given)
    assert [path.name for path in tmp_path.iterdir()] == ['scene.tif']


def test_a_table_needs_a_crs_and_a_map_does_not(tmp_path: Path) -> None:
    source = write_scene(tmp_path / 'scene.tif', noise(32, 32), crs=None)
    options: dict[str, Any] = {'preprocessing': RECORD, 'size': 16, **QUIET}
    with pytest.raises(ValueError, match='names no CRS'):
        embed_scene(Corners(), source, tmp_path / 'vectors.parquet', **options)
    embed_scene(Corners(), source, tmp_path / 'vectors.tif', **options)
    assert read_map(tmp_path / 'vectors.tif').shape == (6, 2, 2)


def test_a_failing_model_leaves_no_file(tmp_path: Path) -> None:
    source = write_scene(tmp_path / 'scene.tif', noise(64, 64))
    with pytest.raises(ValueError, match='NaN'):
        embed_scene(
            not_a_number, source, tmp_path / 'vectors.parquet', raster=tmp_path / 'vectors.tif',
            preprocessing=RECORD, size=16, **QUIET,
        )  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ['scene.tif']


def test_existing_files_stay_unless_they_may_be_replaced(tmp_path: Path) -> None:
    source = write_scene(tmp_path / 'scene.tif', noise(32, 32))
    made = tmp_path / 'vectors.parquet'
    made.write_text('mine')
    options: dict[str, Any] = {'preprocessing': RECORD, 'size': 16, **QUIET}
    with pytest.raises(FileExistsError, match='overwrite'):
        embed_scene(Corners(), source, made, **options)
    assert made.read_text() == 'mine'
    embed_scene(Corners(), source, made, overwrite=True, **options)
    assert len(geopandas.read_parquet(made)) == 4


def test_the_record_must_name_as_many_classes_as_there_are(tmp_path: Path) -> None:
    source = write_scene(tmp_path / 'scene.tif', noise(32, 32))
    record = replace(RECORD, class_names=('a', 'b', 'c', 'd'))
    with pytest.raises(ValueError, match='6 classes, but preprocessing names 4'):
        classify_scene(
            Corners(), source, tmp_path / 'c.parquet', preprocessing=record, size=16, **QUIET
        )


@pytest.mark.parametrize('name', ['vectors.parquet', 'vectors.tif'])
def test_a_full_disk_is_an_error_and_leaves_no_file(
    tmp_path: Path, small_disk: Callable[[int], AbstractContextManager[None]], name: str
) -> None:
    source = write_scene(tmp_path / 'scene.tif', noise(200, 200))
    with small_disk(4000), pytest.raises(OSError, match=r'full|large'):
        embed_scene(Corners(), source, tmp_path / name, preprocessing=RECORD, size=4, **QUIET)
    assert [path.name for path in tmp_path.iterdir()] == ['scene.tif']
