"""Whatever is made of scenes, several workers make the bytes that one process makes."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from tests.inference.patches.scenes import noise, write_scene
from tests.inference.workers.trial import as_threads, run

SIZE = ('--size', '64', '--runtime', 'eager')
MAPS = (*SIZE, '--overlap', '16')
# model, name of the result, words
CASES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    'variations': ('maps', 'made.tif', (*MAPS, '--consistency', '2', '--uncertainty')),
    'panels': (
        'maps',
        'made.tif',
        (*MAPS, '--output', 'probabilities', '--memory-limit', '900KiB'),
    ),
    'objects': ('objects', 'made.parquet', (*SIZE, '--score-threshold', '0')),
    'classify': ('classify', 'made.parquet', (*SIZE, '--raster', '{place}/made.tif')),
    'change': ('change', 'made.tif', (*MAPS, '--after', '{work}/after.tif')),
}
SCENES = 20
BROKEN = (3, 11)


@pytest.fixture(scope='module', autouse=True)
def one_thread() -> Iterator[None]:
    """Numbers of threads differ between workers and a process of its own otherwise."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob('*')) if path.is_file()}


@pytest.mark.quick('threads-variations')
@pytest.mark.parametrize('case', CASES)
@pytest.mark.parametrize('crew', ['threads', 'processes'])
def test_workers_and_shards_make_the_bytes_of_one_process(
    crew: str, case: str, cluster_work: Path, tmp_path: Path
) -> None:
    model, name, words = CASES[case]

    def make(folder: str, *more: str) -> None:
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        given = [word.format(work=cluster_work, place=place) for word in words]
        line = [cluster_work / f'{model}.ckpt', cluster_work / 'scene.tif', '-o', place / name]
        code, _, error = run('predict', *line, *given, *more)
        assert (code, error) == (0, ''), more

    make('one')
    with as_threads() if crew == 'threads' else nullcontext():
        make('three', '--workers', '3')
    assert files(tmp_path / 'one') == files(tmp_path / 'three')
    if case != 'variations':
        # the further maps are made by one process, or by workers
        for step in (['--shard', '1/2'], ['--shard', '0/2'], ['--merge']):
            make('shards', *step)
        assert files(tmp_path / 'one') == files(tmp_path / 'shards')
    assert not [*tmp_path.rglob('*.parts')]


@pytest.mark.slow
def test_a_folder_of_which_two_scenes_are_broken(cluster_work: Path, tmp_path: Path) -> None:
    scenes = tmp_path / 'scenes'
    scenes.mkdir()
    for number in range(SCENES):
        write_scene(scenes / f'{number:02}.tif', noise(90, 80, seed=number))
    (scenes / '03.tif').write_text('no raster')
    whole = (scenes / '11.tif').read_bytes()
    (scenes / '11.tif').write_bytes(whole[: len(whole) // 2])
    for name, words in (('one', ()), ('three', ('--workers', '3'))):
        line = ['predict', cluster_work / 'maps.ckpt', scenes, '-o', tmp_path / name, *MAPS]
        code, output, _ = run(*line, *words)
        assert code == 1
        *_, count, first, second = output.splitlines()
        assert count == f'{SCENES - len(BROKEN)} of {SCENES} scenes predicted'
        for failed, number in zip((first, second), BROKEN, strict=True):
            assert failed.startswith(f'failed   {scenes / f"{number:02}.tif"}: ')
    assert files(tmp_path / 'one') == files(tmp_path / 'three')
    assert len([*(tmp_path / 'one').glob('*.tif')]) == SCENES - len(BROKEN)
    assert not [*tmp_path.rglob('*.parts')]
