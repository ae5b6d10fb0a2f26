"""The training command in a process of its own."""

import multiprocessing
import os
import signal
import sys
import time
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import pytest
import torch
from torchgeo.tasks import SemanticSegmentation

from gersp_geo.main import main
from gersp_geo.stopping import stoppable
from gersp_geo.training import train_from_arguments

# more than the test waits for, so that only the signal can end the run
MANY = 10_000

CONTEXT = multiprocessing.get_context('forkserver')

CONFIG = Path(__file__).parents[1] / 'configs' / 'finetune' / 'segmentation.yaml'


def test_sigterm_saves_and_ends_with_its_own_exit_code(
    sample_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = tmp_path / 'last.ckpt'
    config = tmp_path / 'checkpoints.yaml'
    config.write_text(f"""
trainer:
  accelerator: cpu
  max_steps: {MANY}
  logger: false
  enable_progress_bar: false
  default_root_dir: {tmp_path}
  callbacks:
    - class_path: lightning.pytorch.callbacks.ModelCheckpoint
      init_args:
        dirpath: {tmp_path}
        every_n_train_steps: 1
        save_top_k: 0
        save_last: true
        save_on_exception: true
        enable_version_counter: false
model:
  class_path: gersp_geo.tasks.GeRSPTask
  init_args:
    model: test_resnet
    size: 32
    num_classes: 8
    memory_bank_size: 8
data:
  class_path: gersp_geo.datamodules.GeRSPDataModule
  init_args:
    remote_sensing: {sample_data / 'scenes'}
    natural: {sample_data / 'natural'}
    size: 32
    batch_size: 4
""")
    monkeypatch.chdir(tmp_path)  # where Lightning keeps the configuration
    process = CONTEXT.Process(target=train_from_arguments, args=(['fit', '--config', str(config)],))
    process.start()
    deadline = time.monotonic() + 180
    while not last.exists() and process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.terminate()
    process.join(timeout=60)
    process.kill()
    assert process.exitcode == 128 + signal.SIGTERM
    assert last.exists()


def finetune(words: list[str], second_step: Event, errors: Path) -> None:
    """Run the command and say when its second step begins."""
    torch.set_num_threads(1)
    os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT), 2)
    step = SemanticSegmentation.training_step

    def watched(task: SemanticSegmentation, batch: Any, batch_idx: int, *more: Any) -> Any:
        if batch_idx == 1:
            second_step.set()
        return step(task, batch, batch_idx, *more)

    SemanticSegmentation.training_step = watched  # type: ignore[method-assign,assignment]
    raise SystemExit(main(words))


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_the_shipped_fine_tuning_saves_when_it_is_stopped_in_its_first_epoch(
    number: signal.Signals, sample_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {
        'config': CONFIG,
        'model.model': 'fcn',
        'model.num_filters': 4,
        'data.images': sample_data / 'scenes',
        'data.masks': sample_data / 'masks',
        'data.size': 32,
        'data.length': 8 * MANY,
        'trainer.accelerator': 'cpu',
        'trainer.logger': 'false',
        'trainer.enable_progress_bar': 'false',
        'trainer.num_sanity_val_steps': 0,
    }
    words = ['fit', *(f'--{name}={value}' for name, value in options.items())]
    monkeypatch.chdir(tmp_path)
    second_step, errors = CONTEXT.Event(), tmp_path / 'errors.txt'
    process = CONTEXT.Process(target=finetune, args=(words, second_step, errors))
    process.start()
    assert second_step.wait(timeout=180)
    os.kill(process.pid or 0, number)
    process.join(timeout=60)
    process.kill()
    assert process.exitcode == 128 + number
    (last,) = tmp_path.rglob('*.ckpt')
    assert last == tmp_path / 'runs' / 'segmentation' / 'checkpoints' / 'last.ckpt'
    assert torch.load(last, weights_only=True)['global_step'] >= 2
    told = f'gersp-geo: stopped; go on with the same command and --ckpt_path {last}'
    assert errors.read_text().splitlines()[-1] == told


@pytest.mark.parametrize(
    ('content', 'told'),
    [
        ('modle: 3', "'fit' does not accept option 'modle'"),
        ('trainer: {max_epoch: 3}', "does not accept option 'trainer.max_epoch'"),
        (
            'trainer: {max_epochs: many}',
            '"trainer.max_epochs": Expected a <class \'int\'>, got many',
        ),
        ('model: {class_path: gersp_geo.tasks.None}', "'gersp_geo.tasks' has no attribute 'None'"),
        ('model: {class_path: GeRSPTask, init_args: {a: 1}}', "Option 'a' is not accepted"),
        ('trainer: {max_epochs: 3}', 'required: fit.data, fit.model; a configuration (--config)'),
    ],
)
def test_an_option_that_cannot_be_used_is_one_line(
    content: str, told: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / 'my.yaml'
    config.write_text(content)
    with pytest.raises(SystemExit) as stop:
        main(['fit', '--config', str(config)])
    assert stop.value.code == 2
    error = capfd.readouterr().err
    assert error.startswith('gersp-geo: error: ')
    assert told in error
    assert error.count('\n') == 1


def wait_for_the_end(began: Event) -> None:
    began.set()
    # short sleeps: a signal that arrives just before one is only seen after it
    for _ in range(6000):
        time.sleep(0.01)


def end_a_fork() -> None:
    """Fork a process that waits, end it, and end as it did."""
    context = multiprocessing.get_context('fork')
    began = context.Event()
    with stoppable():
        child = context.Process(target=wait_for_the_end, args=(began,))
        child.start()
        # Python forgets a signal that reaches a process while it begins
        assert began.wait(timeout=60)
        child.terminate()
        child.join(timeout=10)
        child.kill()
        child.join()
    sys.exit(abs(child.exitcode or 0))


def test_a_forked_process_ends_when_its_parent_says_so() -> None:
    # threads of libraries that other tests have loaded do not survive a fork
    parent = CONTEXT.Process(target=end_a_fork)
    parent.start()
    parent.join()
    assert parent.exitcode == signal.SIGTERM
