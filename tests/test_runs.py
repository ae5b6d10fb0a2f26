"""The scripts of runs/ in their smallest profile."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

RUNS = Path(__file__).parents[1] / 'runs'

# Starts the processes of one node as srun does
SRUN = """#!/bin/sh
shift  # the cores of each
for rank in 0 1; do
    SLURM_PROCID=$rank SLURM_LOCALID=$rank SLURM_NODEID=0 "$@" &
done
wait
"""

SHORT = ('--trainer.max_epochs', '1', '--data.steps_per_epoch', '2', '--model.model', 'test_resnet')


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / 'bin').mkdir()
    (tmp_path / 'bin' / 'srun').write_text(SRUN)
    (tmp_path / 'bin' / 'srun').chmod(0o755)
    return tmp_path


def run(place: Path, script: str, *, words: tuple[str, ...] = SHORT, **variables: str) -> str:
    path = f'{place / "bin"}:{Path(sys.executable).parent}:{os.environ["PATH"]}'
    done = subprocess.run(
        ['sh', str(RUNS / script), *words],
        cwd=place,
        check=False,
        env=os.environ | {'PATH': path, 'PROFILE': 'tiny'} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


@pytest.mark.parametrize('script', ['torchrun.sh', 'slurm_pretrain.sh'])
def test_scripts_are_shell_and_refuse_an_unknown_profile(script: str, place: Path) -> None:
    with pytest.raises(AssertionError, match='PROFILE must be tiny or paper, got huge'):
        run(place, script, PROFILE='huge')


@pytest.mark.parametrize('script', ['torchrun.sh', 'slurm_pretrain.sh'])
def test_scripts_ask_for_the_data_of_the_paper(script: str, place: Path) -> None:
    with pytest.raises(AssertionError, match='REMOTE: set REMOTE to the folder'):
        run(place, script, PROFILE='paper')


@pytest.mark.slow
def test_the_script_for_torchrun_trains_and_goes_on(place: Path, sample_data: Path) -> None:
    (place / 'sample-data').symlink_to(sample_data)
    told = 'last checkpoint: '
    assert told in run(place, 'torchrun.sh')
    again = run(place, 'torchrun.sh')
    assert 'Restored all states' in again


@pytest.mark.slow
def test_the_script_for_slurm_trains_in_all_tasks(place: Path, sample_data: Path) -> None:
    (place / 'sample-data').symlink_to(sample_data)
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    text = run(
        place,
        'slurm_pretrain.sh',
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT=port,
        SLURM_JOB_ID='1',
        SLURM_JOB_NAME='gersp-geo',
        SLURM_JOB_NUM_NODES='1',
        SLURM_NTASKS='2',
        SLURM_NTASKS_PER_NODE='2',
        SLURM_SUBMIT_DIR=str(RUNS.parent),
    )
    assert 'Starting with 2 processes' in text
    assert text.count('last checkpoint: ') == 1


def test_the_script_for_job_arrays_is_shell_and_asks_for_what_it_needs(place: Path) -> None:
    with pytest.raises(AssertionError, match='PROFILE must be tiny or array, got huge'):
        run(place, 'job_array.sh', PROFILE='huge')
    with pytest.raises(AssertionError, match='SCENES: set SCENES'):
        run(place, 'job_array.sh', PROFILE='array', MODEL='model.ckpt')


def test_the_script_for_job_arrays_joins_under_srun(place: Path) -> None:
    # prints what would be started
    (place / 'bin' / 'gersp-geo').write_text('#!/bin/sh\necho "$OMP_NUM_THREADS: $*"\n')
    (place / 'bin' / 'gersp-geo').chmod(0o755)
    given = {'MODEL': 'a model.ckpt', 'SCENES': 'scenes', 'MAPS': 'maps', 'OMP_NUM_THREADS': ''}
    text = run(
        place, 'job_array.sh', words=('--lease', '90'), PROFILE='array', SLURM_CPUS_PER_TASK='3',
        **given,
    )  # fmt: skip
    line = '3: predict a model.ckpt scenes -o maps --join --no-progress --lease 90'
    assert text.splitlines() == [line] * 2


@pytest.mark.slow
def test_two_tasks_of_a_job_array_make_one_map(place: Path, sample_data: Path) -> None:
    (place / 'sample-data').symlink_to(sample_data)
    run(place, 'job_array.sh', words=('--size', '256'))
    assert (place / 'map.tif').exists()
    assert not list(place.glob('.map.tif.parts'))
