from typing import Any, cast

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop
from torch.utils.data import DataLoader

from gersp_geo.callbacks.fused_optimizer import FusedOptimizer
from gersp_geo.tasks import GeRSPTask


class Line(LightningModule):
    def __init__(self, kind: type[Optimizer], **options: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.kind, self.options = nn.Linear(3, 2), kind, options

    def configure_optimizers(self) -> Optimizer:
        return self.kind(self.parameters(), lr=0.1, **self.options)  # type: ignore[call-arg]

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return cast(Tensor, self.layer(batch)).square().mean()


def train(task: Line, *callbacks: Any, **options: Any) -> Any:
    trainer = Trainer(
        accelerator='cpu', max_epochs=3, callbacks=list(callbacks), logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        **options,
    )  # fmt: skip
    trainer.fit(task, DataLoader(torch.arange(12.0).reshape(4, 3), batch_size=2))  # type: ignore[arg-type]
    return trainer.optimizers[0].param_groups[0].get('fused')


@pytest.mark.parametrize(
    ('kind', 'options'), [(SGD, {'momentum': 0.9, 'weight_decay': 0.1}), (Adam, {}), (AdamW, {})]
)
def test_one_pass_gives_what_several_give(kind: type[Optimizer], options: dict[str, Any]) -> None:
    several, one = Line(kind, **options), Line(kind, **options)
    assert train(several) is None
    assert train(one, FusedOptimizer()) is True
    torch.testing.assert_close(several.layer.weight, one.layer.weight)


def test_what_was_chosen_stays() -> None:
    assert train(Line(SGD, fused=False), FusedOptimizer()) is False
    assert train(Line(SGD, foreach=True), FusedOptimizer()) is None
    assert train(Line(RMSprop), FusedOptimizer()) is None


def test_gradients_are_clipped_in_mixed_precision() -> None:
    options: dict[str, Any] = {'precision': 'bf16-mixed', 'gradient_clip_val': 1.0}
    assert train(Line(SGD), FusedOptimizer(), **options) is True
    # what Lightning refuses
    built = GeRSPTask(model='resnet18', num_classes=2).configure_optimizers()
    optimizer: Any = built['optimizer']  # type: ignore[index, call-overload]
    assert not getattr(optimizer, '_step_supports_amp_scaling', False)
