#!/bin/sh
# affine, the transforms of rasterio: almost_equals() compares the coefficients to 0.00001 whatever their unit is. That
# is a hundredth of a millimetre in metres, but a metre in degrees: two grids of 5 cm pixels in degrees, as drones
# deliver them, are "almost equal" when they lie 20 pixels apart, and the pixel size itself may be doubled unnoticed.
# Whoever checks so that a mask belongs to an image takes one that lies elsewhere.
# Seen with affine 3.0.1: True for grids 20 pixels apart, True for pixels of twice the size.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet affine==3.0.1
venv/bin/python - <<'PYTHON'
from importlib.metadata import version

from affine import Affine

print('affine', version('affine'))
size = 4.5e-7  # degrees, 5 cm
image = Affine(size, 0, 15, 0, -size, 50)
shifted = image @ Affine.translation(20, 0)
doubled = image @ Affine.scale(2)
metres = Affine(0.05, 0, 500_000, 0, -0.05, 5_500_000)
pairs = {
    '5 cm pixels in degrees, 20 pixels apart': (image, shifted, True),
    '5 cm pixels in degrees, size doubled': (image, doubled, True),
    '5 cm pixels in metres, 20 pixels apart': (metres, metres @ Affine.translation(20, 0), False),
}
changed = False
for name, (first, second, surprise) in pairs.items():
    answer = first.almost_equals(second)
    print(f'{name}: almost equal {answer} (expected: False)')
    changed = changed or answer is not surprise
if changed:
    raise SystemExit('The behaviour has changed.')
PYTHON
