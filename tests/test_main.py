import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# its log handler keeps the stderr of the time of import, and a test's own is closed behind it
import lightning.pytorch  # noqa: F401
import pytest
import torch

from gersp_geo import __version__
from gersp_geo.command_line import build_parser
from gersp_geo.main import end_on_signals, main

type Run = Callable[[list[str]], int]


def run_apart(words: list[str]) -> int:
    """Run the command in a process of its own, as a user does."""
    return subprocess.run([sys.executable, '-m', 'gersp_geo.main', *words], check=False).returncode


here_and_apart = pytest.mark.parametrize(
    'run',
    [pytest.param(main, id='here'), pytest.param(run_apart, id='apart', marks=pytest.mark.slow)],
)


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    code = (
        'import sys, contextlib\nfrom gersp_geo.main import main\n'
        'with contextlib.suppress(SystemExit): main(["--help"])\n'
        'print(sorted({"torch", "numpy", "rasterio"} & set(sys.modules)))'
    )
    answer = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip().endswith('[]')
    for command in (
        'fit',
        'validate',
        'test',
        'predict',
        'plan',
        'evaluate',
        'export',
        'weights',
        'sample-data',
        'demo',
    ):
        assert f'    {command}' in answer.stdout


def test_help_says_what_holds_for_each_kind_of_result(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(['predict', '--help'])
    told = ' '.join(capsys.readouterr().out.split())
    assert '(auto; of whole patches 224)' in told
    assert '(auto; of whole patches 0)' in told
    assert '(0.5)' in told
    assert told.index('scene: ') < told.index('maps: ') < told.index('several workers: ')


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(['--version'])
    assert stop.value.code == 0
    assert capsys.readouterr().out.strip() == f'gersp-geo {__version__}'


@pytest.mark.parametrize(
    'words',
    [
        [],
        ['predict'],
        ['predict', 'model.ckpt', 'scene.tif'],
        ['predict', 'model.ckpt', 'scene.tif', '-o', 'map.tif', '--bands', 'red'],
        ['export', 'a.ckpt', 'b.ckpt', '--format', 'keras'],
    ],
)
def test_wrong_usage_exits_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        build_parser().parse_args(words)
    assert stop.value.code == 2
    assert 'usage: gersp-geo' in capsys.readouterr().err


def test_a_failure_in_the_data_is_one_line_and_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        'export',
        str(tmp_path / 'none.ckpt'),
        str(tmp_path / 'b.ckpt'),
        '--format',
        'torchgeo',
    ]
    assert main(words) == 1
    error = capsys.readouterr().err
    assert error.startswith('gersp-geo: error: ')
    assert error.count('\n') == 1
    assert 'none.ckpt' in error
    assert list(tmp_path.iterdir()) == []


def fit(*words: str | Path) -> list[str]:
    """Words of a small pre-training run."""
    return [
        'fit', '--model', 'gersp_geo.tasks.GeRSPTask', '--model.model', 'resnet18',
        '--model.size', '32', '--model.memory_bank_size', '16', '--model.num_classes', '9',
        '--data', 'gersp_geo.datamodules.GeRSPDataModule', '--data.size', '32',
        '--data.batch_size', '4', '--data.steps_per_epoch', '2',
        '--trainer.max_epochs', '1', '--trainer.logger', 'false',
        '--trainer.enable_progress_bar', 'false', *map(str, words),
    ]  # fmt: skip


@here_and_apart
def test_fit_trains_and_its_checkpoint_says_how_input_was_prepared(
    run: Run, workplace: Path
) -> None:
    data = workplace / 'sample-data'
    words = fit('--data.remote_sensing', data / 'scenes', '--data.natural', data / 'natural')
    assert run([*words, '--trainer.default_root_dir', str(workplace / 'runs')]) == 0
    (checkpoint,) = (workplace / 'runs').rglob('*.ckpt')
    record = torch.load(checkpoint, weights_only=True)['gersp_geo']
    assert record['task_class'] == 'gersp_geo.GeRSPTask'
    assert len(record['bands']) == 3
    assert record['scale'] == pytest.approx([1 / 255] * 3)
    assert record['res_m'] == pytest.approx(1.0)


@here_and_apart
@pytest.mark.parametrize('kind', ['missing', 'empty'])
def test_fit_on_a_missing_or_empty_folder_is_one_line(
    run: Run, kind: str, workplace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = workplace / 'archive'
    if kind == 'empty':
        folder.mkdir()
    natural = workplace / 'sample-data' / 'natural'
    before = sorted(workplace.iterdir())
    assert run(fit('--data.remote_sensing', folder, '--data.natural', natural)) == 1
    told = capfd.readouterr().err
    assert 'Traceback' not in told
    error = [line for line in told.splitlines() if line.startswith('gersp-geo: error:')]
    assert len(error) == 1
    assert str(folder) in error[0]
    assert sorted(workplace.iterdir()) == before


def test_a_traceback_can_be_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, 'GERSP_GEO_TRACEBACK', '1')
    with pytest.raises(FileNotFoundError):
        main(['export', str(tmp_path / 'none.ckpt'), str(tmp_path / 'b'), '--format', 'timm'])


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_command_as_a_shell_reports_it_and_says_what_next(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    with handlers_kept():
        end_on_signals('all is lost')
        with pytest.raises(SystemExit) as stop:
            signal.raise_signal(number)
    assert stop.value.code == 128 + number
    assert capsys.readouterr().err == 'gersp-geo: stopped; all is lost\n'


@contextmanager
def handlers_kept() -> Iterator[None]:
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@pytest.mark.skipif(os.name == 'nt', reason='Windows has no SIGTERM to catch')
@pytest.mark.parametrize('pattern', ['*', '*/*'], ids=['once-begun', 'on-the-way'])
def test_sample_data_that_are_stopped_leave_nothing_half_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest, pattern: str
) -> None:
    def stop_after_folder(frame: object, event: str, called: object) -> None:
        # between two lines, at the moment that a folder is there
        if event == 'c_return' and called is os.mkdir and any(tmp_path.glob(pattern)):
            sys.setprofile(None)
            os.kill(os.getpid(), signal.SIGTERM)

    request.addfinalizer(lambda: sys.setprofile(None))
    sys.setprofile(stop_after_folder)
    with handlers_kept(), pytest.raises(SystemExit) as stop:
        main(['sample-data', str(tmp_path / 'made')])
    assert stop.value.code == 128 + signal.SIGTERM
    assert 'begins anew with the same command' in capsys.readouterr().err
    assert not any(tmp_path.iterdir())
