"""Laws of handing out parts: all are done, whoever dies or fails, and few pieces are begun."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from gersp_geo.inference.resume.journal import Journal
from gersp_geo.inference.resume.parts import PlannedPart
from gersp_geo.inference.workers.claims import Claims, Worker, this_host
from gersp_geo.inference.workers.part_queue import PartQueue
from gersp_geo.windows import Panel


class Hand:
    """A worker that does one step at a time; its queue is asked as threads of a real one do."""

    def __init__(self, number: int, parts: list[PlannedPart], folder: Path) -> None:
        worker = Worker(name=f'run-{number}', run='run', host=this_host())
        self.journal = Journal(folder, name=worker.name).__enter__()
        self.queue = PartQueue(parts, Claims(folder, worker, lease=60))
        self.runs = self.queue.runs()
        self.begun: list[list[PlannedPart]] = []
        self.in_hand: list[PlannedPart] = []
        self._run: Iterator[PlannedPart] = iter(())

    def take(self) -> bool:
        """Take a part; say whether there was one."""
        part = next(self._run, None)
        if part is None:
            run = next(self.runs, None)
            if run is None:
                self.runs = self.queue.runs()
                return False
            self._run = run
            self.begun.append([])
            part = next(run)
        self.begun[-1].append(part)
        self.in_hand.append(part)
        return True

    def finish(self) -> PlannedPart | None:
        """Finish the first part in hand."""
        if not self.in_hand:
            return None
        part = self.in_hand.pop(0)
        self.queue.done(part)
        return part

    def die(self) -> None:
        """Die, or end."""
        self.journal.__exit__(None, None, None)

    def fail(self) -> None:
        """Fail at the first part in hand, and begin again."""
        self.queue.fail('no luck')
        self.in_hand, self._run, self.runs = [], iter(()), self.queue.runs()


def parts_of(panels: int, rows: int) -> list[PlannedPart]:
    return [
        PlannedPart(
            number=panel * rows + row,
            panel=Panel(col_off=9 * panel, col_stop=9 * panel + 9, patches=range(1)),
            rows=range(row, row + 1),
            row_off=row,
            row_stop=row + 1,
        )
        for panel in range(panels)
        for row in range(rows)
    ]


@given(
    seed=st.integers(0), panels=st.integers(1, 3), rows=st.integers(1, 9), size=st.integers(1, 5)
)
def test_all_parts_are_done_whoever_dies_or_fails(
    seed: int, panels: int, rows: int, size: int
) -> None:
    parts, done, random = parts_of(panels, rows), list[int](), Random(seed)
    fails_left = {part.number: 1 for part in parts}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / 'claims').mkdir()
        hands = [Hand(number, parts, folder) for number in range(size)]
        deaths = 0
        while len(set(done)) < len(parts):
            hand = random.choice(hands)
            step = random.choice(('take', 'take', 'finish', 'finish', 'fail', 'die'))
            if step == 'take' and len(hand.in_hand) < 4:
                hand.take()
            elif step == 'fail' and hand.in_hand and fails_left[hand.in_hand[0].number]:
                fails_left[hand.in_hand[0].number] -= 1
                hand.fail()
            elif step == 'die' and deaths < 2:
                deaths += 1
                hands.remove(hand)
                hand.die()
                hands.append(Hand(size + deaths, parts, folder))
            elif (part := hand.finish()) is not None:
                done.append(part.number)
            elif not any(other.in_hand for other in hands):
                # nobody is left with nothing to do while parts are missing
                assert hand.take()
        assert sorted(set(done)) == [part.number for part in parts]
        # without errors of others, nothing is done twice
        assert sorted(done) == sorted(set(done))
        for hand in hands:
            hand.die()
            assert hand.queue.is_done(hand.queue.claims.survey())
            for run in hand.begun:
                assert len({part.panel for part in run}) == 1
                assert [part.number - run[0].number for part in run] == [*range(len(run))]


@given(
    size=st.integers(1, 12),
    rows=st.integers(20, 200),
    paces=st.lists(st.integers(1, 9), min_size=12, max_size=12),
)
def test_workers_begin_few_runs(size: int, rows: int, paces: list[int]) -> None:
    parts = parts_of(1, rows)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / 'claims').mkdir()
        hands = [Hand(number, parts, folder) for number in range(size)]
        clock, busy = 0, set(hands)
        while busy:
            clock += 1
            for hand, pace in zip(hands, paces, strict=False):
                if hand in busy and clock % pace == 0:
                    hand.finish()
                    if not hand.take():
                        busy.remove(hand)
        for hand in hands:
            hand.die()
        begun = sum(len(hand.begun) for hand in hands)
        assert sum(len(run) for hand in hands for run in hand.begun) == rows
        # each halves what is left of another's, again and again
        assert begun <= size * (2 + rows.bit_length())
