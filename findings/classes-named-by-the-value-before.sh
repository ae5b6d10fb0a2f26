#!/bin/sh
# torchgeo: the names in LoveDA.classes are not in the order of the values in its masks. Masks hold 0 where nothing is known and
# then the classes from 1, as the class itself documents, but the names begin with 'background' and end with 'no-data'. Who
# names classes by position, as is done for the metrics of a task or the legend of a map, calls each by its neighbour's name.
# Seen with torchgeo 0.10.1: value 0 (no data) is called background, background building, and agriculture no-data.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export PYENV_VERSION=3.12  # torchgeo 0.10 needs it; a word to pyenv, where there is one
python3.12 -m venv venv
venv/bin/python -m pip install --quiet torchgeo==0.10.1 torch==2.15.0 torchvision==0.29.2
venv/bin/python - <<'PYTHON'
import re
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image
from torchgeo.datasets import LoveDA

print('torchgeo', version('torchgeo'))
# one image in the layout of the data set, with every value that its masks have
values = np.arange(8, dtype='uint8').repeat(2).reshape(4, 4)
for kind, pixels in (('images_png', np.zeros((4, 4, 3), 'uint8')), ('masks_png', values)):
    folder = Path('LoveDA', 'Train', 'Urban', kind)
    folder.mkdir(parents=True)
    Image.fromarray(pixels).save(folder / '0.png')
found = LoveDA('LoveDA', scene=['urban'])[0]['mask'].unique().tolist()
documented = {int(value): name for value, name in re.findall(r'(\d)\. (\w+)\n', LoveDA.__doc__)}
documented[0] = 'no-data'  # "No-data regions assigned with 0 and should be ignored."
for value in found:
    print(f'{value}: classes has {LoveDA.classes[value]} (expected: {documented[value]}, as documented)')
if any(LoveDA.classes[value] != documented[(value + 1) % 8] for value in found):
    raise SystemExit('The behaviour has changed.')
PYTHON
