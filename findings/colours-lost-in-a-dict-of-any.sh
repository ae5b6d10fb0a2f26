#!/bin/sh
# jsonargparse: a text in a parameter annotated `dict[str, Any]` is parsed as YAML once more, quotes or not. The colours
# of a legend, '#6ec1e4' for water, which begin as comments of YAML do, become None without a word, and a land cover
# code '010' becomes the number 10; texts in a list stay what they are, and so does all under a plain `dict`.
# Seen with jsonargparse 4.53.0: None and 10 from the command line and from a YAML file alike.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet jsonargparse==4.53.0 PyYAML==6.0.3
venv/bin/python - <<'PYTHON'
import json
import pathlib
from importlib.metadata import version
from typing import Any

from jsonargparse import ArgumentParser

print('jsonargparse', version('jsonargparse'), 'PyYAML', version('PyYAML'))
given = {'water': '#6ec1e4', 'forest': '010', 'built': ['#3c1098', '010']}
pathlib.Path('legend.yaml').write_text(json.dumps({'classes': given}))


def parse(annotation, argument):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument('--config', action='config')
    parser.add_argument('--classes', type=annotation)
    return dict(parser.parse_args([argument]).classes)


surprise = {'water': None, 'forest': 10, 'built': ['#3c1098', '010']}
changed = False
for argument in (f'--classes={json.dumps(given)}', '--config=legend.yaml'):
    seen, plain = parse(dict[str, Any], argument), parse(dict, argument)
    print(f'{argument}\n  dict[str, Any] gives {seen}\n  dict gives {plain}\n  expected {given}')
    changed = changed or seen != surprise or plain != given
if changed:
    raise SystemExit('The behaviour has changed.')
PYTHON
