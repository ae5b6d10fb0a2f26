"""A loader that goes on where an interrupted run stopped."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

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
    ) -> None:
        """Initialize a new ResumableLoader instance.

        Args:
            dataset: Whole batches, by (epoch, index).
            sampler: Says which.
            num_workers: Processes that read; 0 reads in the main process.
            cut: Numbers that decide what a position holds, by name.
        """
        super().__init__(
            dataset,
            batch_size=None,
            sampler=sampler,
            num_workers=num_workers,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=num_workers > 0,
            # seeds of workers come from here, so that starting them leaves the run's draws alone
            generator=torch.Generator(),
        )
        self.position = (sampler.epoch, 0)
        sizes = {'steps_per_epoch': len(sampler), 'processes': sampler.num_replicas}
        self.cut = sizes | dict(cut or {})

    def __iter__(self) -> Iterator[Item]:  # type: ignore[override]
        """Yield batches, and keep count."""
        done = self.sampler.first
        for step, batch in enumerate(super().__iter__(), start=done + 1):
            self.position = (self.sampler.epoch, step)
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Say where this epoch stands.

        Returns:
            The epoch, the batches of it that were handed out, and what decides which samples these
            held.
        """
        epoch, step = self.position
        return {'epoch': epoch, 'step': step, 'cut': self.cut}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next iteration go on from a saved state.

        Args:
            state: What ``state_dict`` returned.

        Raises:
            ValueError: If an epoch was cut in another way then, so that positions differ.
        """
        check_cut(state['cut'], self.cut)
        self.position = (state['epoch'], state['step'])
        self.sampler.skip_to(*self.position)


def check_cut(saved: Mapping[str, int | None], present: Mapping[str, int | None]) -> None:
    """Refuse to go on where positions mean other samples than they did.

    Raises:
        ValueError: Names the first difference.
    """
    for name in sorted(saved.keys() | present.keys()):
        if saved.get(name) != present.get(name):
            raise ValueError(
                f'the checkpoint was made with {name}={saved.get(name)}, this run has '
                f'{present.get(name)}; resume with the same data, seed, batch sizes and devices'
            )
