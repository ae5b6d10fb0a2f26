#!/bin/sh
# torchgeo: RESISC45DataModule normalises training images to mean 0 and then sharpens them and changes their colours, each
# with probability 1/2. Both of these augmentations of kornia clamp what they give to [0, 1], as they are for images of
# that range: all that is darker than the mean becomes the mean, and all that is brighter by one deviation loses its
# texture. Three quarters of the training images are spoilt so, and none of those of validation.
# Seen with torchgeo 0.10.1, kornia 0.9.0, torch 2.15.0: 75 % of 512 training images have all values in [0, 1].
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export PYENV_VERSION=3.12  # torchgeo 0.10 needs it; a word to pyenv, where there is one
python3.12 -m venv venv
venv/bin/python -m pip install --quiet torchgeo==0.10.1 kornia==0.9.0 torch==2.15.0 torchvision==0.29.2
venv/bin/python - <<'PYTHON'
from importlib.metadata import version

import torch
from torchgeo.datamodules import RESISC45DataModule

print(*(f'{name} {version(name)}' for name in ('torchgeo', 'kornia', 'torch')))
torch.manual_seed(0)
images = torch.randint(0, 256, (512, 3, 32, 32)).float()
module = RESISC45DataModule()
clamped = {}
for name, augmentation in (('training', module.train_aug), ('validation', module.aug)):
    values = augmentation({'image': images.clone()})['image'].flatten(1)
    clamped[name] = ((values >= 0) & (values <= 1)).all(1).float().mean().item()
    low, high = values.aminmax()
    print(f'{name}: {low:.2f} to {high:.2f}; of the images, {clamped[name]:.0%} have all values in [0, 1] (expected: 0%)')
if not (0.7 < clamped['training'] < 0.8 and clamped['validation'] == 0):
    raise SystemExit('The behaviour has changed.')
PYTHON
