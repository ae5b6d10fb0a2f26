"""Which part a worker takes next."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby, islice
from random import Random

from ..resume.parts import PlannedPart
from .claims import FINISHING, Claim, Claims


class PartQueue:
    """Hands out parts that nobody else has taken.

    Parts below each other belong together, as rows between them need not be forwarded twice: a
    worker goes on downwards while it can. Else it begins where the most lies before it: at the top
    of the longest run of free parts, or in its middle if somebody is coming from above.
    """

    def __init__(self, parts: Sequence[PlannedPart], claims: Claims) -> None:
        """Set up; nothing is taken yet.

        Args:
            parts: All parts of a scene.
            claims: Of the scene.
        """
        self.parts = parts
        self.claims = claims
        self.taken: dict[int, PlannedPart] = {}
        # where many begin at the same time, each looks elsewhere
        self._random = Random(claims.worker.name)

    def runs(self) -> Iterator[Iterator[PlannedPart]]:
        """Yield runs of parts below each other, claimed one by one, until none is free."""
        while (first := self._first()) is not None:
            yield self._onwards(first)

    def has_free(self, last: Mapping[str, Claim]) -> bool:
        """Say whether there is something to take."""
        return any(self.claims.is_free(last.get(str(part.number))) for part in self.parts)

    def is_done(self, last: Mapping[str, Claim]) -> bool:
        """Say whether all parts are there."""
        return all(
            (claim := last.get(str(part.number))) is not None and claim.state == 'done'
            for part in self.parts
        )

    def done(self, part: PlannedPart) -> None:
        """Note a part that is finished."""
        self.taken.pop(part.number)
        self.claims.settle(str(part.number), 'done')

    def fail(self, reason: str) -> PlannedPart | None:
        """Give back what is taken; the first of it has failed.

        Returns:
            That part; None if nothing was taken.
        """
        if not self.taken:
            return None
        first = self.taken.pop(next(iter(self.taken)))
        self.release()
        self.claims.settle(str(first.number), 'failed', reason)
        return first

    def release(self) -> None:
        """Give back what is taken, unfinished."""
        while self.taken:
            number, _ = self.taken.popitem()
            self.claims.release(str(number))

    def _onwards(self, first: PlannedPart) -> Iterator[PlannedPart]:
        """Yield a part and those below it, while they are free."""
        yield first
        for part in islice(self.parts, first.number + 1, None):
            # whoever went before may have failed here: then a look at all claims is needed
            taken = self._take(part, None) if part.panel == first.panel else None
            if taken is None:
                return
            yield taken

    def _first(self) -> PlannedPart | None:
        """Take the first part of a run; None if no part is free."""
        is_contested = False
        while True:
            last = self.claims.survey()
            finish = last.get(FINISHING)
            if self.claims.is_settled(finish) or not self.claims.folder.exists():
                # made by others meanwhile, and what was claimed is forgotten
                return None
            free = self._free_runs(last)
            if not free:
                return None
            run = self._random.choice(free) if is_contested else max(free, key=len)
            above = last.get(str(run[0].number - 1))
            middle = (above is not None and above.state == 'held') or is_contested
            part = run[len(run) // 2 if middle else 0]
            if (taken := self._take(part, last.get(str(part.number)))) is not None:
                return taken
            is_contested = True

    def _free_runs(self, last: Mapping[str, Claim]) -> list[list[PlannedPart]]:
        """Group the free parts by panels, and what lies together in them."""
        free = [part for part in self.parts if self.claims.is_free(last.get(str(part.number)))]
        # numbers rise with places as long as nothing is left out
        together = groupby(
            enumerate(free), key=lambda each: (each[1].panel.col_off, each[1].number - each[0])
        )
        return [[part for _, part in run] for _, run in together]

    def _take(self, part: PlannedPart, last: Claim | None) -> PlannedPart | None:
        """Claim a part; None if somebody else has it."""
        try:
            claim = self.claims.take(str(part.number), last)
        except FileNotFoundError:
            claim = None
        if claim is None:
            return None
        taken = self.taken[part.number] = replace(part, attempt=claim.attempt)
        return taken
