#!/bin/sh
# torchgeo: a task takes the checkpoint of another network. Given that of a ResNet-18, Classification with a ResNet-34 takes
# the tensors whose names it has, leaves all others random, and says nothing: not an error, not a warning. It loads with
# strict=False, and nobody looks at the names of what was missing, which are returned. Such a model trains, from a start
# that is half of a network.
# Seen with torchgeo 0.10.1, torch 2.15.0: 20 of 36 filters are those of the ResNet-18.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export PYENV_VERSION=3.12  # torchgeo 0.10 needs it; a word to pyenv, where there is one
python3.12 -m venv venv
venv/bin/python -m pip install --quiet torchgeo==0.10.1 timm==1.0.31 torch==2.15.0 torchvision==0.29.2
venv/bin/python - <<'PYTHON'
import warnings
from importlib.metadata import version

import torch
from lightning.pytorch import Trainer
from torchgeo.tasks import Classification

print(*(f'{name} {version(name)}' for name in ('torchgeo', 'timm', 'torch')))
settings = {'in_channels': 3, 'num_classes': 10, 'task': 'multiclass'}
torch.manual_seed(0)
small = Classification(model='resnet18', **settings)
trainer = Trainer(accelerator='cpu', logger=False, enable_checkpointing=False, enable_progress_bar=False)
trainer.strategy.connect(small)
trainer.save_checkpoint('resnet18.ckpt')
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter('always')
    large = Classification(model='resnet34', weights='resnet18.ckpt', **settings)
known, found = small.model.state_dict(), large.model.state_dict()
filters = [name for name, values in found.items() if values.ndim == 4]
filled = [name for name in filters if name in known and torch.equal(known[name], found[name])]
print(f'filters of the ResNet-34 that are those of the ResNet-18: {len(filled)} of {len(filters)}')
print(f'warnings about it: {[str(one.message) for one in said]} (expected: an error, or a warning)')
if said or not 0 < len(filled) < len(filters):
    raise SystemExit('The behaviour has changed.')
PYTHON
