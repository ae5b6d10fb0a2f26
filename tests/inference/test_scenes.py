"""Which scenes predict and plan take for the names on the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from gersp_geo.datasets import GeoTIFFPatches, RasterTiles
from gersp_geo.main import main

OPTIONS = ('--size', '32', '--overlap', '8', '--no-progress', '--runtime', 'eager')

type Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    small_checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Run a command where scenes lie; gives its status, results and messages."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 255, (3, 40, 40), dtype='uint8')
    for name in ('a/x.tif', 'a/y_rgb.tif', 'a/deep/z_rgb.tif', 'b/x.tif', 'scene[1].tif'):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        with rasterio.open(
            name, 'w', driver='GTiff', height=40, width=40, count=3, dtype='uint8',
            crs='EPSG:32632', transform=Affine(1, 0, 4e5, 0, -1, 5e6),
        ) as dst:  # fmt: skip
            dst.write(pixels)
            dst.descriptions = ('red', 'green', 'blue')
    Path('a/x.tif.aux.xml').write_text('<PAMDataset/>')
    for name in ('a/y_rgb.tif.msk', 'a/.hidden.tif', 'a/notes.md'):
        Path(name).touch()
    Path('some.txt').write_text('a/x.tif\n\na/deep\n')

    def run(*words: str, command: str = 'predict') -> tuple[int, str, str]:
        status = main([command, str(small_checkpoint), *words, *OPTIONS])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def maps() -> list[str]:
    return sorted(path.as_posix() for path in Path('maps').rglob('*.tif'))


@pytest.mark.parametrize(
    ('names', 'scenes'),
    [
        (['a'], ['a/deep/z_rgb.tif', 'a/x.tif', 'a/y_rgb.tif']),
        (['a/**/*_rgb.tif'], ['a/deep/z_rgb.tif', 'a/y_rgb.tif']),
        (['a/*'], ['a/x.tif', 'a/y_rgb.tif']),
        (['some.txt'], ['a/deep/z_rgb.tif', 'a/x.tif']),
        (['scene[1].tif', './a/deep', 'a/deep/*.tif'], ['./a/deep/z_rgb.tif', 'scene[1].tif']),
    ],
)
def test_plan_and_training_take_the_same_files(
    run: Run, names: list[str], scenes: list[str]
) -> None:
    Path('a/y_rgb.tif.msk').unlink()
    status, out, _ = run(*names, '-o', 'maps', '--json', command='plan')
    found = [each['scene'] for each in json.loads(out)['results']]
    assert (status, [Path(name) for name in found]) == (0, [Path(name) for name in scenes])
    assert found == RasterTiles(names).files == list(GeoTIFFPatches(names).files)


def test_predict_takes_files_patterns_and_lists_together(run: Run) -> None:
    Path('a/y_rgb.tif.msk').unlink()
    assert run('scene[1].tif', 'a/**/y*.tif', 'some.txt', 'a/x.tif', '-o', 'maps')[0] == 0
    assert maps() == [f'maps/{name}.tif' for name in ('scene[1]', 'x', 'y_rgb', 'z_rgb')]


def test_pictures_that_are_left_out_are_named_once(run: Run) -> None:
    Path('b/quicklook.png').touch()
    with pytest.warns(UserWarning, match=r'1 such as b/quicklook\.png, which are not') as told:
        status, _, _ = run('b', '-o', 'maps')
    assert (status, maps(), len(told)) == (0, ['maps/x.tif'], 1)


def test_results_inside_a_folder_of_scenes_are_no_scenes_of_the_next_call(run: Run) -> None:
    words = ('a/deep', '-o', 'a/deep/maps', '--preview', 'a/deep/pictures')
    assert run(*words)[0] == 0
    Path('a/deep/pictures/z_rgb.tif').write_bytes(Path('a/x.tif').read_bytes())
    assert run(*words) == (0, 'another worker made the file, or it was made before\n', '')
    assert len(list(Path('a/deep/maps').glob('*.tif'))) == 1


@pytest.mark.parametrize('command', ['predict', 'plan'])
@pytest.mark.parametrize(
    ('names', 'message'),
    [
        (['none_*.tif'], 'no image follows the pattern none_*.tif; check the path'),
        (['a/x.tif', 'c'], 'c does not exist; check the path'),
        (['maps'], 'in maps; name a folder that holds some'),
        (['a/y_rgb.tif', 'a/y_rgb.tif.msk'], 'a/y_rgb.tif.msk is no image, but belongs to a/y_rgb.tif'),
        (['a/x.tif', 'b'], 'a/x.tif and b/x.tif would both become out/x.tif; rename one, or predict'),
    ],
)  # fmt: skip
def test_names_that_mean_no_scenes_are_refused_in_one_line(
    run: Run, command: str, names: list[str], message: str
) -> None:
    Path('maps').mkdir()
    status, out, err = run(*names, '-o', 'out', command=command)
    assert (status, out) == (1, '')
    assert err.startswith('gersp-geo: error: ')
    assert message in err
    assert err.count('\n') == 1
    assert not Path('out').exists()


def test_one_file_by_two_names_is_one_scene(run: Run, tmp_path: Path) -> None:
    assert run('b/x.tif', './b/x.tif', str(tmp_path / 'b' / 'x.tif'), '-o', 'maps')[0] == 0
    assert maps() == ['maps/x.tif']
