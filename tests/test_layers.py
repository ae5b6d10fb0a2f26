"""Modules import only lower floors, and third parties only where they belong."""

import ast
import sys
from pathlib import Path

import pytest

import gersp_geo

ROOT = Path(gersp_geo.__file__).parent
FLOORS = {
    'windows': 0, 'preprocessing': 0, 'batch_types': 0, 'bands': 0, 'lazy': 0, 'provenance': 0,
    'stopping': 0, 'shared_context': 0, 'devices': 0, 'messages': 0, 'json_text': 0, 'records': 1,
    'losses': 1, 'momentum': 1, 'distributed': 1, 'evaluation': 1, 'normalization': 1, 'tiling': 1, 'stitching': 1,
    'suppression': 1,
    'geoio': 2, 'transforms': 2,
    'pictures': 3, 'sample_data': 3, 'models': 3, 'shipped_configs': 3,
    'datasets': 4,
    'samplers': 5, 'labels': 5, 'accuracy': 6, 'reports': 10,
    'datamodules': 6, 'callbacks': 7, 'tasks': 8,
    'inference': 9, 'comparison': 9,
    'demo': 11, 'command_line': 11, 'training': 12, 'main': 13,
}  # fmt: skip
# package -> parts of gersp_geo that may import it directly
HOMES = {
    'rasterio': {'geoio'},
    'pyogrio': {'geoio'},
    'fiona': {'geoio'},
    'obstore': {'geoio'},
    'kornia': {'transforms'},
    'timm': {'models', 'tasks'},
    'torchvision.models': {'models', 'tasks'},
}
# package -> lowest floor that may import it
LOWEST = {
    'torchgeo.datasets': 3,
    'torchgeo.samplers': 3,
    'torchgeo.models': 3,
    'torchgeo.tasks': 5,
    'torchgeo.datamodules': 5,
    'lightning': 5,
}
MODULES = sorted(path for path in ROOT.rglob('*.py') if path != ROOT / '__init__.py')


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix('.py')


def imports(path: Path) -> list[str]:
    """Absolute names of everything that a file imports, at any depth of its code."""
    package = ['gersp_geo', *path.relative_to(ROOT).parts[:-1]]
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = '.'.join([*base, *([node.module] if node.module else [])])
            names += [f'{module}.{alias.name}' for alias in node.names]
    return names


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f'{package}.')


@pytest.mark.parametrize('path', MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_lower_floors(path: Path) -> None:
    part = part_of(path)
    for name in imports(path):
        if within(name, 'gersp_geo'):
            other = name.split('.')[1]
            if other in FLOORS:
                assert other == part or FLOORS[other] < FLOORS[part], f'{part} imports {name}'


@pytest.mark.parametrize('path', MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_third_parties_stay_where_they_belong(path: Path) -> None:
    part = part_of(path)
    for name in imports(path):
        for package, parts in HOMES.items():
            assert not within(name, package) or part in parts, f'{part} imports {name}'
        for package, floor in LOWEST.items():
            assert not within(name, package) or FLOORS[part] >= floor, f'{part} imports {name}'


@pytest.mark.parametrize('path', MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_other_parts_import_what_the_packages_of_geoio_list(path: Path) -> None:
    if part_of(path) == 'geoio':
        return
    for name in imports(path):
        # gersp_geo.geoio.read.open_reader, and no module below
        assert not within(name, 'gersp_geo.geoio') or name.count('.') <= 3, f'imports {name}'


MATHS = [path for path in MODULES if FLOORS[part_of(path)] == 1]


@pytest.mark.parametrize('path', MATHS, ids=lambda path: path.stem)
def test_the_maths_needs_numpy_and_torch_only(path: Path) -> None:
    allowed = {'numpy', 'torch', 'gersp_geo', *sys.stdlib_module_names}
    assert {name.split('.')[0] for name in imports(path)} <= allowed
