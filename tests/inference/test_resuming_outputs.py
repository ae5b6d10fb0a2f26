"""Objects and patches end as maps do: stopped and called again, in shards, with every option."""

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import torch
from torch import Tensor

from gersp_geo.inference import detect_objects, embed_scene
from gersp_geo.inference.model.detector import Detector, ObjectPredictor
from gersp_geo.inference.model.predictor import VIEWS, Views
from gersp_geo.inference.options import Averaging
from gersp_geo.inference.outputs.object_boxes import Frame
from gersp_geo.inference.resume.entries import Entry
from gersp_geo.inference.resume.journal import Journal, work_folder
from gersp_geo.windows import Window
from tests.inference.detection.detectors import RECORD, Box, Exact, draw, plant, write_scene
from tests.inference.patches.scenes import Corners

# a row of patches per part, and a few panels
OPTIONS: dict[str, Any] = {
    'size': 32, 'part_pixels': 1, 'device': 'cpu', 'memory_limit': '60KiB', 'progress': False,
    'batch_size': 2,
}  # fmt: skip


def boxes_of(shape: tuple[int, int]) -> list[Box]:
    random = np.random.default_rng(5)
    return plant(
        shape, 150, largest=14, integer=lambda low, high: int(random.integers(low, high + 1))
    )


@pytest.fixture(scope='module')
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shape = (220, 300)
    return write_scene(tmp_path_factory.mktemp('scene') / 'scene.tif', draw(shape, boxes_of(shape)))


def find(scene: Path, destination: Path, **options: Any) -> Any:
    return detect_objects(
        Exact(), scene, destination, preprocessing=RECORD, overlap=16, **OPTIONS | options
    )


def embed(scene: Path, destination: Path, **options: Any) -> Any:
    return embed_scene(Corners(), scene, destination, preprocessing=RECORD, **OPTIONS | options)


MAKE: dict[str, Callable[..., Any]] = {'objects': find, 'vectors': embed}


@pytest.fixture(scope='module')
def whole(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp('whole')
    found = {}
    for name, make in MAKE.items():
        summary = make(scene, folder / f'{name}.parquet')
        assert summary.parts > 20
        assert summary.parts_before == 0
        found[name] = (folder / f'{name}.parquet').read_bytes()
    assert sorted(path.name for path in folder.iterdir()) == ['objects.parquet', 'vectors.parquet']
    return found


def run_until_killed(scene: Path, destination: Path, log: Path, kind: str, count: int) -> None:
    """Note every finished part, and be killed after some."""
    torch.set_num_threads(1)
    append, done = Journal.append, 0

    def note(journal: Journal, entry: Entry) -> None:
        nonlocal done
        append(journal, entry)
        with log.open('a') as stream:
            stream.write(f'{entry.part}\n')
        done += 1
        if done == count:
            os.kill(os.getpid(), signal.SIGKILL)

    def stop(*arguments: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    patch = pytest.MonkeyPatch()
    patch.setattr(Journal, 'append', note)
    if count == -1:
        # all is written, and nothing has its name
        patch.setattr('gersp_geo.inference.finishing.publish', stop)
    if count == -2:
        # all has its name, and the parts are still there
        patch.setattr(Journal, 'remove', stop)
    MAKE[kind](scene, destination)


def run_through_kills(
    server: ForkServerContext, scene: Path, folder: Path, kind: str, counts: list[int]
) -> tuple[bytes, list[int]]:
    destination, log = folder / 'made.parquet', folder / 'log.txt'
    for count in [*counts, 0]:
        process = server.Process(
            target=run_until_killed, args=(scene, destination, log, kind, count)
        )
        process.start()
        process.join(timeout=300)
        assert process.exitcode == (-signal.SIGKILL if count else 0), count
        assert destination.exists() == (not count)
        assert work_folder(destination).is_dir() == bool(count)
    return destination.read_bytes(), [int(line) for line in log.read_text().split()]


@pytest.fixture(scope='module')
def server() -> ForkServerContext:
    return multiprocessing.get_context('forkserver')


@pytest.mark.parametrize('kind', MAKE)
def test_kills_change_no_byte_and_no_part_is_done_twice(
    kind: str, server: ForkServerContext, scene: Path, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    found, finished = run_through_kills(server, scene, tmp_path, kind, [7, -1])
    assert found == whole[kind]
    assert set(Counter(finished).values()) == {1}


@pytest.mark.slow
@pytest.mark.parametrize('kind', MAKE)
def test_twenty_kills_change_no_byte_and_no_part_is_done_twice(
    kind: str, server: ForkServerContext, scene: Path, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    counts = [1 + place % 2 for place in range(17)] + [-1, -1, -1]
    found, finished = run_through_kills(server, scene, tmp_path, kind, counts)
    assert found == whole[kind]
    assert set(Counter(finished).values()) == {1}


@pytest.mark.parametrize('kind', MAKE)
def test_a_file_whose_parts_are_still_there_is_known(
    kind: str, scene: Path, tmp_path: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    destination = tmp_path / 'made.parquet'
    with monkeypatch.context() as patch:
        patch.setattr(Journal, 'remove', lambda journal: None)
        MAKE[kind](scene, destination)
    assert work_folder(destination).is_dir()
    with pytest.raises(FileExistsError, match=r'made\.parquet exists'):
        MAKE[kind](scene, destination)
    assert not work_folder(destination).exists()
    assert destination.read_bytes() == whole[kind]


@pytest.mark.parametrize('kind', MAKE)
def test_shards_in_any_order_make_what_one_run_makes(
    kind: str, scene: Path, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    destination = tmp_path / 'made.parquet'
    for shard in ('2/3', '0/3'):
        summary = MAKE[kind](scene, destination, shard=shard)
        assert not summary.complete
        assert 'parts only, not merged yet' in str(summary)
        assert 'forwarded so far' in str(summary) or kind == 'objects'
    with pytest.raises(ValueError, match='let every shard finish'):
        MAKE[kind](scene, destination, merge=True)
    MAKE[kind](scene, destination, shard='1/3')
    merged = MAKE[kind](scene, destination, merge=True)
    assert merged.complete
    assert merged.parts == 0
    assert destination.read_bytes() == whole[kind]


@pytest.mark.parametrize('kind', MAKE)
def test_another_call_does_not_go_on_with_parts(kind: str, scene: Path, tmp_path: Path) -> None:
    destination = tmp_path / 'made.parquet'
    MAKE[kind](scene, destination, shard='0/3')
    with pytest.raises(ValueError, match=r'averaging was .none., is .flips.'):
        MAKE[kind](scene, destination, shard='1/3', averaging='flips')
    other = {'objects': 'vectors', 'vectors': 'objects'}[kind]
    with pytest.raises(ValueError, match='holds the parts of another prediction'):
        MAKE[other](scene, destination, shard='1/3')


@pytest.mark.parametrize('suffix', ['.gpkg', '.geojson'])
def test_a_resumed_file_of_any_format_holds_what_one_run_finds(
    suffix: str, scene: Path, tmp_path: Path
) -> None:
    find(scene, tmp_path / f'one{suffix}')
    for shard in ('0/2', '1/2'):
        find(scene, tmp_path / f'two{suffix}', shard=shard)
    find(scene, tmp_path / f'two{suffix}', merge=True)
    one, two = (geopandas.read_file(tmp_path / f'{name}{suffix}') for name in ('one', 'two'))
    assert len(one) == len(boxes_of((220, 300)))
    assert one.equals(two)


@pytest.mark.parametrize('kind', MAKE)
def test_a_damaged_part_is_made_anew(
    kind: str, scene: Path, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    destination = tmp_path / 'made.parquet'
    MAKE[kind](scene, destination, shard='0/2')
    MAKE[kind](scene, destination, shard='1/2')
    first = min(work_folder(destination).glob('*.npz'))
    first.write_bytes(first.read_bytes()[:-10])
    with pytest.raises(ValueError, match=r'parts of .* are damaged'):
        MAKE[kind](scene, destination, merge=True)
    with pytest.warns(UserWarning, match='they are made anew'):
        MAKE[kind](scene, destination, shard='0/2')
    MAKE[kind](scene, destination, merge=True)
    assert destination.read_bytes() == whole[kind]


@pytest.mark.parametrize('averaging', ['flips', 'rotations'])
def test_views_of_a_patch_find_the_objects_of_the_patch(
    averaging: Averaging, scene: Path, tmp_path: Path
) -> None:
    find(scene, tmp_path / 'one.gpkg')
    summary = find(scene, tmp_path / 'all.gpkg', averaging=averaging)
    one, found = (geopandas.read_file(tmp_path / f'{name}.gpkg') for name in ('one', 'all'))
    assert summary.objects == len(one)
    assert found.geometry.geom_equals(one.geometry).all()


@pytest.mark.parametrize('columns', [4, 5])
@pytest.mark.parametrize('masks', [False, True])
def test_boxes_return_from_every_view_to_where_they_are(columns: int, masks: bool) -> None:
    size, at = 24, [5.0, 3.0, 11.0, 19.0] if columns == 4 else [9.0, 14.0, 10.0, 4.0, 30.0]
    image = torch.zeros(1, 1, size, size)
    image[..., 3:19, 5:11] = 1

    def detect(images: Tensor) -> list[dict[str, Tensor]]:
        # the box where the view shows it
        flipped = [axes for axes in ((), (2,), (3,), (2, 3)) if same(images, axes, False)]
        transposed = not flipped
        axes = (flipped or [a for a in ((), (2,), (3,), (2, 3)) if same(images, a, True)])[0]
        box = move(at, axes, transposed, size)
        found = {
            'boxes': torch.tensor([box]),
            'labels': torch.tensor([1]),
            'scores': torch.tensor([0.9]),
        }
        return [found | ({'masks': images} if masks else {})]

    def same(images: Tensor, axes: tuple[int, ...], transposed: bool) -> bool:
        seen = image.flip(axes) if axes else image
        return torch.equal(seen.transpose(2, 3) if transposed else seen, images)

    detector = Detector(forward=detect, has_background=False, names=None, most=None)
    views = Views(RECORD, device='cpu', averaging='rotations')
    predict = ObjectPredictor(detector, views, score_threshold=0.5)
    ((found, _),) = predict(image.to(torch.uint8), None)
    assert len(found['boxes']) == len(VIEWS['rotations'])
    frame = Frame(height=size, width=size, score_threshold=0.5, has_background=False)
    window = Window(row_off=0, col_off=0, height=size, width=size)
    if masks:
        assert (found['masks'] == image).all()
    else:
        located = frame.locate(found, window, lambda _: None)
        assert np.allclose(located.boxes, located.boxes[:1], atol=1e-4)
        for outline in located.outlines if columns == 5 else ():
            assert outline.intersection(located.outlines[0]).area == pytest.approx(40, rel=1e-4)


def move(box: list[float], axes: tuple[int, ...], transposed: bool, size: int) -> list[float]:
    """Show a box in a view: flipped, then transposed; corners or centre, sides and angle."""
    if len(box) == 4:
        left, top, right, bottom = box
        if 3 in axes:
            left, right = size - right, size - left
        if 2 in axes:
            top, bottom = size - bottom, size - top
        return [top, left, bottom, right] if transposed else [left, top, right, bottom]
    x, y, width, height, angle = box
    for axis in axes:
        x, y, angle = (size - x, y, -angle) if axis == 3 else (x, size - y, -angle)
    # an oriented box that is transposed has its sides exchanged
    return [y, x, height, width, -angle] if transposed else [x, y, width, height, angle]


def test_a_view_without_objects_needs_no_masks() -> None:
    def detect(images: Tensor) -> list[dict[str, Tensor]]:
        # an object is seen where it lies on the left
        found = Exact(masks=True)(images[..., :12])[0]
        masks = torch.nn.functional.pad(found.pop('masks'), (0, 12))
        return [found | ({'masks': masks} if len(masks) else {})]

    images = torch.zeros(1, 1, 24, 24)
    images[..., 3:9, 14:20] = 1
    detector = Detector(forward=detect, has_background=False, names=None, most=None)
    views = Views(RECORD, device='cpu', averaging='flips')
    predict = ObjectPredictor(detector, views, score_threshold=0.5)
    ((found, _),) = predict(images.to(torch.uint8), None)
    assert found['boxes'].tolist() == [[14, 3, 20, 9]] * 2
    assert (found['masks'] == images).all()


def test_a_geojson_file_without_objects_is_drawn(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / 'scene.tif', np.zeros((40, 40), dtype=np.uint8))
    summary = find(scene, tmp_path / 'none.geojson', preview=tmp_path / 'none.png')
    assert summary.objects == 0
    assert (tmp_path / 'none.png').exists()


def test_vectors_are_the_mean_over_views(scene: Path, tmp_path: Path) -> None:
    embed(scene, tmp_path / 'one.parquet')
    embed(scene, tmp_path / 'all.parquet', averaging='rotations')
    one, found = (
        np.stack(geopandas.read_parquet(tmp_path / f'{name}.parquet')['embedding'].to_numpy())
        for name in ('one', 'all')
    )
    # first and last pixel become the mean of all corners, and the mean stays
    with rasterio.open(scene) as src:
        corners = src.read(1)[:32:31, :32:31].mean()
    assert np.allclose(found[0], [corners, corners, one[0, 2]], atol=1e-5)
    assert np.allclose(found[:, 2], one[:, 2], atol=1e-5)


@pytest.mark.parametrize('kind', MAKE)
def test_two_dates_reach_the_model(kind: str, scene: Path, tmp_path: Path) -> None:
    with rasterio.open(scene) as src:
        pixels = src.read(1)
    later = write_scene(tmp_path / 'later.tif', np.zeros_like(pixels))
    model: Any = {
        # objects that were there and are gone
        'objects': lambda images: Exact()((images[:, 0] - images[:, 1]).clamp(min=0)),
        'vectors': lambda images: (images[:, 0] - images[:, 1]).mean((2, 3)),
    }[kind]
    functions: dict[str, Any] = {'objects': detect_objects, 'vectors': embed_scene}
    run = functions[kind]
    more = {'overlap': 16} if kind == 'objects' else {}
    run(
        model,
        scene,
        tmp_path / 'both.parquet',
        after=later,
        preprocessing=RECORD,
        **OPTIONS,
        **more,
    )
    found = geopandas.read_parquet(tmp_path / 'both.parquet')
    if kind == 'objects':
        assert len(found) == len(boxes_of(pixels.shape))
    else:
        first = np.stack(found['embedding'].to_numpy())[0]
        assert first == pytest.approx(pixels[:32, :32].mean())


@pytest.mark.parametrize('kind', MAKE)
def test_mixed_precision_and_memory_layout_change_little(
    kind: str, scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    look = Views.normalise

    def watch(views: Views, *arguments: Any) -> Tensor:
        images = look(views, *arguments)
        seen.append((images.is_contiguous(memory_format=torch.channels_last), views.precision))
        return images

    monkeypatch.setattr(Views, 'normalise', watch)
    changed = MAKE[kind](scene, tmp_path / 'made.parquet', precision='bfloat16', channels_last=True)
    assert set(seen) == {(True, 'bfloat16')}
    assert changed.forwarded == MAKE[kind](scene, tmp_path / 'plain.parquet').forwarded
    one, other = (
        geopandas.read_parquet(tmp_path / f'{name}.parquet') for name in ('made', 'plain')
    )
    assert one.geometry.geom_equals(other.geometry).all()
