#!/bin/sh
# jsonargparse: a parameter annotated `str | os.PathLike[str] | list[str] | None`, as readers of raster files commonly
# are, turns a list of files into one text that looks like a list, from the command line and from YAML alike, and
# `null` on the command line into the text 'None'. With pathlib.Path in the place of os.PathLike the values are right.
# A data set of several scenes is so sought under a file name that nobody wrote.
# Seen with jsonargparse 4.53.0: "['a.tif', 'b.tif']" (a str), the same from YAML, 'None' (a str).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet jsonargparse==4.53.0 PyYAML==6.0.3
venv/bin/python - <<'PYTHON'
import os
import pathlib
from importlib.metadata import version

from jsonargparse import ArgumentParser

print('jsonargparse', version('jsonargparse'), 'PyYAML', version('PyYAML'))
pathlib.Path('scenes.yaml').write_text('paths: [a.tif, b.tif]\n')


def parse(annotation, argument):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument('--config', action='config')
    parser.add_argument('--paths', type=annotation)
    return parser.parse_args([argument]).paths


files = ['a.tif', 'b.tif']
cases = [
    ('--paths=[a.tif, b.tif]', files, "['a.tif', 'b.tif']"),
    ('--config=scenes.yaml', files, "['a.tif', 'b.tif']"),
    ('--paths=null', None, 'None'),
]
changed = False
for argument, expected, surprise in cases:
    pathlike = parse(str | os.PathLike[str] | list[str] | None, argument)
    path = parse(str | pathlib.Path | list[str] | None, argument)
    print(f'{argument}: os.PathLike gives {pathlike!r}, pathlib.Path {path!r}; expected {expected!r}')
    changed = changed or pathlike != surprise or path != expected
if changed:
    raise SystemExit('The behaviour has changed.')
PYTHON
