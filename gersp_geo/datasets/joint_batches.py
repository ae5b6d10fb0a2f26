"""Two endless, seeded streams of samples, joined batch by batch."""

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset, default_collate

from ..batch_types import ImageSample, JointBatch, LabelledSample
from ..geoio.read import UnreadableFileError

# so many places are tried instead of one that cannot be read, before the error is passed on
REPLACEMENTS = 100


class Drawing[Sample](Protocol):
    """What samples can be drawn from."""

    def __len__(self) -> int:
        """Number of samples in one pass."""

    def draw(self, *, cycle: int, index: int) -> Sample:
        """Read sample *index* of pass *cycle*; the same arguments give the same sample."""


class LabelledStream(Drawing[LabelledSample], Protocol):
    """Where natural images come from."""

    files: int
    """Number of files, each of which may be unreadable."""


class RemoteSensingStream(Drawing[ImageSample], Protocol):
    """Where unlabelled samples come from."""

    bands: tuple[str, ...]
    """Names of the bands of each image."""

    res_m: float | None
    """Ground resolution in metres per pixel, where it is known."""

    files: int
    """Number of files, each of which may be unreadable."""

    paths: Sequence[str]
    """Paths of these files, where they are known."""

    has_file_values: bool
    """Whether images hold the values of files; a data set may have changed them."""

    reshuffled: bool
    """Whether each pass takes the samples in an order of its own. Draws that are random by
    themselves need none, and neighbours among them may share what has to be decoded."""

    def observed(self, *, cycle: int, index: int) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        """Read a sample as (C, H, W), and where it holds observations as (H, W)."""


def positions(
    *, seed: int, length: int, first: int, count: int, reshuffled: bool = True
) -> list[tuple[int, int]]:
    """Find what an endless stream holds at some places.

    Args:
        seed: Different streams take different seeds.
        length: Number of samples in one pass, > 0.
        first: First place, >= 0.
        count: Number of places.
        reshuffled: Give each pass an order of its own.

    Returns:
        For each place, the number of its pass and the sample there. Each pass holds every sample
        once.
    """
    places = [divmod(place, length) for place in range(first, first + count)]
    if not reshuffled:
        return places
    orders = {
        cycle: np.random.default_rng(np.random.SeedSequence([seed, cycle])).permutation(length)
        for cycle in {cycle for cycle, _ in places}
    }
    return [(cycle, int(orders[cycle][offset])) for cycle, offset in places]


class JointBatches(Dataset[JointBatch]):
    """Whole batches of both streams, as a pure function of seed, epoch and step.

    A batch is assembled where it is read, so that one worker process does all its decoding.
    """

    def __init__(
        self,
        remote_sensing: RemoteSensingStream,
        natural: LabelledStream | None,
        *,
        batch_size: int,
        natural_batch_size: int,
        steps: int | None = None,
        processes: int = 1,
        seed: int = 0,
        on_error: Literal['raise', 'skip'] = 'raise',
    ) -> None:
        """Initialize a new JointBatches instance.

        Args:
            remote_sensing: Unlabelled stream.
            natural: Labelled stream, or None for contrastive learning alone.
            batch_size: Remote-sensing images per batch of one process.
            natural_batch_size: Natural images per batch of one process.
            steps: Batches per epoch and process. Defaults to one pass over the stream that needs
                more of them, while the other is reshuffled and repeated.
            processes: Number of processes that share an epoch.
            seed: Decides every order, >= 0.
            on_error: 'skip' puts the next sample in place of one that cannot be read, and names
                its file in the batch; 'raise' passes the error on.

        Raises:
            ValueError: If a stream is smaller than one batch of all processes, *steps* is below 1,
                *seed* below 0, or *on_error* is unknown.
        """
        if seed < 0 or (steps is not None and steps < 1):
            raise ValueError(f'steps must be >= 1 and seed >= 0, got {steps} and {seed}')
        if on_error not in ('raise', 'skip'):
            raise ValueError(f"on_error must be 'raise' or 'skip', got {on_error!r}")
        self.remote_sensing, self.natural = remote_sensing, natural
        self.batch_size, self.natural_batch_size = batch_size, natural_batch_size
        self.seed, self.processes, self.on_error = seed, processes, on_error
        passes = [whole_batches('remote-sensing', len(remote_sensing), batch_size * processes)]
        if natural is not None:
            size = natural_batch_size * processes
            passes.append(whole_batches('natural', len(natural), size))
        self.steps = (steps or max(passes)) * processes

    @property
    def files(self) -> int:
        """Number of files of both streams."""
        return self.remote_sensing.files + (0 if self.natural is None else self.natural.files)

    def cut(self) -> dict[str, int]:
        """Say what decides which samples a position holds.

        Returns:
            Numbers by name; where one differs, positions mean other samples.
        """
        numbers = {
            'seed': self.seed,
            'processes': self.processes,
            'steps_per_epoch': self.steps // self.processes,
            'batch_size': self.batch_size,
            'remote_sensing_samples': len(self.remote_sensing),
        }
        if self.natural is not None:
            numbers['natural_batch_size'] = self.natural_batch_size
            numbers['natural_samples'] = len(self.natural)
        return numbers

    def __len__(self) -> int:
        """Batches per epoch, of all processes."""
        return self.steps

    def __getitem__(self, position: tuple[int, int]) -> JointBatch:
        """Assemble one batch.

        Args:
            position: Its epoch and its number within that epoch; those of one step are neighbours.

        Returns:
            Images in the dtype of their files. Under 'unreadable', names of files in whose place
            others were taken, if there are any.

        Raises:
            UnreadableFileError: If a file cannot be read, and *on_error* is 'raise' or 100 samples
                in its place cannot be read either.
        """
        epoch, step = position
        batch_index = epoch * self.steps + step
        failed: list[str] = []
        remote_places = positions(
            seed=2 * self.seed,
            length=len(self.remote_sensing),
            first=batch_index * self.batch_size,
            count=self.batch_size,
            reshuffled=self.remote_sensing.reshuffled,
        )
        drawn = [
            self._read(self.remote_sensing, *place, failed)['image'] for place in remote_places
        ]
        # in a worker it stacks into memory that the main process sees, without another copy
        batch: JointBatch = {'remote_sensing': {'image': default_collate(drawn)}}
        if self.natural is not None:
            natural_places = positions(
                seed=2 * self.seed + 1,
                length=len(self.natural),
                first=batch_index * self.natural_batch_size,
                count=self.natural_batch_size,
            )
            samples = [self._read(self.natural, *place, failed) for place in natural_places]
            batch['natural'] = {
                'image': default_collate([sample['image'] for sample in samples]),
                'label': default_collate([sample['label'] for sample in samples]),
            }
        if failed:
            batch['unreadable'] = tuple(failed)
        return batch

    def _read[Sample](
        self, stream: Drawing[Sample], cycle: int, index: int, failed: list[str]
    ) -> Sample:
        """Draw a sample, or the next one that can be read; names of others go into *failed*."""
        attempt = 0
        while True:
            try:
                return stream.draw(cycle=cycle, index=(index + attempt) % len(stream))
            except UnreadableFileError as error:
                attempt += 1
                if self.on_error == 'raise' or attempt > REPLACEMENTS:
                    raise
                failed.append(error.file)


def whole_batches(name: str, samples: int, batch_size: int) -> int:
    """Count the full batches of one pass, and refuse to have none."""
    if not 1 <= batch_size <= samples:
        raise ValueError(
            f'batch size of the {name} stream, of all processes, must be in '
            f'[1, samples={samples}], got {batch_size}'
        )
    return samples // batch_size
