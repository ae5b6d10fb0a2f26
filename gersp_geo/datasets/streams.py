"""Two endless, seeded streams of samples, joined batch by batch."""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from ..records import Batch, ImageSample, LabelledSample


class RemoteSensingStream(Protocol):
    """Where unlabelled samples come from."""

    bands: tuple[str, ...]
    """Names of the bands of each image."""

    res_m: float | None
    """Ground resolution in metres per pixel, where it is known."""

    def __len__(self) -> int:
        """Number of samples in one pass."""

    def draw(self, *, turn: int, index: int) -> ImageSample:
        """Read sample *index* of pass *turn*; the same arguments give the same sample."""

    def observed(self, *, turn: int, index: int) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        """Read a sample as (C, H, W), and where it holds observations as (H, W)."""


def positions(*, seed: int, length: int, first: int, count: int) -> list[tuple[int, int]]:
    """Find what an endless, reshuffled stream holds at some places.

    Args:
        seed: Different streams take different seeds.
        length: Number of samples in one pass, > 0.
        first: First place, >= 0.
        count: Number of places.

    Returns:
        For each place, the number of its pass and the sample there. Each pass holds every sample
        once, in an order of its own.
    """
    places = []
    orders: dict[int, np.ndarray[tuple[int], np.dtype[np.int64]]] = {}
    for place in range(first, first + count):
        turn, offset = divmod(place, length)
        if turn not in orders:
            generator = np.random.default_rng(np.random.SeedSequence([seed, turn]))
            orders[turn] = generator.permutation(length)
        places.append((turn, int(orders[turn][offset])))
    return places


class JointBatches(Dataset[Batch]):
    """Whole batches of both streams, as a pure function of seed, epoch and step.

    A batch is assembled where it is read, so that one worker process does all its decoding.
    """

    def __init__(
        self,
        remote_sensing: RemoteSensingStream,
        natural: Dataset[LabelledSample] | None,
        *,
        batch_size: int,
        natural_batch_size: int,
        steps: int | None = None,
        processes: int = 1,
        seed: int = 0,
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

        Raises:
            ValueError: If a stream is smaller than one batch of all processes, *steps* is below 1
                or *seed* below 0.
        """
        if seed < 0 or (steps is not None and steps < 1):
            raise ValueError(f'steps must be >= 1 and seed >= 0, got {steps} and {seed}')
        self.remote_sensing, self.natural = remote_sensing, natural
        self.batch_size, self.natural_batch_size = batch_size, natural_batch_size
        self.seed, self.processes = seed, processes
        passes = [whole_batches('remote-sensing', len(remote_sensing), batch_size * processes)]
        if natural is not None:
            size = natural_batch_size * processes
            passes.append(whole_batches('natural', len(natural), size))  # type: ignore[arg-type]
        self.steps = (steps or max(passes)) * processes

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
            numbers['natural_samples'] = len(self.natural)  # type: ignore[arg-type]
        return numbers

    def __len__(self) -> int:
        """Batches per epoch, of all processes."""
        return self.steps

    def __getitem__(self, position: tuple[int, int]) -> Batch:
        """Assemble one batch.

        Args:
            position: Its epoch and its number within that epoch; those of one step are neighbours.

        Returns:
            Images in the dtype of their files.
        """
        epoch, step = position
        batch_index = epoch * self.steps + step
        drawn = [
            self.remote_sensing.draw(turn=turn, index=index)['image']
            for turn, index in positions(
                seed=2 * self.seed,
                length=len(self.remote_sensing),
                first=batch_index * self.batch_size,
                count=self.batch_size,
            )
        ]
        batch: Batch = {'remote_sensing': {'image': torch.stack(drawn)}}
        if self.natural is None:
            return batch
        samples = [
            self.natural[index]
            for _, index in positions(
                seed=2 * self.seed + 1,
                length=len(self.natural),  # type: ignore[arg-type]
                first=batch_index * self.natural_batch_size,
                count=self.natural_batch_size,
            )
        ]
        batch['natural'] = {
            'image': torch.stack([sample['image'] for sample in samples]),
            'label': torch.stack([sample['label'] for sample in samples]),
        }
        return batch


def whole_batches(name: str, samples: int, batch_size: int) -> int:
    """Count the full batches of one pass.

    Raises:
        ValueError: If there is none.
    """
    if not 1 <= batch_size <= samples:
        raise ValueError(
            f'batch size of the {name} stream, of all processes, must be in '
            f'[1, samples={samples}], got {batch_size}'
        )
    return samples // batch_size
