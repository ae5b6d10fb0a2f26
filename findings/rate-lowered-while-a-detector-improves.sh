#!/bin/sh
# torchgeo: the learning rate of ObjectDetection is lowered while it improves. The task says that its val_map is to be
# maximised, but the scheduler that comes with every task, ReduceLROnPlateau, is made without a mode and waits for
# val_map to fall. After `patience` epochs of steady progress the rate is a tenth, after twice as many a hundredth, and
# a detector of ships or trees stops learning for no reason that a log would show.
# Seen with torchgeo 0.10.1, torch 2.15.0: mode 'min'; rates 1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 0.01 where val_map rises.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export PYENV_VERSION=3.12  # torchgeo 0.10 needs it; a word to pyenv, where there is one
python3.12 -m venv venv
venv/bin/python -m pip install --quiet torchgeo==0.10.1 lightning==2.6.6 torch==2.15.0 torchvision==0.29.2
venv/bin/python - <<'PYTHON'
from importlib.metadata import version

from torchgeo.tasks import InstanceSegmentation, ObjectDetection

print(*(f'{name} {version(name)}' for name in ('torchgeo', 'lightning', 'torch')))
changed = False
for kind in (ObjectDetection, InstanceSegmentation):
    task = kind(backbone='resnet50', num_classes=2, lr=1.0, patience=2)
    chosen = task.configure_optimizers()['lr_scheduler']
    scheduler = chosen['scheduler']
    rates = []
    for epoch in range(7):
        scheduler.step(0.1 + 0.1 * epoch)
        rates.append(round(scheduler.get_last_lr()[0], 9))
    name = kind.__name__
    print(f'{name}: monitor {task.monitor!r}, mode {task.mode!r}; scheduler on {chosen["monitor"]!r}, '
          f'mode {scheduler.mode!r} (expected: {task.mode!r})')
    print(f'  rates while {task.monitor} rises from 0.1 to 0.7: {rates} (expected: 1.0 throughout)')
    changed = changed or (task.mode, scheduler.mode) != ('max', 'min') or rates[-1] > 0.5
if changed:
    raise SystemExit('The behaviour has changed.')
PYTHON
