"""A loader that goes on where an interrupted run stopped."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader, Dataset

from ..datasets.bad_files import Unreadable
from ..geoio.read import UnreadableFileError
from ..samplers import EpochIndices


class ResumableLoader[Item](DataLoader[Item]):
    """Load the items at the positions of a sampler, and say which comes next.

    Lightning saves ``state_dict`` in every checkpoint and restores it before the first batch. It
    counts what was handed out, not what the workers have read ahead.
    """

    sampler: EpochIndices

    def __init__(
        self,
        dataset: Dataset[Item],
        *,
        sampler: EpochIndices,
        num_workers: int = 0,
        cut: Mapping[str, int] | None = None,
        files: int = 0,
        pin_memory: bool = False,
        prefetch_factor: int | None = None,
        multiprocessing_context: str | None = None,
    ) -> None:
        """Initialize a new ResumableLoader instance.

        Args:
            dataset: Whole batches, by (epoch, index).
            sampler: Says which.
            num_workers: Processes that read; 0 reads in the main process.
            cut: Numbers that decide what a position holds, by name.
            files: Number of files behind *dataset*, of which 1 % may be unreadable.
            pin_memory: Hand batches out where a GPU can fetch them by itself.
            prefetch_factor: Batches that each worker reads ahead; torch's default is 2.
            multiprocessing_context: How workers start: 'fork', 'spawn' or 'forkserver'. Defaults to
                that of the platform.
        """
        super().__init__(
            UnreadableAsItems(dataset),  # type: ignore[arg-type]  # errors are raised in __iter__
            batch_size=None,
            sampler=sampler,
            num_workers=num_workers,
            pin_memory=pin_memory,
            persistent_workers=num_workers > 0,
            prefetch_factor=prefetch_factor if num_workers > 0 else None,
            multiprocessing_context=multiprocessing_context if num_workers > 0 else None,
            # seeds of workers come from here, so that starting them leaves the run's draws alone
            generator=torch.Generator(),
        )
        self.position = (sampler.epoch, 0)
        self.unreadable = Unreadable(files)
        sizes = {'steps_per_epoch': len(sampler), 'processes': sampler.num_replicas}
        self.cut = sizes | dict(cut or {})

    def __iter__(self) -> Iterator[Item]:  # type: ignore[override]
        """Yield batches, and keep count.

        Raises:
            UnreadableFileError: If more than 1 % of the files cannot be read.

        Warns:
            UserWarning: At the end of an epoch, names files in whose place others were taken.
        """
        done = self.sampler.first
        batches: Iterator[Any] = super().__iter__()
        if self.num_workers > 0 and not self.pin_memory:
            # receiving a batch takes milliseconds; with pinned memory, torch has a thread for that
            batches = read_ahead(batches)
        for batch in batches:
            if isinstance(batch, UnreadableFileError):
                raise batch
            if isinstance(batch, dict):
                self.unreadable.add(batch.pop('unreadable', ()))
            done += 1
            self.position = (self.sampler.epoch, done)
            # not kept here, where giving its memory back would make the next batch wait
            held = [batch]
            del batch
            yield held.pop()
        self.unreadable.report()

    def state_dict(self) -> dict[str, Any]:
        """Say where this epoch stands.

        Returns:
            The epoch, the batches of it that were handed out, and what decides which samples these
            held.
        """
        epoch, step = self.position
        return {'epoch': epoch, 'step': step, 'cut': self.cut}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next iteration go on from what ``state_dict`` returned.

        Raises:
            ValueError: If an epoch was cut in another way then, so that positions differ.
        """
        check_cut(state['cut'], self.cut)
        self.position = (state['epoch'], state['step'])
        self.sampler.skip_to(*self.position)


def pins_memory(trainer: Trainer | None) -> bool:
    """Say whether batches go to a GPU of CUDA; a loop of one's own may, where there is one.

    Pinning memory takes some hundred megabytes of a GPU, also where a CPU trains.
    """
    if trainer is None:
        return torch.cuda.is_available()
    return bool(trainer.strategy.root_device.type == 'cuda')


def read_ahead[Item](items: Iterator[Item]) -> Iterator[Item]:
    """Take each item in a thread while the one before it is used."""
    end = object()
    with ThreadPoolExecutor(max_workers=1) as thread:
        coming = thread.submit(next, items, end)
        while (held := [coming.result()])[0] is not end:
            coming = thread.submit(next, items, end)
            yield held.pop()  # type: ignore[misc]  # only the end is no Item


class UnreadableAsItems[Item](Dataset[Item | UnreadableFileError]):
    """Hand out the error of a file that cannot be read as an item.

    Raised in a worker, it would arrive as a traceback of some twenty lines that ends in its
    message.
    """

    def __init__(self, dataset: Dataset[Item]) -> None:
        """Initialize a new UnreadableAsItems instance."""
        self.dataset = dataset

    def __getitem__(self, index: Any) -> Item | UnreadableFileError:
        """Read an item, or the reason why it cannot be read."""
        try:
            return self.dataset[index]
        except UnreadableFileError as error:
            return error


def check_cut(saved: Mapping[str, int | None], present: Mapping[str, int | None]) -> None:
    """Refuse to go on where positions mean other samples; tell the first difference."""
    for name in sorted(saved.keys() | present.keys()):
        if saved.get(name) != present.get(name):
            raise ValueError(
                f'the checkpoint was made with {name}={saved.get(name)}, this run has '
                f'{present.get(name)}; resume with the same data, seed, batch sizes and devices'
            )
