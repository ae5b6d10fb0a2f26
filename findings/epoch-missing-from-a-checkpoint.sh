#!/bin/sh
# Lightning: a checkpoint at the end of an epoch is written before ReduceLROnPlateau is told the metric of that epoch,
# and training that is resumed from it never makes up for this. The learning rate then stays high for an epoch longer,
# so that a run cut into pieces by the time limits of a cluster, as long pre-training on satellite images is, ends with
# other weights than the same run in one piece.
# Seen with lightning 2.6.6, torch 2.13.0: rates 1, 1, 0.5, 0.25 in one piece, 1, 0.5 for epochs 2 and 3 if resumed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet lightning==2.6.6 torch==2.13.0 numpy==2.4.4
venv/bin/python - <<'PYTHON'
import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader, TensorDataset

print('lightning', lightning.__version__, 'torch', torch.__version__)


class Line(lightning.LightningModule):
    """A model whose validation loss never falls: the learning rate is halved after each epoch but the first."""

    def __init__(self):
        super().__init__()
        self.line = torch.nn.Linear(1, 1)
        self.rates = []

    def on_train_epoch_start(self):
        self.rates.append(self.optimizers().param_groups[0]['lr'])

    def training_step(self, batch, number):
        return self.line(batch[0]).mean()

    def validation_step(self, batch, number):
        self.log('loss', torch.tensor(1.0))

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=1.0)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
        return {'optimizer': optimizer, 'lr_scheduler': {'scheduler': plateau, 'monitor': 'loss'}}


def rates(**start):
    """The learning rate of each epoch that is trained."""
    model, data = Line(), DataLoader(TensorDataset(torch.ones(2, 1)))
    keep = ModelCheckpoint('kept', filename='{epoch}', save_top_k=-1, save_on_train_epoch_end=True)
    quiet = {'logger': False, 'enable_progress_bar': False, 'enable_model_summary': False}
    lightning.Trainer(max_epochs=4, accelerator='cpu', callbacks=[keep], **quiet).fit(model, data, data, **start)
    return model.rates


whole = rates()
resumed = rates(ckpt_path='kept/epoch=1.ckpt')
print('in one piece, epochs 0 to 3:', whole)
print('resumed after epoch 1, epochs 2 and 3:', resumed, f'(expected: {whole[2:]})')
if (whole, resumed) != ([1.0, 1.0, 0.5, 0.25], [1.0, 0.5]):
    raise SystemExit('The behaviour has changed.')
PYTHON
