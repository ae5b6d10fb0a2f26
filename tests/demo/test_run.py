import inspect
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gersp_geo import GeRSPDataModule
from gersp_geo.demo import run_demo
from gersp_geo.demo.figure import draw_report
from gersp_geo.demo.run import (
    PATCH,
    QUEUE,
    DemoReport,
    clear_folder,
    count_epochs,
    mean_intersection,
)
from gersp_geo.geoio.read.reader import read_header
from gersp_geo.sample_data import write_sample_data

DEFAULT_STEPS = inspect.signature(run_demo).parameters['pretrain_steps'].default


def test_every_promised_file_is_made_and_the_map_fits_the_scene(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = partial(write_sample_data, size=384, images_per_class=4, progress=False)
    monkeypatch.setattr('gersp_geo.demo.run.write_sample_data', small)
    check_promises(run_demo(tmp_path / 'out', pretrain_steps=1, finetune_steps=1))


@pytest.mark.slow
def test_the_main_job_beats_the_majority_class(tmp_path: Path) -> None:
    report = run_demo(tmp_path / 'out')
    check_promises(report)
    assert report.mean_iou >= 0.5
    assert report.mean_iou >= report.majority_iou + 0.25


def check_promises(report: DemoReport) -> None:
    for line in str(report).splitlines()[1:-2]:
        assert Path(line.split()[-1]).exists(), line
    scene = read_header(report.folder / 'sample-data' / 'holdout' / 'scene.tif')
    prediction = read_header(report.folder / 'prediction.tif')
    assert (prediction.crs, prediction.transform) == (scene.crs, scene.transform)
    assert (prediction.height, prediction.width) == (scene.height, scene.width)
    assert 0 <= report.mean_iou <= 1
    assert 0 < report.majority_iou < 0.25
    assert 0 <= report.overall.value <= 1
    assert report.overall.half_width is not None


def test_only_a_folder_that_a_demo_made_is_replaced(tmp_path: Path) -> None:
    ours, other = tmp_path / 'ours', tmp_path / 'other'
    clear_folder(ours, overwrite=False)
    (ours / 'old.txt').touch()
    other.mkdir()
    (other / 'precious.txt').touch()
    with pytest.raises(FileExistsError, match='or --overwrite'):
        clear_folder(ours, overwrite=False)
    with pytest.raises(FileExistsError, match=r'give another folder$'):
        clear_folder(other, overwrite=True)
    clear_folder(ours, overwrite=True)
    assert not (ours / 'old.txt').exists()
    assert (other / 'precious.txt').exists()


def test_intersection_over_union_counts_each_class_alike() -> None:
    truth = np.array([[0, 0, 0, 1], [2, 3, 4, 4]])
    assert mean_intersection(truth, truth) == 1
    predicted = np.array([[0, 0, 0, 0], [2, 3, 4, 4]])
    assert mean_intersection(predicted, truth) == pytest.approx((3 / 4 + 0 + 1 + 1 + 1) / 5)


def test_the_picture_shows_scene_truth_and_prediction(tmp_path: Path) -> None:
    truth = np.zeros((32, 32), dtype=np.uint8)
    truth[:, 16:] = 1
    draw_report(
        tmp_path / 'report.png',
        scene=np.full((3, 32, 32), 77, dtype=np.uint8),
        truth=truth,
        predicted=1 - truth,
        class_names=('land', 'sea'),
        class_colors=((10, 200, 30), (20, 40, 240)),
        pretraining={'train_loss': ([0, 5, 10], [3.0, 2.0, 1.0])},
        finetuning={'train_loss': ([0, 5, 10], [3.0, 2.0, 1.0])},
        chance=4.0,
        title='test',
    )
    colors = {
        tuple(color)
        for color in np.asarray(Image.open(tmp_path / 'report.png'))[..., :3]
        .reshape(-1, 3)
        .tolist()
    }
    assert {(77, 77, 77), (10, 200, 30), (20, 40, 240)} <= colors


def test_the_queue_is_at_most_half_of_the_images(sample_data: Path) -> None:
    scenes = sorted(map(str, (sample_data / 'scenes').glob('*.tif')))
    steps = DEFAULT_STEPS // count_epochs(DEFAULT_STEPS)
    data = GeRSPDataModule(scenes, size=PATCH, batch_size=32, steps_per_epoch=steps)
    data.setup('fit')
    assert data.distinct_samples is not None
    # or a warning of our own meets the newcomer
    assert data.distinct_samples >= 2 * QUEUE
