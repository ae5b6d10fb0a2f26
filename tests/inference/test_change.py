"""Laws of two dates: a map of change is what the model says about both, where both were seen."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import rasterio.features
import torch
from lightning.pytorch import Trainer
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import Affine, from_origin
from scipy import ndimage
from shapely import Polygon
from torch import Tensor, nn
from torch.export import Dim
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchgeo import tasks

from gersp_geo import predict_geotiff
from gersp_geo.callbacks import PreprocessingRecord
from gersp_geo.geoio.read.observations import read_valid
from gersp_geo.geoio.read.reader import read_header, read_window
from gersp_geo.geoio.warp.alignment import open_aligned
from gersp_geo.inference import plan_prediction
from gersp_geo.inference.options import MapOptions
from gersp_geo.inference.outputs.map_maker import MapMaker
from gersp_geo.inference.prepare import prepare
from gersp_geo.inference.resume.entries import Entry
from gersp_geo.inference.resume.journal import Journal
from gersp_geo.inference.run import run_plan
from gersp_geo.main import main
from gersp_geo.preprocessing import Preprocessing
from gersp_geo.tasks import ChangeDetection
from gersp_geo.windows import Window

RECORD = Preprocessing(bands=('red', 'nir'), scale=(1, 1), mean=(0, 0), std=(1, 1))
HEIGHT, WIDTH = 260, 300
GRID = from_origin(5e5, 5e6, 10, 10)
OPTIONS: dict[str, Any] = {
    'preprocessing': RECORD, 'size': 64, 'overlap': 16, 'blend': 'crop', 'output': 'values',
    'device': 'cpu', 'progress': False,
}  # fmt: skip


def change_around(images: Tensor) -> Tensor:
    """Sum what a pixel and its neighbours have become brighter by: whole numbers, so exact."""
    assert images.shape[1:3] == (2, 2)
    change = (images[:, 1] - images[:, 0]).sum(dim=1, keepdim=True)
    return F.conv2d(change, torch.ones(1, 1, 3, 3), padding=1)


def write(
    path: Path,
    pixels: NDArray[Any],
    *,
    names: tuple[str, ...] = ('red', 'nir'),
    transform: Affine = GRID,
    crs: Any = 'EPSG:32633',
    nodata: float | None = 0,
) -> Path:
    with rasterio.open(
        path, 'w', driver='GTiff', height=pixels.shape[1], width=pixels.shape[2],
        count=len(pixels), dtype=pixels.dtype, crs=crs, transform=transform, nodata=nodata,
        tiled=True, blockxsize=64, blockysize=32,
    ) as dst:  # fmt: skip
        dst.write(pixels)
        dst.descriptions = names
    return path


def ground(seed: int, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(1, 256, (2, *shape), dtype='uint8')


@pytest.fixture(scope='module')
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pixels = ground(1)
    pixels[:, 100:140, 30:90] = 0
    return write(tmp_path_factory.mktemp('before') / 'before.tif', pixels)


@pytest.fixture(scope='module')
def after(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its bands lie the other way round, and another part of it was not seen."""
    pixels = ground(2)
    pixels[:, 120:200, 60:100] = 0
    return write(tmp_path_factory.mktemp('after') / 'after.tif', pixels, names=('nir', 'red'))


def read(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as src:
        pixels: NDArray[Any] = src.read()
    return pixels


def expected_change(before: Path, after: Path) -> NDArray[np.float32]:
    """What the model says about the whole pair at once."""
    one, other = read(before).astype(float), read(after).astype(float)
    valid = one.any(axis=0) & other.any(axis=0)
    change = np.where(valid, other.sum(axis=0) - one.sum(axis=0), 0)
    around = ndimage.convolve(change, np.ones((3, 3)), mode='mirror')
    return np.where(valid, around, np.nan).astype('float32')


def predict(before: Path, after: Path, folder: Path, **options: Any) -> NDArray[Any]:
    path = folder / 'change.tif'
    predict_geotiff(change_around, before, path, after=after, overwrite=True, **OPTIONS | options)
    (pixels,) = read(path)
    return np.asarray(pixels)


@pytest.mark.parametrize(
    'options',
    [{}, {'memory_limit': '320KiB'}, {'size': 96, 'overlap': 10, 'batch_size': 1}, {'threads': 3}],
    ids=str,
)
def test_a_map_is_what_the_model_says_about_the_whole_pair(
    options: dict[str, Any], before: Path, after: Path, tmp_path: Path
) -> None:
    if 'memory_limit' in options:
        plan = plan_prediction(
            change_around, before, tmp_path / 'a.tif', after=after, **OPTIONS | options
        )
        assert len(plan.panels) > 2
    found = predict(before, after, tmp_path, **options)
    np.testing.assert_array_equal(found, expected_change(before, after))


def test_outside_an_area_is_nodata_and_inside_nothing_changes(
    before: Path, after: Path, tmp_path: Path
) -> None:
    corner = Polygon([(5e5 + 333, 5e6 - 444), (5e5 + 2222, 5e6 - 555), (5e5 + 1111, 5e6 - 1999)])
    geopandas.GeoDataFrame(geometry=[corner], crs='EPSG:32633').to_file(tmp_path / 'area.gpkg')
    found = predict(before, after, tmp_path, area=tmp_path / 'area.gpkg')
    inside = rasterio.features.geometry_mask(
        [corner], (HEIGHT, WIDTH), GRID, all_touched=False, invert=True
    )
    whole = expected_change(before, after)
    np.testing.assert_array_equal(found, np.where(inside, whole, np.nan))


def test_no_change_of_what_was_seen_is_none_around_what_was_not(
    before: Path, tmp_path: Path
) -> None:
    later = write(tmp_path / 'later.tif', ground(1))
    found = predict(before, later, tmp_path)
    assert set(np.unique(found[np.isfinite(found)])) == {0}
    assert np.isnan(found[100:140, 30:90]).all()


OTHER_GRIDS = {
    'another extent': ('EPSG:32633', from_origin(5e5 + 700, 5e6 - 300, 10, 10)),
    'half a pixel on': ('EPSG:32633', from_origin(5e5 - 5, 5e6 + 5, 10, 10)),
    'coarser': ('EPSG:32633', from_origin(5e5 - 100, 5e6 + 100, 23, 23)),
    'another CRS': ('EPSG:4326', from_origin(15, 45.15, 1.1e-4, 0.8e-4)),
    'turned': ('EPSG:32633', Affine(8, 6, 5e5 - 200, 6, -8, 5e6)),
}


@pytest.mark.parametrize('name', OTHER_GRIDS)
def test_a_later_scene_on_another_grid_is_resampled_as_a_whole(
    name: str, before: Path, tmp_path: Path
) -> None:
    crs, transform = OTHER_GRIDS[name]
    later = write(tmp_path / 'later.tif', ground(3), crs=crs, transform=transform)
    whole = Window(row_off=0, col_off=0, height=HEIGHT, width=WIDTH)
    with open_aligned(later, read_header(before)) as src:
        pixels, valid = read_window(src, whole, bands=[1, 2]), read_valid(src, whole)
    assert valid.mean() > 0.05
    warped = write(tmp_path / 'warped.tif', np.where(valid, pixels, 0).astype('uint8'))
    expected = expected_change(before, warped)
    # patches of the other scene are read through many windows
    for options in ({}, {'memory_limit': '320KiB', 'threads': 2}):
        np.testing.assert_array_equal(predict(before, later, tmp_path, **options), expected)
    np.testing.assert_array_equal(np.isnan(expected), ~valid | ~read(before).any(axis=0))
    if name == 'another extent':
        np.testing.assert_array_equal(
            pixels[:, 30:, 70:], ground(3)[:, : HEIGHT - 30, : WIDTH - 70]
        )


def test_a_later_scene_without_nodata_ends_where_it_ends(before: Path, tmp_path: Path) -> None:
    shifted = from_origin(5e5 + 700, 5e6 - 300, 10, 10)
    with_tag = write(tmp_path / 'a.tif', ground(3), transform=shifted)
    without = write(tmp_path / 'b.tif', ground(3), transform=shifted, nodata=None)
    expected = predict(before, with_tag, tmp_path)
    np.testing.assert_array_equal(predict(before, without, tmp_path), expected)
    assert np.isnan(expected[:30]).all()
    assert np.isnan(expected[:, :70]).all()


def test_both_dates_are_resampled_to_a_resolution(
    before: Path, after: Path, tmp_path: Path
) -> None:
    found = predict(before, after, tmp_path, res=20)
    assert found.shape == (HEIGHT // 2, WIDTH // 2)
    again = predict(before, after, tmp_path, res=20, memory_limit='320KiB')
    np.testing.assert_array_equal(found, again)
    mean = expected_change(before, after)[1::2, 1::2]
    both = np.isfinite(found) & np.isfinite(mean)
    # noise is averaged: smaller, and still of one sign with what it comes from
    assert np.corrcoef(found[both], mean[both])[0, 1] > 0.5


def test_a_block_that_the_later_scene_does_not_store_is_no_observation(
    before: Path, tmp_path: Path
) -> None:
    path = tmp_path / 'sparse.tif'
    with rasterio.open(
        path, 'w', driver='GTiff', height=HEIGHT, width=WIDTH, count=2, dtype='uint8', tiled=True,
        crs='EPSG:32633', transform=GRID, blockxsize=128, blockysize=128, sparse_ok=True,
    ) as dst:  # fmt: skip
        dst.descriptions = ('red', 'nir')
        pixels = ground(4)[:, :128, :128]
        dst.write(pixels, window=rasterio.windows.Window(128, 0, 128, 128))
    found = predict(before, path, tmp_path)
    assert np.isfinite(found[:128, 128:256]).all()
    assert np.isnan(found[128:]).all()
    assert np.isnan(found[:, :128]).all()


def test_a_stopped_prediction_of_change_goes_on_and_knows_both_scenes(
    before: Path, after: Path, tmp_path: Path
) -> None:
    copy = tmp_path / 'later.tif'
    copy.write_bytes(after.read_bytes())
    append, done = Journal.append, 0

    def fail(journal: Journal, entry: Entry) -> None:
        nonlocal done
        if done == 2:
            raise OSError('the network is gone')
        append(journal, entry)
        done += 1

    parts = {'part_pixels': 1, 'memory_limit': '320KiB'}
    whole, path = tmp_path / 'whole.tif', tmp_path / 'map.tif'
    arguments = {key: OPTIONS[key] for key in OPTIONS if key != 'progress'} | parts
    run(before, whole, copy, **arguments)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, 'append', fail)
        with pytest.raises(OSError, match='the network is gone'):
            run(before, path, copy, **arguments)
    with pytest.raises(ValueError, match=r'another prediction: after was \{'):
        run(before, path, after, **arguments)
    summary = run(before, path, copy, **arguments)
    assert summary.parts_before == 2
    assert path.read_bytes() == whole.read_bytes()


def run(before: Path, destination: Path, after: Path, **options: Any) -> Any:
    chosen = MapOptions(after=after, **options)
    return run_plan(prepare(MapMaker, change_around, before, destination, chosen), progress=False)


@pytest.mark.quick('unet')
@pytest.mark.parametrize('model', ['fcsiamdiff', 'unet'])
def test_a_checkpoint_predicts_one_pair_as_its_task_does(model: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    record = replace(RECORD, scale=(0.01, 0.02), mean=(1.2, 2.5), std=(0.7, 1.4), dtype='uint8')
    task = ChangeDetection(model, 'resnet18', in_channels=2, num_filters=4)
    batch = {'image': torch.randn(2, 2, 2, 64, 64), 'mask': torch.zeros(2, 1, 64, 64)}
    trainer = Trainer(
        max_steps=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, accelerator='cpu', callbacks=[PreprocessingRecord(record)],
    )  # fmt: skip
    batches: Any = DataLoader([batch], batch_size=None)  # type: ignore[arg-type]
    # torchgeo's schedule wants a validation
    trainer.fit(task, batches, batches)
    checkpoint = tmp_path / 'model.ckpt'
    trainer.save_checkpoint(checkpoint)
    one, other = (ground(seed, (64, 64)) for seed in (5, 6))
    scenes = [write(tmp_path / f'{n}.tif', p, nodata=None) for n, p in (('a', one), ('b', other))]
    predict_geotiff(
        checkpoint, scenes[0], tmp_path / 'map.tif', after=scenes[1], size=64, overlap=0,
        output='probabilities', device='cpu', progress=False,
    )  # fmt: skip
    scale, mean, std = (np.array(v)[:, None, None] for v in (record.scale, record.mean, record.std))
    images = np.stack([(pixels * scale - mean) / std for pixels in (one, other)])
    with torch.inference_mode():
        expected = task.eval().predict_step({'image': torch.from_numpy(images[None]).float()}, 0)
    np.testing.assert_allclose(read(tmp_path / 'map.tif'), expected[0].numpy(), rtol=0, atol=1e-5)
    with rasterio.open(tmp_path / 'map.tif') as src:
        assert src.descriptions == ('change',)


class SideBySide(nn.Module):
    """Two dates as one image."""

    def forward(self, images: Tensor) -> Tensor:
        return images[:, 2:].sum(dim=1, keepdim=True) - images[:, :2].sum(dim=1, keepdim=True)


class Apart(nn.Module):
    """Two dates in a dimension of their own."""

    def forward(self, images: Tensor) -> Tensor:
        return (images[:, 1] - images[:, 0]).sum(dim=1, keepdim=True)


@pytest.mark.parametrize(
    ('model', 'shape'), [(SideBySide(), (2, 4, 64, 64)), (Apart(), (2, 2, 2, 64, 64))]
)
def test_a_graph_takes_two_dates_as_its_input_says(
    model: nn.Module, shape: tuple[int, ...], before: Path, after: Path, tmp_path: Path
) -> None:
    path = tmp_path / 'change.onnx'
    free = {0: Dim('batch')}
    torch.onnx.export(
        model, (torch.zeros(shape),), str(path), dynamo=True, external_data=False, verbose=False,
        dynamic_shapes=(free,),
    )  # fmt: skip
    predict_geotiff(path, before, tmp_path / 'map.tif', after=after, **OPTIONS)
    one, other = read(before).astype(float), read(after).astype(float)
    valid = one.any(axis=0) & other.any(axis=0)
    expected = np.where(valid, other.sum(axis=0) - one.sum(axis=0), np.nan)
    np.testing.assert_array_equal(read(tmp_path / 'map.tif')[0], expected)
    with pytest.raises(ValueError, match=r'change\.onnx compares two dates'):
        predict_geotiff(path, before, tmp_path / 'other.tif', **OPTIONS)
    three = replace(
        RECORD, bands=('red', 'nir', 'blue'), scale=(1,) * 3, mean=(0,) * 3, std=(1,) * 3
    )
    with pytest.raises(
        ValueError, match=r'but preprocessing names 3 bands: red, nir, blue; two dates'
    ):
        predict_geotiff(
            path, before, tmp_path / 'other.tif', after=after, **OPTIONS | {'preprocessing': three}
        )


def test_one_logit_makes_two_named_classes(before: Path, after: Path, tmp_path: Path) -> None:
    summary = predict_geotiff(
        lambda images: change_around(images) - 0.5, before, tmp_path / 'map.tif', after=after,
        **OPTIONS | {'output': 'classes'},
    )  # fmt: skip
    assert summary.class_names == ('no change', 'change')
    expected = expected_change(before, after) > 0.5
    found = read(tmp_path / 'map.tif')[0]
    np.testing.assert_array_equal(found == 1, expected)
    assert summary.class_pixels[1] == expected.sum()
    with rasterio.open(tmp_path / 'map.tif') as src:
        tags = src.tags()
    assert (tags['BEFORE'], tags['AFTER']) == ('before.tif', 'after.tif')
    assert (tags['INPUT_BANDS'], tags['AFTER_BANDS']) == ('1,2', '2,1')
    named = replace(RECORD, class_names=('same', 'other'))
    summary = predict_geotiff(
        change_around, before, tmp_path / 'map.tif', after=after, overwrite=True,
        **OPTIONS | {'output': 'classes', 'preprocessing': named},
    )  # fmt: skip
    assert summary.class_names == ('same', 'other')


def test_plan_and_summary_say_how_two_dates_lie_on_each_other(before: Path, tmp_path: Path) -> None:
    # 60 % of its columns and half of its rows lie within, which are 48 % of 50 % of the other
    half = from_origin(5e5 + 1560, 5e6 - 1300, 10, 10)
    later = write(tmp_path / 'later.tif', ground(3, (260, 240)), transform=half)
    plan = plan_prediction(change_around, before, tmp_path / 'a.tif', after=later, **OPTIONS)
    assert 'before.tif: 260 x 300 px, uint8\n' in str(plan)
    assert 'later.tif: 260 x 240 px, uint8, resampled bilinearly\n' in str(plan)
    line = 'overlap    later.tif covers 24.0 % of before.tif; 30.0 % of later.tif lies in it\n'
    assert line in str(plan)
    one = plan_prediction(
        lambda x: x[:, :1], before, tmp_path / 'a.tif', **OPTIONS | {'output': 'values'}
    )
    # both dates are read, and held
    assert plan.costs.bytes_read == 2 * one.costs.bytes_read
    assert plan.costs.host_bytes > one.costs.host_bytes
    summary = predict_geotiff(
        change_around, before, tmp_path / 'a.tif', after=later, **OPTIONS | {'overwrite': True}
    )
    assert '24.0 % of before.tif' in str(summary)
    assert summary.valid_pixels == 0.24 * HEIGHT * WIDTH


def test_empty_corners_of_a_grid_are_no_part_of_the_scene_before(tmp_path: Path) -> None:
    tilted = from_origin(5e5, 5e6, 10, 10) @ Affine.rotation(30)
    # half of the columns, and all rows
    moved = tilted @ Affine.translation(WIDTH / 2, 0)
    before = write(tmp_path / 'before.tif', ground(3), transform=tilted)
    after = write(tmp_path / 'after.tif', ground(3), transform=moved)
    plan = plan_prediction(
        change_around, before, tmp_path / 'a.tif', after=after, res=10, **OPTIONS
    )
    assert 'after.tif covers 50.0 % of before.tif; 50.0 % of after.tif lies in it\n' in str(plan)


@pytest.fixture(scope='module')
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of tasks of one date and of two; read only."""
    folder = tmp_path_factory.mktemp('models')
    torch.manual_seed(0)
    paths = {}
    for name in ('ChangeDetection', 'SemanticSegmentation'):
        arguments: dict[str, Any] = {'model': 'fcn', 'in_channels': 2, 'num_filters': 4}
        arguments |= {'task': 'binary'}
        task = getattr(tasks, name)(**arguments)
        record = replace(RECORD, dtype='uint8', task_class=f'torchgeo.tasks.{name}')
        checkpoint = {'state_dict': task.state_dict(), 'hyper_parameters': arguments}
        paths[name] = folder / f'{name}.ckpt'
        torch.save(checkpoint | {'gersp_geo': record.to_dict()}, paths[name])
    return paths


def write_bad(folder: Path, kind: str) -> Path:
    """A later scene that does not go with the earlier one."""
    path, pixels = folder / f'{kind}.tif', ground(2)
    match kind:
        case 'far':
            return write(path, pixels, transform=from_origin(6e5, 5e6, 10, 10))
        case 'placeless':
            return write(path, pixels, crs=None, transform=from_origin(6e5, 5e6, 10, 10))
        case 'deeper':
            return write(path, pixels.astype('uint16'))
        case 'wider':
            return write(path, np.concatenate([pixels, pixels]), names=('', '', '', ''))
        case 'text':
            path.write_text('no raster')
    return path


@pytest.mark.parametrize(
    ('kind', 'message'),
    [
        (
            'far',
            (
                r'before\.tif and .*far\.tif have no ground in common: in EPSG:32633, the bounds of the first '
                r'are \(500000\.0, 4997400\.0, 503000\.0, 5000000\.0\), and those of the second \(600000\.0'
            ),
        ),
        ('placeless', r'placeless\.tif names no CRS and lies on another grid than .*before\.tif'),
        ('deeper', r'deeper\.tif holds uint16, the model was trained on uint8'),
        ('wider', r'the model wants the bands red, nir, but .*wider\.tif has red \('),
        ('text', r'text\.tif is not a raster that GDAL can read'),
        ('missing', r'missing\.tif does not exist'),
    ],
)  # fmt: skip
def test_a_later_scene_that_does_not_fit_is_one_line_and_leaves_nothing(
    kind: str, message: str, before: Path, checkpoints: dict[str, Path], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    later = write_bad(tmp_path, kind)
    there = sorted(tmp_path.iterdir())
    refused(
        capsys, message, checkpoints['ChangeDetection'], before, '--after', later, '-o',
        tmp_path / 'map.tif',
    )  # fmt: skip
    assert sorted(tmp_path.iterdir()) == there


def refused(capsys: pytest.CaptureFixture[str], message: str, *words: object) -> None:
    """Try predict and plan."""
    for name in ('predict', 'plan'):
        assert main([name, *map(str, words), '--size', '64', '--overlap', '16']) == 1
        error = capsys.readouterr().err
        assert error.count('\n') == 1
        assert re.search(message, error), error


def test_calls_that_mix_one_date_and_two_are_refused_with_the_fix(
    before: Path, after: Path, checkpoints: dict[str, Path], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = ('-o', tmp_path / 'map.tif')
    change, one = checkpoints['ChangeDetection'], checkpoints['SemanticSegmentation']
    fix = r'ChangeDetection\.ckpt compares two dates of a place; pass .* \(--after\)'
    refused(capsys, fix, change, before, *out)
    only = r'SemanticSegmentation\.ckpt takes one; leave it out'
    refused(capsys, only, one, before, '--after', after, *out)
    several = (
        r'after \(--after\) is the second date of one scene, got 2 scenes .* two dates per call'
    )
    refused(capsys, several, change, before, after, '--after', after, '-o', tmp_path)
    copy = tmp_path / 'later.tif'
    copy.write_bytes(after.read_bytes())
    same = r'later\.tif is the scene itself; pass another destination'
    refused(capsys, same, change, before, '--after', copy, '-o', copy, '--overwrite')
    assert list(tmp_path.iterdir()) == [copy]
    assert copy.read_bytes() == after.read_bytes()


def test_two_types_are_refused_where_the_record_names_none(before: Path, tmp_path: Path) -> None:
    later = write(tmp_path / 'later.tif', ground(2).astype('int16'))
    with pytest.raises(
        ValueError, match=r'before\.tif holds uint8 and .*later\.tif int16; convert'
    ):
        predict(before, later, tmp_path)


def test_two_scenes_without_a_crs_go_together_on_one_grid(tmp_path: Path) -> None:
    scenes = [write(tmp_path / f'{n}.tif', ground(n), crs=None) for n in (1, 2)]
    found = predict(scenes[0], scenes[1], tmp_path)
    np.testing.assert_array_equal(found, expected_change(*scenes))
    with rasterio.open(scenes[1]) as src:
        assert src.crs != CRS.from_epsg(32633)
