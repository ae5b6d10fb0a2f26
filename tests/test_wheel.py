"""The package as it is installed: built, put in an environment of its own, and used elsewhere."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
from pathlib import Path
from typing import Any

import pytest

import gersp_geo

ROOT = Path(__file__).parents[1]
BUILD = (
    'import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])("made"))'
)


def test_the_version_is_written_once() -> None:
    project = tomllib.loads((ROOT / 'pyproject.toml').read_text())
    assert 'version' not in project['project']
    assert project['tool']['setuptools']['dynamic']['version'] == {'attr': 'gersp_geo.__version__'}


def build(kind: str, folder: Path) -> Path:
    """Build a wheel or an archive of the sources."""
    answer = subprocess.run(
        [sys.executable, '-c', BUILD, kind], cwd=folder, capture_output=True, text=True, check=True
    )
    assert 'absent from the `packages`' not in answer.stderr
    return folder / 'made' / answer.stdout.splitlines()[-1]


@pytest.mark.slow
def test_the_wheel_of_the_archive_works_outside_of_the_tree(tmp_path: Path) -> None:
    pytest.importorskip('setuptools')
    tree, home = tmp_path / 'tree', tmp_path / 'venv'
    for name in ('gersp_geo', 'configs', 'tests'):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('pyproject.toml', 'setup.py', 'MANIFEST.in', 'README.md', 'LICENSE'):
        shutil.copy(ROOT / name, tree)
    with tarfile.open(build('build_sdist', tree)) as archive:
        archive.extractall(tmp_path / 'sources', filter='data')
    (sources,) = (tmp_path / 'sources').iterdir()
    assert not (sources / 'tests').exists()
    wheel = build('build_wheel', sources)

    venv.create(home, with_pip=True, symlinks=True)
    python, command = str(home / 'bin' / 'python'), str(home / 'bin' / 'gersp-geo')
    subprocess.run(
        [python, '-m', 'pip', 'install', '-q', '--no-deps', '--no-index', wheel], check=True
    )
    (place,) = home.glob('lib/python*/site-packages')
    # what we depend on; the links to editable packages there are not followed
    others = [path for path in sys.path if path.endswith('site-packages')]
    (place / 'dependencies.pth').write_text('\n'.join(others))

    def run(*words: str) -> Any:
        alone = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
        answer = subprocess.run(
            words, cwd=tmp_path, env=alone, capture_output=True, text=True, check=True
        )
        return json.loads(answer.stdout)

    code = 'import json, gersp_geo; print(json.dumps([gersp_geo.__file__, gersp_geo.__version__]))'
    assert run(python, '-c', code) == [
        str(place / 'gersp_geo' / '__init__.py'), gersp_geo.__version__
    ]  # fmt: skip
    assert (place / 'gersp_geo' / 'py.typed').exists()
    listed = run(command, 'configs', '--json')['configs']
    assert {each['name']: Path(each['path']).read_text() for each in listed} == {
        path.relative_to(ROOT / 'configs').with_suffix('').as_posix(): path.read_text()
        for path in (ROOT / 'configs').rglob('*.yaml')
    }
    done = run(command, 'demo', 'out', '--pretrain-steps', '1', '--finetune-steps', '1', '--json')
    assert done['folder'] == 'out'
    assert (tmp_path / 'out' / 'report.png').exists()
