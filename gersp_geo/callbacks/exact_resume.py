"""Training that resumes exactly, from checkpoints that are whole or absent."""

from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor

from ..distributed import gather_rows
from .atomic_checkpoint import AtomicCheckpointIO
from .random_states import States, read_states, seed_states, write_states

STATES = 'random_states'
"""Where checkpoints carry the states, one row per process."""

GRADIENTS = 'gradients'
"""Where checkpoints made while gradients accumulate carry them."""

# NumPy takes seeds below this
SEEDS = 2**32


class ExactResume(Callback):
    """Make a resumed run take the steps that the interrupted one would have taken.

    Weights, queue, optimiser and schedule are Lightning's to save, the position in the data is the
    loader's. What is left are random states, of every process, and gradients that accumulate.

    Forward and backward draw from generators of their own, so that nothing between two steps
    (validation, the start of workers, a picture) changes what they draw, and nothing that they draw
    changes what is between. Checkpoints are written atomically.
    """

    def __init__(self) -> None:
        """Initialize a new ExactResume instance."""
        self.start_over()

    def start_over(self) -> None:
        """Forget the last run."""
        self.within: States = {}
        self.between: States = {}
        self.gradients: dict[str, Tensor] = {}
        self.is_within = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Start a run, and write its checkpoints atomically unless another way was chosen."""
        if stage != 'fit':
            return
        self.start_over()
        if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
            trainer.strategy.checkpoint_io = AtomicCheckpointIO()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin where the interrupted run stopped, or with draws of each process's own.

        With one seed for all processes, all would augment alike.
        """
        if self.between:
            write_states(self.between)
        if not self.within:
            seed = int(torch.randint(SEEDS, ())) + trainer.global_rank
            self.within = seed_states(seed % SEEDS, device=pl_module.device)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Turn to the generators of the steps."""
        for name, gradient in self.gradients.items():
            parameter = pl_module.get_parameter(name)
            parameter.grad = gradient.to(parameter.device)
        self.gradients = {}
        self.is_within = True
        self.between = read_states(pl_module.device)
        write_states(self.within)

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Turn back, before what other callbacks may draw at the end of a step."""
        self.within = read_states(pl_module.device)
        write_states(self.between)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop here on SIGTERM.

        Raises:
            SIGTERMException: If SIGTERM was received. Lightning raises it a little later, in the
                last step of an epoch too late: a run resumed from there counts that epoch twice.
        """
        self.is_within = False
        stop = trainer.received_sigterm
        if trainer.world_size > 1:
            # Lightning stops all at once, but for the last step of an epoch
            decide = trainer.strategy.reduce_boolean_decision
            stop = trainer.is_last_batch and decide(stop, all=False)
        if stop:
            raise SIGTERMException

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add random states of all processes, as tensors: other types need code to be loaded."""
        if not self.within:
            return
        if self.is_within:
            rank_zero_warn(
                'this checkpoint was made within a step, after an error or an interrupt: a run '
                'resumed from it leaves that step out; SIGTERM stops between steps'
            )
        self.between = read_states(pl_module.device)
        checkpoint[STATES] = {
            f'{when} {name}': gather_rows(state[None].to(pl_module.device)).cpu()
            for when, states in (('within', self.within), ('between', self.between))
            for name, state in states.items()
        }
        done = trainer.fit_loop.epoch_loop.batch_progress.current.ready
        if done % trainer.accumulate_grad_batches:
            checkpoint[GRADIENTS] = self.read_gradients(trainer, pl_module)

    def read_gradients(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Tensor]:
        """Collect the gradients of a step of the optimiser that is still to come."""
        if trainer.world_size > 1:
            rank_zero_warn(
                'this checkpoint was made while gradients accumulate in several processes, and '
                'holds those of the first: save every n steps, of the optimiser'
            )
        found = {name: p.grad for name, p in pl_module.named_parameters()}
        return {name: gradient.cpu() for name, gradient in found.items() if gradient is not None}

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Take the states of this process, to be set once its loader has started."""
        saved: dict[str, Tensor] = checkpoint.get(STATES, {})
        processes = len(next(iter(saved.values()), ()))
        if processes != trainer.world_size:
            rank_zero_warn(
                f'the checkpoint holds the random states of {processes} processes, this run has '
                f'{trainer.world_size}: it goes on, but draws other augmentations'
            )
            return
        # copies, since torch reads the state of its generator from the start of the memory
        mine = {name: rows[trainer.global_rank].clone() for name, rows in saved.items()}
        for when, states in (('within', self.within), ('between', self.between)):
            names = [name for name in mine if name.startswith(when)]
            states.update({name.partition(' ')[2]: mine[name] for name in names})
        self.gradients = checkpoint.get(GRADIENTS, {})
