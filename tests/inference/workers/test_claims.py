"""Laws of claims: one worker at a time, the dead lose theirs, and what failed is tried four times."""

import fcntl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from gersp_geo.inference.resume.journal import Journal, is_locked
from gersp_geo.inference.workers.claims import ATTEMPTS, Claim, Claims, Worker, this_host

LEASE = 1.0
HERE = Worker(name='run-0', run='run', host=this_host())
ELSEWHERE = replace(HERE, name='run-1', host='another machine')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / 'claims').mkdir()
    return tmp_path


class Stage:
    """Where workers begin, and die."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.journals = folder, dict[str, Journal]()

    def begin(self, worker: Worker, *, lease: float = LEASE) -> Claims:
        """Let a worker begin, which locks its journal."""
        self.journals[worker.name] = Journal(self.folder, name=worker.name).__enter__()
        return Claims(self.folder, worker, lease=lease)

    def end(self, claims: Claims) -> None:
        """Let a worker die."""
        self.journals[claims.worker.name].__exit__(None, None, None)


@pytest.fixture
def stage(folder: Path) -> Iterator[Stage]:
    stage = Stage(folder)
    yield stage
    for journal in stage.journals.values():
        journal.__exit__(None, None, None)


def last(claims: Claims, key: str = '7') -> Claim | None:
    return claims.survey().get(key)


@pytest.mark.parametrize('ending', [None, 'done', 'failed'])
def test_each_attempt_is_of_one_worker_whatever_becomes_of_it(
    ending: Any, folder: Path, stage: Stage
) -> None:
    workers = [stage.begin(replace(HERE, name=f'run-{number}')) for number in range(8)]

    def take(claims: Claims) -> list[str]:
        # none has looked before
        taken = [str(part) for part in range(20) if claims.take(str(part), None)]
        for key in taken if ending else ():
            claims.settle(key, ending)
            assert claims.take(key, None) is None
        return taken

    with ThreadPoolExecutor(len(workers)) as pool:
        taken = [key for keys in pool.map(take, workers) for key in keys]
    assert sorted(taken) == sorted(map(str, range(20)))
    assert {(c.attempt, c.state) for c in workers[0].survey().values()} == {(0, ending or 'held')}


def test_a_dead_worker_of_this_machine_loses_its_claims_at_once(stage: Stage) -> None:
    first, second, third = (stage.begin(replace(HERE, name=f'run-{n}'), lease=99) for n in range(3))
    assert first.take('7', None)
    assert not second.is_free(last(second))
    stage.end(first)
    lost = last(second)
    assert second.is_free(lost)
    assert third.is_free(lost)
    assert second.take('7', lost) == Claim(key='7', attempt=1, state='held')
    assert third.take('7', lost) is None
    assert not third.is_free(last(third))


def test_a_silent_worker_elsewhere_loses_its_claims_after_a_lease(
    folder: Path, stage: Stage
) -> None:
    other, own = stage.begin(ELSEWHERE), stage.begin(HERE)
    assert other.take('7', None)
    with other.beating():
        begun = monotonic()
        while monotonic() < begun + 1.5 * LEASE:
            assert not own.is_free(last(own))
            sleep(0.1)
    begun = monotonic()
    while not own.is_free(last(own)):
        sleep(0.05)
        assert monotonic() < begun + 5 * LEASE
    assert monotonic() > begun + 0.5 * LEASE


def test_what_a_worker_does_that_was_thought_dead_changes_nothing(
    folder: Path, stage: Stage
) -> None:
    first, second = stage.begin(HERE), stage.begin(replace(HERE, name='run-2'))
    for key in '78':
        assert first.take(key, None)
        # as if a lease had passed
        assert second.take(key, last(second, key))
        second.settle(key, 'done')
    first.settle('7', 'failed', 'woke up in another world')
    first.release('8')
    assert {c.name for c in second.survey().values()} == {'7.1.done', '8.1.done'}
    assert first.take('9', None)
    assert second.take('9', last(second, '9'))
    first.settle('9', 'done')
    assert last(second, '9') == Claim(key='9', attempt=0, state='done')
    second.settle('9', 'failed', 'too late')
    assert last(first, '9') == Claim(key='9', attempt=0, state='done')


@pytest.mark.parametrize('content', ['', '{"name": "run', '[]', 'null', '{"other": 1}'])
def test_a_claim_that_was_cut_off_is_lost_after_a_lease(
    content: str, folder: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = stage.begin(HERE)
    (folder / 'claims' / '7.0').write_text(content)
    now = monotonic()
    monkeypatch.setattr('gersp_geo.inference.workers.claims.monotonic', lambda: now)
    assert not claims.is_free(last(claims))
    now += LEASE
    assert claims.is_free(last(claims))


def test_what_failed_is_tried_four_times_and_again_by_another_run(stage: Stage) -> None:
    for run in ('run', 'later'):
        workers = [stage.begin(replace(HERE, name=f'{run}-{n}', run=run)) for n in range(2)]
        for attempt in range(ATTEMPTS):
            claims = workers[attempt % 2]
            assert claims.is_free(last(claims))
            assert claims.take('7', last(claims))
            claims.settle('7', 'failed', f'no luck {run} {attempt}')
        for claims in workers:
            claim = last(claims)
            assert claim is not None
            assert claims.is_settled(claim)
            assert claims.attempts(claim) == ATTEMPTS
            assert claims.reason_of(claim) == f'no luck {run} {ATTEMPTS - 1}'


def test_a_part_that_kills_whoever_tries_it_fails(stage: Stage) -> None:
    for number in range(ATTEMPTS):
        claims = stage.begin(replace(HERE, name=f'run-{number}'))
        assert claims.is_free(last(claims))
        assert claims.take('7', last(claims))
        stage.end(claims)
    claims = stage.begin(replace(HERE, name='run-4'))
    assert claims.take('7', last(claims)) is None
    claim = last(claims)
    assert claim is not None
    assert claims.is_settled(claim)
    assert claims.reason_of(claim) == 'each worker that tried has died'


def test_a_part_that_was_given_back_is_of_whoever_takes_it_then(stage: Stage) -> None:
    first, second, watcher = (stage.begin(replace(HERE, name=f'run-{n}')) for n in range(3))
    assert first.take('7', None)
    assert not watcher.is_free(last(watcher))
    first.release('7')
    assert second.take('7', None)
    stage.end(first)
    assert not watcher.is_free(last(watcher))


def test_who_looks_whether_a_journal_is_locked_keeps_nobody_out(folder: Path) -> None:
    path = folder / 'run-0.jsonl'
    path.touch()
    with path.open('rb+') as stream, ThreadPoolExecutor(1) as pool:
        fcntl.flock(stream, fcntl.LOCK_EX)
        entered = pool.submit(Journal(folder, name='run-0').__enter__)
        sleep(0.02)
        fcntl.flock(stream, fcntl.LOCK_UN)
        journal = entered.result()
        # it is the journal's lock now
        assert is_locked(path)
        journal.__exit__(None, None, None)
    assert not is_locked(path)
