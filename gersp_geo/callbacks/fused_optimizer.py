"""Optimisers that pass over memory once."""

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim import SGD, Adam, AdamW


class FusedOptimizer(Callback):
    """On a CPU, let torch's SGD, Adam and AdamW update each parameter in one pass.

    torch does so on request alone, and takes three to four times as long otherwise; results are
    the same to rounding. What was chosen by hand, and other devices, stay as they are.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Ask for it once the optimisers are as a checkpoint left them.

        Of one that was built so, Lightning would refuse to clip gradients in mixed precision.
        """
        if pl_module.device.type != 'cpu':
            return
        for optimizer in trainer.optimizers:
            if type(optimizer) not in (SGD, Adam, AdamW):
                continue
            for group in optimizer.param_groups:
                # False says that it is not wanted
                is_open = group['fused'] is None and not group['foreach']
                if is_open and not (group['differentiable'] or group.get('capturable')):
                    group['fused'] = all(p.is_floating_point() for p in group['params']) or None
