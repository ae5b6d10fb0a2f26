"""How far a map changes where its scene is cut and turned otherwise."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from gersp_geo.inference import plan_prediction, predict_geotiff
from gersp_geo.inference.model.predictor import VIEWS, View, turn_views
from gersp_geo.inference.options import MapOptions
from gersp_geo.inference.outputs.agreement import shift_of
from gersp_geo.inference.outputs.map_maker import MapMaker
from gersp_geo.inference.outputs.map_summary import PredictionSummary
from gersp_geo.inference.prepare import prepare
from gersp_geo.inference.resume.entries import Entry
from gersp_geo.inference.resume.journal import Journal, work_folder
from gersp_geo.inference.run import run_plan
from gersp_geo.tiling import plan_tile
from tests.inference.engines import noise, record_for, write_scene

OPTIONS: dict[str, Any] = {
    'size': 32, 'overlap': 8, 'progress': False, 'device': 'cpu', 'preprocessing': record_for(2),
    'consistency': 2,
}  # fmt: skip


def read(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as src:
        pixels: NDArray[Any] = src.read(1)
    return pixels


def slanted() -> nn.Module:
    """A model that looks two pixels to one side, and so sees something else in a flipped image."""
    torch.manual_seed(1)
    model = nn.Conv2d(2, 3, 5, padding=2, bias=False)
    with torch.no_grad():
        model.weight -= model.weight.mean((1, 2, 3), keepdim=True)
    return model


def predict(scene: Path, destination: Path, **changes: Any) -> PredictionSummary:
    """Predict in many small parts."""
    options = MapOptions(**{**OPTIONS, 'part_pixels': 1, 'memory_limit': '1MiB', **changes})
    summary: PredictionSummary = run_plan(
        prepare(MapMaker, slanted(), scene, destination, options), progress=False
    )
    return summary


@pytest.fixture(scope='module')
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pixels = noise((2, 70, 110))
    pixels[:, 20:40, 30:60] = np.nan
    return write_scene(tmp_path_factory.mktemp('scene') / 'scene.tif', pixels)


def on_whole(scene: Path, view: View) -> NDArray[Any]:
    """Find the classes in a view of the whole scene, as reflected as far as the model looks."""
    with rasterio.open(scene) as src:
        pixels = np.pad(src.read(), ((0, 0), (2, 2), (2, 2)), mode='reflect')
    # a record of mean 0
    image = torch.from_numpy(np.nan_to_num(pixels))[None]
    (turned,) = turn_views([((), False)], view)
    flipped = image.flip(turned[0]) if turned[0] else image
    looked = flipped.transpose(2, 3) if turned[1] else flipped
    with torch.inference_mode():
        scores = slanted()(looked)
    back = scores.transpose(2, 3) if turned[1] else scores
    straight = back.flip(turned[0]) if turned[0] else back
    found: NDArray[Any] = straight[0, :, 2:-2, 2:-2].argmax(0).numpy()
    return found


@pytest.mark.quick('crop')
@pytest.mark.parametrize('blend', ['hann', 'crop'])
def test_agreement_is_that_with_turned_scenes(scene: Path, tmp_path: Path, blend: str) -> None:
    predict_geotiff(slanted(), scene, tmp_path / 'plain.tif', **OPTIONS | {'consistency': 0})
    options: Any = OPTIONS | {'blend': blend, 'uncertainty': True}
    summary = predict_geotiff(slanted(), scene, tmp_path / 'map.tif', **options)
    classes, found = read(tmp_path / 'map.tif'), read(tmp_path / 'map_agreement.tif')
    valid = classes != 255
    ways = VIEWS['rotations']
    if blend == 'crop':
        views = [on_whole(scene, ways[number]) for number in range(3)]
        np.testing.assert_array_equal(classes[valid], views[0][valid])
        same = np.sum([view == views[0] for view in views], axis=0)
        expected = np.where(valid, np.round(100 * same / 3), 255)
        assert (found != expected).mean() < 1e-3
    assert ((found == 255) == ~valid).all()
    assert set(np.unique(found[valid])) == {33, 67, 100}
    assert summary.consistency is not None
    kept = [int((found[classes == number] == 100).sum()) for number in range(3)]
    assert summary.consistency.kept_pixels == tuple(kept)
    assert summary.consistency.kept(valid.sum()) == pytest.approx((found[valid] == 100).mean())
    mean = (found[valid].astype(float).mean() / 100 * 3 - 1) / 2
    assert summary.consistency.same(valid.sum()) == pytest.approx(mean, abs=0.01)
    assert 'of the pixels have their class in every further map (2)' in str(summary)
    assert str(summary).count('% kept') == 3
    assert (tmp_path / 'map_uncertainty.tif').exists()
    assert not work_folder(tmp_path / 'map.tif').exists()
    with rasterio.open(tmp_path / 'map_agreement.tif') as src:
        assert (src.descriptions, src.units, src.nodata) == (('agreement',), ('%',), 255)


def test_a_model_without_surroundings_keeps_every_pixel(scene: Path, tmp_path: Path) -> None:
    def pointwise(images: Tensor) -> Tensor:
        return images

    summary = predict_geotiff(pointwise, scene, tmp_path / 'map.tif', **OPTIONS)
    assert summary.consistency is not None
    assert summary.consistency.kept_pixels == summary.class_pixels
    assert summary.consistency.same(sum(summary.class_pixels)) == 1
    assert set(np.unique(read(tmp_path / 'map_agreement.tif'))) == {100, 255}


@given(
    height=st.integers(1, 90), width=st.integers(1, 90), size=st.integers(1, 40),
    share=st.floats(0, 0.9), number=st.integers(0, 20), step=st.sampled_from([1, 4, 8]),
)  # fmt: skip
def test_moved_patches_see_as_much_and_cover_a_tile_once(
    height: int, width: int, size: int, share: float, number: int, step: int
) -> None:
    overlap = int(share * size)
    shift = shift_of(number, stride=size - overlap)
    plan = plan_tile(height, width, size=size, overlap=overlap, step=step, shift=shift)
    for offsets, keeps, length in (
        (plan.row_offs, plan.keep_rows, height), (plan.col_offs, plan.keep_cols, width),
    ):  # fmt: skip
        assert [stop for _, stop in keeps][:-1] == [start for start, _ in keeps][1:]
        assert (keeps[0][0], keeps[-1][1]) == (0, length)
        for offset, (start, stop) in zip(offsets, keeps, strict=True):
            assert start < stop
            assert start - offset >= overlap // 2
            assert offset + size - stop >= overlap // 2
    if number and size - overlap > 1:
        still = plan_tile(height, width, size=size, overlap=overlap, step=step)
        strides = np.array(plan.row_offs) - still.row_offs[0]
        assert (strides % (size - overlap) != 0).all()


def test_two_turns_are_one() -> None:
    def look(image: Tensor, view: View) -> Tensor:
        flipped = image.flip(view[0]) if view[0] else image
        return flipped.transpose(2, 3) if view[1] else flipped

    image = torch.arange(9.0).reshape(1, 1, 3, 3)
    for first in VIEWS['rotations']:
        joined = turn_views(VIEWS['rotations'], first)
        for view, then in zip(joined, VIEWS['rotations'], strict=True):
            assert (look(image, view) == look(look(image, first), then)).all()


def stop_after(count: int, *, kills: bool = False) -> Callable[..., None]:
    """Fail, or be killed, at the last of some calls."""
    done = 0

    def stop(*_: Any, **__: Any) -> None:
        nonlocal done
        done += 1
        if done == count and kills:
            os.kill(os.getpid(), signal.SIGKILL)
        if done == count:
            raise OSError('the network is gone')

    return stop


def run_until(
    scene: Path, destination: Path, where: str, count: int, *, kills: bool = False
) -> None:
    """Predict until some file is finished or some part is noted, and list the parts."""
    append, copy, stop = Journal.append, rasterio.shutil.copy, stop_after(count, kills=kills)

    def note(journal: Journal, entry: Entry) -> None:
        append(journal, entry)
        with destination.with_suffix('.log').open('a') as stream:
            stream.write(f'{journal.path} {entry.part}\n')
        if where == 'parts':
            stop()

    def finish(*arguments: Any, **options: Any) -> None:
        if where == 'finishing':
            stop()
        copy(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, 'append', note)
        patch.setattr('rasterio.shutil.copy', finish)
        predict(scene, destination)


# in the first further map, while it is finished, in the next, and while agreement is finished
STOPS = [('parts', 2), ('finishing', 1), ('parts', 3), ('finishing', 3)]


def check_stopped(folder: Path, whole: PredictionSummary) -> None:
    """Compare what was made after some stops with what is made at once."""
    parts = (folder / 'map.log').read_text().splitlines()
    assert len(parts) == len(set(parts)) > 3 * whole.parts
    for end in ('', '_agreement'):
        assert (folder / f'map{end}.tif').read_bytes() == (folder / f'once{end}.tif').read_bytes()
    assert not [path for path in folder.iterdir() if path.name.startswith('.')]


def test_stops_and_shards_change_no_byte_and_no_part_is_done_twice(
    scene: Path, tmp_path: Path
) -> None:
    whole = predict(scene, tmp_path / 'once.tif')
    for where, count in STOPS[::3]:
        with pytest.raises(OSError, match='the network is gone'):
            run_until(scene, tmp_path / 'map.tif', where, count)
        assert not (tmp_path / 'map.tif').exists()
    run_until(scene, tmp_path / 'map.tif', 'nowhere', 0)
    check_stopped(tmp_path, whole)
    for index in range(2):
        summary = predict(scene, tmp_path / 'shards.tif', shard=f'{index}/2')
        assert summary.consistency is None
    merged = predict(scene, tmp_path / 'shards.tif', merge=True)
    assert merged.consistency == whole.consistency
    for end in ('', '_agreement'):
        expected = (tmp_path / f'once{end}.tif').read_bytes()
        assert (tmp_path / f'shards{end}.tif').read_bytes() == expected


@pytest.mark.slow
def test_kills_change_no_byte_and_no_part_is_done_twice(scene: Path, tmp_path: Path) -> None:
    whole = predict(scene, tmp_path / 'once.tif')
    server = multiprocessing.get_context('forkserver')
    for where, count in (*STOPS, ('nowhere', 0)):
        process = server.Process(
            target=run_until, args=(scene, tmp_path / 'map.tif', where, count),
            kwargs={'kills': True},
        )  # fmt: skip
        process.start()
        process.join(timeout=120)
        assert process.exitcode == (-signal.SIGKILL if count else 0), where
        assert (tmp_path / 'map.tif').exists() == (not count)
    check_stopped(tmp_path, whole)


def test_another_number_is_another_prediction_and_a_failure_leaves_nothing(
    scene: Path, tmp_path: Path
) -> None:
    predict(scene, tmp_path / 'map.tif', shard='0/2')
    with pytest.raises(ValueError, match='consistency was 2, is 3'):
        predict(scene, tmp_path / 'map.tif', shard='1/2', consistency=3)
    (tmp_path / 'new').mkdir()
    patch = pytest.MonkeyPatch()
    patch.setattr(Journal, 'append', lambda *_: 1 / 0)
    with patch.context(), pytest.raises(ZeroDivisionError):
        predict(scene, tmp_path / 'new' / 'map.tif')
    patch.undo()
    assert list((tmp_path / 'new').iterdir()) == []


def test_a_plan_says_what_it_costs_and_what_is_no_map_of_classes_has_none(
    scene: Path, tmp_path: Path
) -> None:
    options: Any = OPTIONS | {'uncertainty': True}
    plan = plan_prediction(slanted(), scene, tmp_path / 'map.tif', **options)
    assert 'compared   with 2 further maps' in str(plan)
    assert 'map_agreement.tif: agreement' in str(plan)
    assert 'map_uncertainty.tif: uncertainty' in str(plan)
    with pytest.raises(ValueError, match='consistency asks for a second map beside one of classes'):
        predict_geotiff(slanted(), scene, tmp_path / 'm.tif', **OPTIONS | {'output': 'values'})
    with pytest.raises(ValueError, match='consistency must be >= 0, got -1'):
        predict_geotiff(slanted(), scene, tmp_path / 'map.tif', **OPTIONS | {'consistency': -1})


def test_of_a_scene_without_observations_no_share_is_told(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / 'scene.tif', np.full((2, 40, 50), np.nan, np.float32))
    summary = predict(scene, tmp_path / 'map.tif')
    assert (read(tmp_path / 'map_agreement.tif') == 255).all()
    assert 'kept' not in str(summary)
    assert 'nan' not in str(summary)
