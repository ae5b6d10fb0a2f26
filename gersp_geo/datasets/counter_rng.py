"""Random numbers as a function of where they are used."""

import numpy as np

# so many numbers are drawn at once: seeding a generator costs as much as 1000 of them
CHUNK = 1024

# a process remembers so many chunks
CHUNKS = 64


class Draws:
    """Pairs of uniform numbers, each a pure function of a seed and a place."""

    def __init__(self, seed: int) -> None:
        """Initialize a new Draws instance.

        Args:
            seed: >= 0.
        """
        self.seed = seed
        self._chunks: dict[tuple[int, int, int, bool], list[tuple[float, float]]] = {}

    def pair(
        self, epoch: int, index: int, attempt: int = 0, *, member: bool = False
    ) -> tuple[float, float]:
        """Draw two numbers.

        Args:
            epoch: >= 0.
            index: >= 0.
            attempt: >= 0; others are independent of the first.
            member: Selects a second, independent set.

        Returns:
            Two numbers in [0, 1).
        """
        chunk, offset = divmod(index, CHUNK)
        key = epoch, attempt, chunk, member
        if key not in self._chunks:
            if len(self._chunks) >= CHUNKS:
                self._chunks.clear()
            sequence = np.random.SeedSequence([self.seed, *key])
            numbers = np.random.Generator(np.random.PCG64(sequence)).random((CHUNK, 2))
            self._chunks[key] = list(map(tuple, numbers.tolist()))
        return self._chunks[key][offset]
