"""What a task returns while it is validated or tested, counted batch by batch."""

from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from .patches import Patch, Reading, choose_places
from .tasks import make_tally


class Watch:
    """Counts the outputs of a task from when it is made until it is closed.

    torchgeo's steps return nothing, and a second pass would take as long as the first: what the
    task returns is taken from it by a forward hook.
    """

    def __init__(
        self, task: LightningModule, reading: Reading, *, batches: float, patches: int
    ) -> None:
        """Initialize a new Watch instance.

        Args:
            task: One that *reading* is for.
            reading: How its output is to be read.
            batches: Number of batches to come; infinite where it is not known.
            patches: So many patches are kept to be drawn.
        """
        self.reading, self.most = reading, patches
        # there is no float64 on it
        self.moves = task.device.type == 'mps'
        device = torch.device('cpu') if self.moves else task.device
        self.tally = make_tally(task, reading, device)
        self.every, self.share = choose_places(batches, most=max(patches, 1))
        self.patches: list[Patch] = []
        """Those that were kept."""

        self.batch: dict[str, Any] = {}
        self.output: Any = None
        self.hook = task.register_forward_hook(self.take_output)

    def take_batch(self, batch: Any) -> None:
        """Keep a batch as the task gets it; steps of torchgeo may put other values in its place."""
        self.batch, self.output = dict(batch), None

    def take_output(self, task: Any, inputs: Any, output: Any) -> None:
        """Keep the first output for this batch; the next may be what a step returns, wrapped."""
        if self.output is None and self.batch:
            self.output = output

    def count(self, number: int) -> None:
        """Count the batch that was taken, the first of which is *number* 0."""
        output, batch = self.output, self.batch
        self.output, self.batch = None, {}
        if output is None:
            return
        if isinstance(output, Tensor):
            output = output.detach().float()
            if self.moves:
                target = self.reading.target
                output, batch[target] = output.cpu(), batch[target].cpu()
        self.tally.update(output, batch)
        # of several labels per pixel there is no picture
        flat = not (self.reading.kind == 'labels' and output.ndim > 2)
        if flat and number % self.every == 0:
            share = min(self.share, len(batch['image']), self.most - len(self.patches))
            self.patches += [self.reading.patch(output, batch, i) for i in range(share)]

    def close(self) -> None:
        """Leave the task as it was."""
        self.hook.remove()
        self.batch, self.output = {}, None
