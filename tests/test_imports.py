"""A command imports what it needs: each library beyond that is paid for with every small scene."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

import gersp_geo

ROOT = Path(gersp_geo.__file__).parent

# each takes a fifth of a second or more
HEAVY = {
    'geopandas', 'kornia', 'lightning', 'matplotlib', 'onnx', 'onnxruntime', 'openvino', 'pandas',
    'pyarrow', 'pyogrio', 'scipy', 'segmentation_models_pytorch', 'sklearn', 'timm', 'torch', 'torchgeo',
    'torchmetrics', 'torchvision',
}  # fmt: skip
VECTORS = {'geopandas', 'pandas', 'pyarrow', 'pyogrio', 'scipy'}
NETWORKS = {'segmentation_models_pytorch', 'timm', 'torch', 'torchvision'}


@cache
def file_of(name: str) -> Path | None:
    """The file of a module of the package, if it is one."""
    path = ROOT.joinpath(*name.split('.')[1:])
    found = (path / '__init__.py', path.with_suffix('.py'))
    return next((each for each in found if name.startswith('gersp_geo') and each.is_file()), None)


@cache
def imports(path: Path, *, late: bool = False) -> tuple[ast.Import | ast.ImportFrom, ...]:
    """Statements that import as soon as a file is imported; *late*, those for its types alone."""
    body = ast.parse(path.read_text()).body
    if late:
        body = [each for node in body if isinstance(node, ast.If) for each in node.body]
    return tuple(node for node in body if isinstance(node, ast.Import | ast.ImportFrom))


def names_of(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[tuple[str, str]]:
    """Pairs of a module and the name that is taken from it, '' for the module itself."""
    if isinstance(node, ast.Import):
        yield from ((alias.name, '') for alias in node.names)
        return
    parts = package.split('.')[: len(package.split('.')) + 1 - node.level] if node.level else []
    module = '.'.join([*parts, *([node.module] if node.module else [])])
    yield from ((module, alias.name) for alias in node.names)


def follow(module: str, known: set[str]) -> None:
    """Collect the modules that importing one imports, of this package and the first of others."""
    path = file_of(module)
    if module in known or path is None:
        known.add(module if path else module.split('.')[0])
        return
    known.add(module)
    if '.' in module:
        follow(module.rpartition('.')[0], known)
    package = module if path.name == '__init__.py' else module.rpartition('.')[0]
    for node in imports(path):
        for origin, name in names_of(node, package):
            follow(origin, known)
            inner = file_of(origin)
            if file_of(f'{origin}.{name}'):
                follow(f'{origin}.{name}', known)
            elif inner is not None:
                # a package that brings its names when they are used
                for late in imports(inner, late=True):
                    homes = {n: home for home, n in names_of(late, origin)}
                    if inner.name == '__init__.py' and name in homes:
                        follow(homes[name], known)


@pytest.mark.parametrize(
    ('modules', 'needed'),
    [
        (['main', 'inference.options'], set()),
        (['inference.scenes'], set()),
        (['inference.jobs', 'inference.outputs.map_maker', 'inference.api'], {'torch'}),
        (['inference.model.embedder', 'inference.model.detector'], {'torch'}),
        (['inference.polygons'], {'geopandas', 'pyogrio', 'scipy'}),
        (['models.exporting'], {'timm', 'torch'}),
    ],
    ids=lambda each: ' '.join(sorted(each)),
)
def test_our_modules_import_no_library_that_their_command_may_not_need(
    modules: list[str], needed: set[str]
) -> None:
    known: set[str] = set()
    for module in modules:
        follow(f'gersp_geo.{module}', known)
    assert known & HEAVY == needed


def imported_by(*words: object) -> set[str]:
    """What is imported when a command has run, in a process of its own."""
    code = (
        'import sys\nfrom gersp_geo.main import main\ncode = main(sys.argv[1:])\n'
        'print("\\n" + " ".join(sys.modules))\nsys.exit(code)'
    )
    answer = subprocess.run(
        [sys.executable, '-c', code, *map(str, words)], capture_output=True, text=True, check=False
    )
    assert answer.returncode == (1 if 'none' in ' '.join(map(str, words)) else 0), answer.stderr
    return {name.split('.')[0] for name in answer.stdout.splitlines()[-1].split()} & HEAVY


def test_what_is_not_there_is_said_before_anything_heavy_is_imported(tmp_path: Path) -> None:
    assert imported_by('predict', 'none.ckpt', 'none.tif', '-o', tmp_path / 'a.tif') == set()


@pytest.fixture(scope='module')
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('scene') / 'scene.tif'
    with rasterio.open(
        path, 'w', width=64, height=64, count=3, dtype='uint8', crs='EPSG:32633',
        transform=Affine(1, 0, 500_000, 0, -1, 5_000_000),
    ) as file:  # fmt: skip
        file.write(np.random.default_rng(0).integers(0, 256, (3, 64, 64), dtype=np.uint8))
    return path


@pytest.fixture(scope='module')
def graph(scene: Path) -> Path:
    """The first two bands as logits."""
    # part of a second, and only slow tests need it
    import onnx
    from onnx import TensorProto, helper

    weight = helper.make_tensor('w', TensorProto.FLOAT, (2, 3, 1, 1), [1, 0, 0, 0, 1, 0])
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node('Conv', ['image', 'w'], ['scores'])], 'bands',
            [helper.make_tensor_value_info('image', TensorProto.FLOAT, ['B', 3, 'H', 'W'])],
            [helper.make_tensor_value_info('scores', TensorProto.FLOAT, ['B', 2, 'H', 'W'])],
            [weight],
        ),
        opset_imports=[helper.make_opsetid('', 20)], ir_version=9,
    )  # fmt: skip
    plain = {'scale': [1 / 255] * 3, 'mean': [0.0] * 3, 'std': [1.0] * 3}
    record = {'bands': ['red', 'green', 'blue'], **plain}
    helper.set_model_props(model, {'gersp_geo': json.dumps(record)})
    path = scene.with_name('bands.onnx')
    onnx.save(model, path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize('command', ['predict', 'plan'])
def test_a_graph_needs_torch_and_what_runs_it(command: str, graph: Path, scene: Path) -> None:
    used = imported_by(command, graph, scene, '-o', scene.with_name(f'{command}.tif'))
    assert used <= {'torch', 'onnxruntime'}


@pytest.fixture(scope='module')
def checkpoint(scene: Path, small_checkpoint: Path) -> Path:
    import torch
    from torchgeo.tasks import SemanticSegmentation

    task = SemanticSegmentation('unet', 'resnet18', num_classes=2)
    saved = {'state_dict': task.state_dict(), 'hyper_parameters': dict(task.hparams)}
    path = scene.with_name('unet.ckpt')
    torch.save(torch.load(small_checkpoint, weights_only=True) | saved, path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize('command', ['predict', 'plan'])
def test_a_checkpoint_needs_its_network(
    command: str, checkpoint: Path, scene: Path, tmp_path: Path
) -> None:
    used = imported_by(command, checkpoint, scene, '-o', tmp_path / 'a.tif', '--size', 64)
    assert used <= NETWORKS


@pytest.mark.slow
def test_polygons_and_exports_need_no_lightning_and_no_torchgeo(
    graph: Path, checkpoint: Path, scene: Path, tmp_path: Path
) -> None:
    made = tmp_path / 'a.tif'
    imported_by('predict', graph, scene, '-o', made)
    assert imported_by('polygons', made, '-o', tmp_path / 'a.gpkg') <= VECTORS
    words = ('export', checkpoint, tmp_path / 'b.pth', '--format', 'torchvision')
    assert imported_by(*words) <= NETWORKS - {'segmentation_models_pytorch'}
