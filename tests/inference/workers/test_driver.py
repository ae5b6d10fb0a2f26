"""Laws of the driver: it knows what became of all, replaces the dead, and gives up in one line."""

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gersp_geo.inference.scenes import Done, Job, Jobs
from gersp_geo.inference.workers.driver import Ledger, drive
from gersp_geo.inference.workers.events import (
    Begun,
    Event,
    PartDone,
    PartFailed,
    SceneDone,
    SceneFailed,
    Warned,
    WorkerStopped,
)

DEAD = WorkerStopped(reason='killed by SIGKILL', is_dead=True)
OVER = WorkerStopped(reason=None)


class Script:
    """Workers that tell what is written down for them, each time they are started."""

    def __init__(self, *scripts: Sequence[Iterable[Event]]) -> None:
        self.size = len(scripts)
        self.left = [[list(life) for life in lives] for lives in scripts]
        self.telling: dict[int, list[Event]] = {}
        self.replaced: list[int] = []
        self.is_stopped = False

    def start(self) -> None:
        self.telling = {number: lives.pop(0) for number, lives in enumerate(self.left)}

    def events(self, timeout: float) -> list[tuple[int, Event]]:
        return [(number, events.pop(0)) for number, events in self.telling.items() if events]

    def replace(self, number: int) -> None:
        self.replaced.append(number)
        self.telling[number] = self.left[number].pop(0)

    def stop(self) -> None:
        self.is_stopped = True


def jobs(count: int) -> Jobs:
    scenes = tuple(Job(scene=f'{n}.tif', final=Path(f'maps/{n}.tif')) for n in range(count))
    return Jobs(scenes=scenes, is_single=count == 1)


def run(crew: Script, *, scenes: int = 1) -> tuple[Ledger, list[str]]:
    ledger = Ledger(scenes=scenes)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        try:
            drive(crew, jobs(scenes), ledger, progress=False)
        finally:
            assert crew.is_stopped
    return ledger, [str(each.message) for each in caught]


def made(scene: int = 0, summary: object = 'made') -> SceneDone:
    return SceneDone(scene=scene, done=Done(summary=summary))


def test_a_worker_that_dies_is_replaced_and_said_to_be() -> None:
    crew = Script([[PartDone(scene=0, pixels=3), DEAD], [made()]], [[PartDone(scene=0, pixels=4)]])
    ledger, said = run(crew)
    assert crew.replaced == [0]
    assert said == ['worker 0 has died (killed by SIGKILL); another one goes on']
    assert (ledger.pixels_done, ledger.outcomes) == (7, {0: Done(summary='made')})


def test_a_worker_that_dies_before_it_finishes_anything_is_replaced_three_times() -> None:
    crew = Script([[DEAD]] * 9)
    with pytest.raises(OSError, match=r'^killed by SIGKILL$'):
        run(crew)
    assert crew.replaced == [0] * 3


def test_a_worker_that_gets_on_is_replaced_however_often_it_dies() -> None:
    lives: list[list[Event]] = [[PartDone(scene=0, pixels=1), DEAD]] * 9
    crew = Script([*lives, [made()]])
    assert run(crew)[0].pixels_done == 9
    assert crew.replaced == [0] * 9


def test_others_go_on_without_a_worker_that_cannot() -> None:
    unfit = WorkerStopped(reason='the model needs 8 GiB')
    crew = Script([[unfit]], [[PartDone(scene=0, pixels=1), made()]])
    _, said = run(crew)
    assert said == ['worker 0 did not work: the model needs 8 GiB']
    assert crew.replaced == []


@pytest.mark.parametrize(
    ('reasons', 'text'),
    [
        (('no model', 'no model'), r'^no model$'),
        (('no model', 'no room'), r'^all 2 workers have ended: no model; no room$'),
        ((None, None), r'^all 2 workers have ended: for no known reason$'),
    ],
)
def test_the_driver_says_in_one_line_why_no_worker_is_left(
    reasons: tuple[str | None, ...], text: str
) -> None:
    with pytest.raises(OSError, match=text):
        run(Script(*([[WorkerStopped(reason=reason)]] for reason in reasons)))


def test_what_several_workers_say_is_said_once() -> None:
    events: list[Event] = [
        Warned(text='odd bands'), Warned(text='odd bands'),
        PartFailed(scene=0, part='3', reason='disk full'), made(), OVER,
    ]  # fmt: skip
    assert run(Script([events], [events]))[1] == [
        'odd bands',
        '0.tif: disk full; part 3 is tried again',
    ]


@given(
    order=st.permutations(range(12)), shares=st.lists(st.integers(0, 2), min_size=12, max_size=12)
)
def test_the_order_of_news_is_no_matter(order: list[int], shares: list[int]) -> None:
    """Three scenes, of which one fails, one was made before, and one is made twice."""
    news: list[Event] = [
        *(Begun(scene=n, pixels=10, pixels_before=2) for n in (0, 1, 2, 0)),
        *(PartDone(scene=n, pixels=4) for n in (0, 1, 1, 2)),
        SceneFailed(scene=0, reason='cut off'),
        made(1, None),
        made(2, 'made'),
        made(2, None),
    ]
    ledger = Ledger(scenes=3)
    names = [f'{n}.tif' for n in range(3)]
    for number in order:
        ledger.take(news[number], names)
    assert ledger.is_settled
    assert ledger.outcomes == {0: 'cut off', 1: Done(summary=None), 2: Done(summary='made')}
    assert ledger.pixels_done == 16
    assert sum(begun.pixels_before for begun in ledger.begun.values()) == 6
    lives: list[list[Event]] = [[], [], []]
    for number in order:
        lives[shares[number]].append(news[number])
    assert run(Script(*([life] for life in lives)), scenes=3)[0].is_settled


@pytest.mark.parametrize('first', [True, False])
def test_a_scene_that_one_worker_gave_up_may_still_be_made(first: bool) -> None:
    events: list[Event] = [SceneFailed(scene=0, reason='cut off'), made()]
    ledger = Ledger(scenes=1)
    for event in events if first else events[::-1]:
        ledger.take(event, ['0.tif'])
    assert ledger.outcomes == {0: Done(summary='made')}
