import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

from gersp_geo.main import main

# What tests remember is theirs alone, also in the processes that they start
os.environ['GERSP_GEO_CACHE'] = tempfile.mkdtemp(prefix='gersp-geo-cache-')

# Processes of tests are forked from one that has the large imports behind it, once
multiprocessing.get_context('forkserver').set_forkserver_preload(
    ['gersp_geo.training', 'gersp_geo.inference.api', 'geopandas']
)

# Files that take longest come first, so that no process is left with one of them at the end
LONGEST = ('test_docs.py', 'test_run.py', 'test_main.py', 'test_golden_trace.py')

# Examples of each law that is stated for all inputs: of `make test`, and of `make slow`; files in
# the folder of a test may be written anew for each, and a busy machine is no failure
CHECKS = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)
settings.register_profile('fast', max_examples=20, deadline=None, suppress_health_check=CHECKS)
settings.register_profile('full', settings.get_profile('fast'), max_examples=1000)
settings.load_profile('fast')


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run the longest files first, and of some tests a few cases with all others slow."""
    items.sort(key=lambda item: item.path.name not in LONGEST)
    unknown: dict[str, set[str]] = {}
    for item in items:
        if mark := item.get_closest_marker('quick'):
            test, _, case = item.nodeid.removesuffix(']').partition('[')
            names = {case, *case.split('-')}
            unknown.setdefault(test, set(mark.args)).difference_update(names)
            if names.isdisjoint(mark.args):
                item.add_marker(pytest.mark.slow)
    wrong = {test: words for test, words in unknown.items() if words}
    if wrong and not any('::' in argument for argument in config.args):
        raise pytest.UsageError(f'no case is called as in pytest.mark.quick: {wrong}')


@pytest.fixture(scope='session')
def make_once(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str, Callable[[Path], object]], Path]:
    """Make a folder by its name: the first worker process fills it, the others wait; read only."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if 'PYTEST_XDIST_WORKER' in os.environ else base

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        folder = shared / name
        with FileLock(f'{folder}.lock'):
            if not folder.exists():
                half = tmp_path_factory.mktemp(name)
                fill(half)
                half.rename(folder)
        return folder

    return make


@pytest.fixture(scope='session')
def sample_data(make_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """The sample landscape, as the command writes it; read only."""
    return make_once(
        'sample-data', lambda folder: main(['sample-data', str(folder), '--no-progress'])
    )


@pytest.fixture
def workplace(sample_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with sample-data in it, as documentation assumes."""
    shutil.copytree(sample_data, tmp_path / 'sample-data')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope='session')
def small_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a segmentation that takes no time: red, green and blue in bytes, two classes; read only."""
    # seconds, and few tests need them
    import torch
    from torchgeo.tasks import SemanticSegmentation

    task = SemanticSegmentation('fcn', num_classes=2, num_filters=2)
    record = {
        'bands': ['red', 'green', 'blue'], 'scale': [1 / 255] * 3, 'mean': [0.5] * 3, 'std': [0.2] * 3,
        'class_names': ['land', 'water'], 'task_class': 'torchgeo.tasks.SemanticSegmentation',
    }  # fmt: skip
    saved = {'state_dict': task.state_dict(), 'hyper_parameters': dict(task.hparams)}
    path = tmp_path_factory.mktemp('model') / 'model.ckpt'
    torch.save(saved | {'gersp_geo': record, 'pytorch-lightning_version': '2.6.0'}, path)
    return path


@pytest.fixture(scope='session')
def real_data() -> Path:
    """Unpacked real images; tests that need them skip where there are none."""
    folder = os.environ.get('GERSP_GEO_TEST_DATA')
    if not folder or not Path(folder).is_dir():
        pytest.skip('set GERSP_GEO_TEST_DATA to a folder of real images to run this')
    return Path(folder)


@pytest.fixture
def small_disk() -> Callable[[int], AbstractContextManager[None]]:
    """Let no file grow beyond a number of bytes: writing fails as on a full disk."""
    # only Unix has it
    resource = pytest.importorskip('resource')

    @contextmanager
    def limited(size: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited
