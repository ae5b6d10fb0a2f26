"""The training command in a process of its own."""

import multiprocessing
import signal
import time
from pathlib import Path

import pytest

from gersp_geo.training import train_from_arguments

# more than the test waits for, so that only the signal can end the run
MANY = 10_000


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
    context = multiprocessing.get_context('forkserver')
    process = context.Process(target=train_from_arguments, args=(['fit', '--config', str(config)],))
    process.start()
    deadline = time.monotonic() + 180
    while not last.exists() and process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.terminate()
    process.join(timeout=60)
    process.kill()
    assert process.exitcode == 128 + signal.SIGTERM
    assert last.exists()
