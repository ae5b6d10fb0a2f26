#!/bin/sh
# torch: the documented names for TF32 are `torch.backends.<backend>.<operation>.fp32_precision`. Who sets cuDNN's convolutions and recurrent
# networks through them, and touches no older name, can no longer export a convolution: torch.export enters torch.backends.cudnn.flags(), which
# reads the older allow_tf32, and that refuses to be read: it still says True, and the message blames a mix of old and new names. Whether there is
# a GPU makes no difference. Products of matrices set in the same way do no harm.
# Seen with torch 2.15.0: export works, after both are set to 'ieee' it raises RuntimeError, after allow_tf32 = False as well it works again.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
PYENV_VERSION=${PYENV_VERSION:-3.12} python3 -m venv venv
venv/bin/python -m pip install --quiet torch==2.15.0 numpy==2.4.4
venv/bin/python -W ignore - <<'PYTHON'
import torch

print('torch', torch.__version__)
cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul


def export():
    """Export a convolution; say what became of it."""
    try:
        torch.export.export(torch.nn.Conv2d(3, 4, 3), (torch.ones(1, 3, 8, 8),))
    except RuntimeError as error:
        return f'RuntimeError: {str(error)[:60]}'
    return 'exported'


found = [export()]
products.fp32_precision = 'ieee'
found.append(export())
cudnn.conv.fp32_precision = cudnn.rnn.fp32_precision = 'ieee'
found.append(export())
cudnn.allow_tf32 = False
cudnn.conv.fp32_precision = cudnn.rnn.fp32_precision = 'ieee'
found.append(export())
for when, outcome in zip(('at first', 'products', 'cuDNN', 'older name too'), found, strict=True):
    print(f'{when}: {outcome}')
if [text.split(':')[0] for text in found] != ['exported', 'exported', 'RuntimeError', 'exported']:
    raise SystemExit('The behaviour has changed')
PYTHON
