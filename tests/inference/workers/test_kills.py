"""Whoever is killed, stopped or interrupted: nothing is lost, and only what was in flight is repeated."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from time import monotonic, sleep

import pytest

from gersp_geo.inference.resume.journal import is_locked
from tests.inference.workers.trial import run, write_scene

if not Path('/proc/self/fd').is_dir():
    pytest.skip('who has which file open is read from /proc', allow_module_level=True)

PATIENCE = 120.0
GRACE = 15.0
COMMAND = """
import sys
from gersp_geo.inference.options import MapOptions
from gersp_geo.main import main

MapOptions.__init__.__kwdefaults__['part_pixels'] = 1
sys.exit(main(sys.argv[1:]))
"""
# 190 parts, each of which takes a moment
SIDE, ROWS = 600, 6000
PARTS = ROWS // 32 + (ROWS % 32 > 0)
HOW = ('--size', '32', '--overlap', '0', '--output', 'probabilities', '--runtime', 'eager')


class Case:
    """A scene, its map by one process, and commands that make it again."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.folder, self.model = folder, model
        self.scene = write_scene(folder / 'scene.tif', height=ROWS, width=SIDE)
        self.final, self.parts = folder / 'map.tif', folder / '.map.tif.parts'
        self.calls: list[subprocess.Popen[str]] = []
        self.journals: list[Path] = []
        self.kept = folder / 'kept'
        self.kept.mkdir()

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Run the command in a session of its own."""
        line = ['predict', self.model, self.scene, '-o', self.final, *HOW, *words]
        self.calls.append(
            subprocess.Popen(
                [sys.executable, '-c', COMMAND, *map(str, line), '--device', 'cpu', '--no-progress'],
                env={**os.environ, 'OMP_NUM_THREADS': '1'}, start_new_session=True, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
        )  # fmt: skip
        return self.calls[-1]

    def keep(self) -> None:
        """Keep the journals, which are removed with all else when the map is complete."""
        for path in self.parts.glob('*.jsonl'):
            with suppress(FileExistsError, FileNotFoundError):
                os.link(path, self.kept / path.name)

    def lines(self) -> list[bytes]:
        """Read which parts were finished, by whomever."""
        self.keep()
        return [line for path in self.kept.iterdir() for line in path.read_bytes().splitlines(True)]

    def wait(self, reached: Callable[[], bool], *, seconds: float = PATIENCE) -> None:
        """Wait until something is so."""
        end = monotonic() + seconds
        while not reached():
            assert monotonic() < end
            self.keep()
            sleep(0.002)


@pytest.fixture
def case(tmp_path: Path, small_checkpoint: Path) -> Iterator[Case]:
    case = Case(tmp_path, small_checkpoint)
    yield case
    for call in case.calls:
        with suppress(ProcessLookupError):
            os.killpg(call.pid, signal.SIGKILL)
        call.communicate()


def expected(case: Case) -> bytes:
    """Make the map by one process."""
    final = case.folder / 'one.tif'
    line = ['predict', case.model, case.scene, '-o', final, *HOW]
    assert run(*line)[0] == 0
    return final.read_bytes()


def workers_of(call: subprocess.Popen[str]) -> list[int]:
    """Find the processes that a driver has started to work, with a journal open."""
    children = Path(f'/proc/{call.pid}/task/{call.pid}/children').read_text().split()
    return [int(pid) for pid in children if any(n.endswith('.jsonl') for n in opened(int(pid)))]


def opened(pid: int) -> list[str]:
    """Name the files that a process has open."""
    found = []
    with suppress(OSError):
        for path in Path(f'/proc/{pid}/fd').iterdir():
            with suppress(OSError):
                found.append(str(path.readlink()))
    return found


def kill_worker(case: Case, call: subprocess.Popen[str], random: Random, *, partial: bool) -> int:
    """Kill a worker at some moment, or while it has an unfinished file of a part."""
    victims: list[int] = []

    def is_caught() -> bool:
        for pid in random.sample(workers := workers_of(call), len(workers)):
            os.kill(pid, signal.SIGSTOP)
            if not partial or any('.partial' in name for name in opened(pid)):
                victims.append(pid)
                return True
            os.kill(pid, signal.SIGCONT)
        return False

    case.wait(is_caught)
    os.kill(victims[0], signal.SIGKILL)
    return victims[0]


def is_gone(pid: int) -> bool:
    """Say whether a process has ended."""
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] == 'Z'
    except OSError:
        return True


@pytest.mark.slow
def test_twenty_kills_lose_nothing_and_repeat_at_most_what_was_in_flight(case: Case) -> None:
    wanted, random, in_flight = expected(case), Random(0), 0
    for round_ in range(5):
        call = case.start('--workers', '2')
        for number in range(3):
            more = len(case.lines()) + random.randrange(1, 9)
            case.wait(lambda more=more: len(case.lines()) >= more)  # type: ignore[misc]
            kill_worker(case, call, random, partial=number == 0)
            in_flight += 1
        case.wait(lambda: bool(workers_of(call)))  # noqa: B023 - called here
        workers = workers_of(call)
        call.kill()
        in_flight += 2
        case.wait(lambda: all(map(is_gone, workers)), seconds=GRACE)  # noqa: B023 - called here
        assert not case.final.exists(), round_
    call = case.start('--workers', '2')
    case.wait(lambda: call.poll() is not None)
    output, error = call.communicate()
    assert (call.returncode, error) == (0, '')
    assert 'map.tif' in output
    assert case.final.read_bytes() == wanted
    assert not case.parts.exists()
    assert PARTS <= len(case.lines()) <= PARTS + in_flight


@pytest.mark.slow
@pytest.mark.parametrize('parts', [0, 9], ids=['at once', 'later'])
def test_ctrl_c_ends_all_and_the_same_command_goes_on(case: Case, parts: int) -> None:
    wanted = expected(case)
    call = case.start('--workers', '2')
    children = Path(f'/proc/{call.pid}/task/{call.pid}/children')
    # the first helper process of a driver is no worker
    case.wait(lambda: len(children.read_text().split()) >= 3)
    case.wait(lambda: len(case.lines()) >= parts)
    processes = [int(pid) for pid in children.read_text().split()]
    os.killpg(call.pid, signal.SIGINT)
    case.wait(lambda: call.poll() is not None, seconds=GRACE)
    error = 'gersp-geo: stopped; the same command goes on where it was\n'
    assert (call.returncode, *call.communicate()) == (130, '', error)
    case.wait(lambda: all(map(is_gone, processes)), seconds=GRACE)
    assert case.parts.exists() == (parts > 0)
    again = case.start('--workers', '2')
    case.wait(lambda: again.poll() is not None)
    assert (again.returncode, again.communicate()[1]) == (0, '')
    assert case.final.read_bytes() == wanted
    # who is told to end gives back what is not written down
    assert len(case.lines()) == PARTS


@pytest.mark.slow
@pytest.mark.parametrize('words', [['--workers', '2'], ['--join']], ids=['workers', 'join'])
def test_a_worker_that_slept_past_its_lease_spoils_nothing(
    case: Case, words: Sequence[str]
) -> None:
    wanted = expected(case)
    calls = [case.start(*words, '--lease', '1') for _ in range(1 if '--workers' in words else 2)]

    def sleepers() -> list[int]:
        found = workers_of(calls[0]) if len(calls) == 1 else [calls[0].pid]
        return [pid for pid in found if any('.partial' in name for name in opened(pid))]

    caught: list[int] = []

    def is_caught() -> bool:
        for pid in sleepers():
            os.kill(pid, signal.SIGSTOP)
            if any('.partial' in name for name in opened(pid)):
                caught.append(pid)
                return True
            os.kill(pid, signal.SIGCONT)
        return False

    case.wait(is_caught)
    asleep = [path for path in case.parts.glob('*.jsonl') if str(path) in opened(caught[0])]
    if len(calls) == 1:
        case.wait(lambda: any((case.parts / 'claims').glob('*.1.done')))
        assert all(map(is_locked, asleep))
    else:
        # awake when all is made, and forgotten
        case.wait(lambda: calls[1].poll() is not None)
        assert case.final.read_bytes() == wanted
        assert not case.parts.exists()
    os.kill(caught[0], signal.SIGCONT)
    for call in calls:
        case.wait(lambda: call.poll() is not None)  # noqa: B023 - called here
        assert (call.returncode, call.communicate()[1]) == (0, '')
    assert case.final.read_bytes() == wanted
    assert not case.parts.exists()


@pytest.mark.slow
def test_a_map_is_replaced_when_the_new_one_is_complete(case: Case) -> None:
    wanted = expected(case)
    old = write_scene(case.final, height=9, width=9).read_bytes()
    call = case.start('--workers', '2', '--overwrite')
    seen = set()

    def is_over() -> bool:
        seen.add(case.final.read_bytes())
        return call.poll() is not None

    case.wait(is_over)
    assert (call.returncode, call.communicate()[1]) == (0, '')
    assert seen | {wanted} == {old, wanted}
    assert case.final.read_bytes() == wanted
