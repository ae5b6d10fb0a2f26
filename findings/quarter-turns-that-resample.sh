#!/bin/sh
# kornia: RandomRotation90 turns images by whole quarters, which moves pixels and changes none; it does so by a warp,
# which resamples: values come back changed by some 1e-6, and a mask of class numbers that is turned along with its
# image by the same interpolation is no longer whole numbers. torch.rot90 moves pixels only.
# Seen with kornia 0.9.0: the largest difference from torch.rot90 of random pixels in [0, 1] is about 1e-6, not 0.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet kornia==0.9.0 torch
venv/bin/python - <<'PYTHON'
import kornia
import kornia.augmentation as K
import torch

print('kornia', kornia.__version__, 'torch', torch.__version__)
torch.manual_seed(0)
pixels = torch.rand(4, 3, 16, 16)
turned = K.RandomRotation90(times=(1, 1), p=1.0)(pixels)
apart = min((turned - torch.rot90(pixels, times, (-2, -1))).abs().max().item() for times in (1, 3))
print(f'largest difference from torch.rot90: {apart:.1e} (expected: 0)')
if not 0 < apart < 1e-4:
    raise SystemExit('The behaviour has changed.')
PYTHON
