"""Laws of the page about a run: it shows what a logger and a report left, and says what is absent."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from gersp_geo.callbacks.report.files import write_summary
from gersp_geo.callbacks.report.summary import Matrix, Summary
from gersp_geo.main import main
from gersp_geo.reports.runs import find_runs

from .conftest import Page

type Read = Callable[[Path], Page]

PRETRAINING = """\
epoch,lr,step,train_contrastive_loss_epoch,train_contrastive_loss_step,train_effective_rank,val_knn_accuracy
0,0.03,1,,3.5,,
0,0.03,3,,inf,,
0,,3,3.4,,61.2,0.25
1,0.02,5,,nan,,
1,0.02,7,,2.5,,
1,,7,2.6,,58.1,0.75
"""


def write_run(folder: Path, log: str, *, age: float) -> Path:
    folder.mkdir(parents=True)
    (folder / 'metrics.csv').write_text(log)
    when = 1.7e9 - age
    os.utime(folder / 'metrics.csv', (when, when))
    return folder


def write_report(folder: Path) -> None:
    summary = Summary(
        unit='pixels',
        counts={'<b>forest': 12, 'field': 8},
        classes={'<b>forest': {'IoU': 0.5}, 'field': {'IoU': np.nan}},
        overall={'IoU': 0.5, 'Accuracy': 0.8125},
        matrix=Matrix(
            rows=('<b>forest', 'field'), columns=('<b>forest', 'field'),
            counts=np.array([[9, 3], [4, 4]]),
        ),
    )  # fmt: skip
    write_summary(folder, summary, {'stage': 'val', 'epoch': 1, 'step': 7})


def test_the_newest_training_is_shown_with_what_came_after_it(
    tmp_path: Path, read_page: Read, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / 'runs' / 'lightning_logs'
    write_run(runs / 'version_8', PRETRAINING, age=30)
    newest = write_run(runs / 'version_9', PRETRAINING, age=20)
    tested = write_run(runs / 'version_10', 'epoch,step,test_IoU\n2,8,0.5\n', age=10)
    write_report(newest / 'report' / 'val')
    write_report(tested / 'report' / 'test')
    (newest / 'config.yaml').write_text('model: <script>x</script>\n')
    found, older = find_runs(runs.parent)
    assert [run.folder for run in found] == [newest, tested]
    assert older == [runs / 'version_8']
    assert main(['report', str(runs.parent), '-o', str(tmp_path / 'r.html')]) == 0
    assert capsys.readouterr().out == f'{tmp_path / "r.html"}\n'
    page = read_page(tmp_path / 'r.html')
    for text in (
        '2 epochs, 8 steps', 'val_knn_accuracy', 'train_effective_rank', 'Learning rate',
        'What the validation found', 'What the test found', '<b>forest', '0.8125',
        'Time waiting for data, share of an epoch: not logged', 'version_8; pass one of them',
        'model: <script>x</script>', 'neither config.yaml nor hparams.yaml',
    ):  # fmt: skip
        assert text in page.text
    assert 'Record and software' not in page.text


def test_the_record_of_the_newest_checkpoint_is_shown(tmp_path: Path, read_page: Read) -> None:
    folder = write_run(tmp_path / 'run', PRETRAINING, age=0)
    content = {
        'epoch': 1, 'global_step': 8, 'state_dict': {'w': torch.zeros(1)},
        'gersp_geo': {'bands': ['nir<'], 'scale': [1e-4], 'mean': [0.25], 'std': [0.5]},
        'gersp_geo_training': {'commit': 'abc123'},
    }  # fmt: skip
    torch.save(content, folder / 'a.ckpt')
    assert main(['report', str(folder), '-o', str(tmp_path / 'r.html')]) == 0
    text = read_page(tmp_path / 'r.html').text
    assert 'abc123' in text
    assert 'nir<' in text
    (folder / 'a.ckpt').write_bytes(b'damaged')
    assert main(['report', str(folder), '-o', str(tmp_path / 'r.html'), '--overwrite']) == 0
    assert 'Not read: ' in read_page(tmp_path / 'r.html').text


@pytest.mark.parametrize(
    ('log', 'expected'),
    [
        (None, 'holds no metrics.csv of a run'),
        ('class,count,IoU\na,1,1\n', 'holds no metrics.csv of a run'),
        ('epoch,step,a\n1,2,3,4,5\n0,1,"\n', 'is not a log of a run'),
    ],
)
def test_what_is_no_run_is_refused_in_one_line(
    log: str | None, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if log is not None:
        (tmp_path / 'metrics.csv').write_text(log)
    assert main(['report', str(tmp_path), '-o', str(tmp_path / 'r.html')]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line
    assert not (tmp_path / 'r.html').exists()


def test_a_damaged_table_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_run(tmp_path / 'run', PRETRAINING, age=0)
    write_report(folder / 'report' / 'val')
    (folder / 'report/val/metrics.json').write_text(json.dumps([1])[:-1])
    assert main(['report', str(folder), '-o', str(tmp_path / 'r.html')]) == 1
    assert 'metrics.json is not the table of a report' in capsys.readouterr().err
