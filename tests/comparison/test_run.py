"""Weights compared through the command that a user types."""

import csv
import re
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image

from gersp_geo.comparison.results import ResultsTable
from gersp_geo.main import main

COLOURS = {'brick': (160, 60, 40), 'lake': (20, 60, 120), 'meadow': (60, 140, 50)}
WORDS = ['mean-colours', 'drawn=random:test_resnet.r160_in1k', 'drawn=random:test_resnet.r160_in1k']


def draw_images(folder: Path) -> None:
    """Twelve noisy pictures of each of three colours."""
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for i in range(12):
            values = rng.normal(colour, 60, size=(16, 16, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(values).save(folder / name / f'{name}_{i}.png')


@pytest.fixture
def stones(make_once: Callable[[str, Callable[[Path], object]], Path], tmp_path: Path) -> Path:
    """Labelled pictures."""
    return shutil.copytree(make_once('stones', draw_images), tmp_path / 'stones')


def evaluate(*words: str, data: Path, folder: Path, size: int = 32) -> int:
    """Run the command as a user does."""
    return main(
        ['evaluate', '--data', str(data), '-o', str(folder), '--size', str(size), '--device', 'cpu',
         '--no-progress', *words]
    )  # fmt: skip


def read_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / 'results.csv').open(newline='') as file:
        return list(csv.DictReader(file))


def count(folder: Path) -> tuple[str, str, str]:
    """Classes, and images that train and that are tested, of all rows."""
    (counts,) = {(row['classes'], row['n_train'], row['n_test']) for row in read_rows(folder)}
    return counts


def test_the_command_compares_tells_and_goes_on(
    stones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / 'out'
    words = (*WORDS[:2], '--baseline', 'mean-colours', '--protocol', 'knn', 'few-shot',
             '--labels-per-class', '2', '--draws', '4')  # fmt: skip
    assert evaluate(*words, data=stones, folder=folder) == 0
    told = capsys.readouterr().out
    assert '| weights' in told
    assert 'Differences to mean-colours' in told
    rows = read_rows(folder)
    assert [(row['label'], row['protocol']) for row in rows] == [
        ('mean-colours', 'knn'), ('drawn', 'knn'), ('mean-colours', 'few-shot'), ('drawn', 'few-shot'),
    ]  # fmt: skip
    assert {row['classes'] for row in rows} == {'3'}
    assert (folder / 'report.html').read_text().count('mean-colours') > 1
    assert (folder / 'results.md').read_text().startswith('# Weights compared on stones')

    # more of a label are its seeds; what is there is not judged again
    before = [row['seconds'] for row in rows]
    stamps = {path: path.stat().st_mtime_ns for path in (folder / 'features').iterdir()}
    assert evaluate(WORDS[2], *words, data=stones, folder=folder) == 0
    more = read_rows(folder)
    assert [row['seconds'] for row in more[:4]] == before
    assert [(row['label'], row['seed']) for row in more[4:]] == [('drawn', '1')] * 2
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    assert '| drawn' in capsys.readouterr().out

    # other settings are other rows, and the table shows only those that were asked for
    assert (
        evaluate('mean-colours', '--protocol', 'knn', '--k', '1', data=stones, folder=folder) == 0
    )
    assert '| drawn' not in capsys.readouterr().out
    assert len(read_rows(folder)) == 7


@pytest.mark.parametrize(
    ('words', 'told'),
    [
        (['--baseline', 'moco'], "must be one of mean-colours, got 'moco'"),
        (['--protocol', 'few-shot'], r"must be <= 8, the training images of class 'brick', got 20"),
        (['--k', '99'], r'k \(--k\) must be <= 24, the training images, got 99'),
        (['--k', '0'], r'k \(--k\) must be >= 1, got 0'),
        (['--benchmark', 'imagenet'], 'must be one of aid'),
        (['--lr', '-1', '--protocol', 'finetune'], 'must be > 0, got -1'),
        (['--device', 'abacus'], 'abacus'),
        (['--protocol', 'finetune'], 'mean-colours and image-statistics are no networks'),
        (
            [WORDS[1], '--protocol', 'finetune', '--baseline', 'mean-colours'],
            r'baseline \(--baseline\) mean-colours is no network',
        ),
    ],
)
def test_what_cannot_be_is_refused_before_an_image_is_read(
    words: list[str], told: str, stones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate('mean-colours', *words, data=stones, folder=tmp_path / 'out') == 1
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert re.search(told, error)
    assert not (tmp_path / 'out').exists()


def test_a_word_without_meaning_is_refused_before_images_are_looked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate('nothing.pth', data=tmp_path / 'none', folder=tmp_path / 'out') == 1
    assert 'there is no file or folder nothing.pth' in capsys.readouterr().err


def test_results_among_the_images_are_refused(
    stones: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate('mean-colours', data=stones, folder=stones / 'out') == 1
    assert 'whose folders are classes' in capsys.readouterr().err


def test_somebody_elses_files_stay(
    stones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'results.md').write_text('mine')
    assert evaluate('mean-colours', data=stones, folder=tmp_path) == 1
    assert 'results.md exists' in capsys.readouterr().err
    (tmp_path / 'results.md').unlink()
    (tmp_path / 'results.csv').write_text('mine\n1\n')
    assert evaluate('mean-colours', data=stones, folder=tmp_path) == 1
    assert 'is no table of this command' in capsys.readouterr().err


def test_spaces_around_the_name_of_a_folder_are_no_part_of_the_class(
    stones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (stones / 'lake').rename(stones / 'lake ')
    (stones / 'brick').rename(stones / ' brick')
    assert evaluate('mean-colours', data=stones, folder=tmp_path / 'out') == 0
    assert {row['classes'] for row in read_rows(tmp_path / 'out')} == {'3'}
    assert ' brick' not in capsys.readouterr().out


def test_columns_of_a_table_are_found_in_any_case(stones: Path, tmp_path: Path) -> None:
    # classes that the folders do not tell
    rows = [
        f'{file.name},{("even", '"odd, rather"')[number % 2]},{("Train", "Test")[number % 3 == 2]}'
        for number, file in enumerate(sorted(stones.rglob('*.png')))
    ]
    table = tmp_path / 'split.csv'
    table.write_bytes('\r\n'.join(['Filename,Label,Split', *rows, '']).encode())
    assert (
        evaluate('mean-colours', '--split', str(table), data=stones, folder=tmp_path / 'out') == 0
    )
    assert count(tmp_path / 'out') == ('2', '24', '12')


def test_what_a_table_leaves_out_may_lie_anywhere(stones: Path, tmp_path: Path) -> None:
    names = sorted(f'{file.parent.name}/{file.name}' for file in stones.rglob('*.png'))
    shutil.copy(stones / 'lake' / 'lake_0.png', stones / 'preview.png')
    table = tmp_path / 'split.csv'
    rows = [f'{name},{("train", "test")[number % 2]}' for number, name in enumerate(names)]
    table.write_text('\n'.join(['filename,split', *rows]))
    assert (
        evaluate('mean-colours', '--split', str(table), data=stones, folder=tmp_path / 'out') == 0
    )
    assert count(tmp_path / 'out') == ('3', '18', '18')


def test_images_without_class_are_told_on_the_page_too(stones: Path, tmp_path: Path) -> None:
    table = tmp_path / 'split.csv'
    rows = [
        f'{file.name},{"" if number == 5 else file.parent.name},{("train", "test")[number % 2]}'
        for number, file in enumerate(sorted(stones.rglob('*.png')))
    ]
    table.write_text('\n'.join(['filename,label,split', *rows]))
    assert (
        evaluate('mean-colours', '--split', str(table), data=stones, folder=tmp_path / 'out') == 0
    )
    text = (tmp_path / 'out' / 'results.md').read_text()
    assert '- 1 images of a split have no class in' in text


def test_names_with_accents_are_found_however_they_are_encoded(
    stones: Path, tmp_path: Path
) -> None:
    folder, name = unicodedata.normalize('NFD', 'Grünland'), unicodedata.normalize('NFD', 'é.png')
    for number, place in enumerate(('train', 'test')):
        (stones / 'lake' / f'lake_{number}.png').rename(stones / 'lake' / f'{place}{name}')
    (stones / 'lake').rename(stones / folder)
    table = tmp_path / 'split.csv'
    rows = ['Grünland/trainé.png,train', 'Grünland/testé.png,test', 'brick/brick_0.png,train']
    table.write_text('\n'.join(['filename,split', *rows]), encoding='utf-8')
    words = ('mean-colours', '--split', str(table), '--protocol', 'knn', '--k', '1')
    assert evaluate(*words, data=stones, folder=tmp_path / 'out') == 0
    (row,) = read_rows(tmp_path / 'out')
    assert (row['n_train'], row['n_test']) == ('2', '1')


def test_equal_images_of_two_classes_are_told(
    stones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in range(2):
        shutil.copy(stones / 'lake' / f'lake_{i}.png', stones / 'brick' / f'also_{i}.png')
    assert evaluate('mean-colours', data=stones, folder=tmp_path / 'out') == 0
    told = '- 2 images have another class than the same file elsewhere: '
    assert told in capsys.readouterr().out


def test_damaged_predictions_are_found_anew(stones: Path, tmp_path: Path) -> None:
    assert evaluate('mean-colours', data=stones, folder=tmp_path / 'out') == 0
    before = read_rows(tmp_path / 'out')
    kept = tmp_path / 'out' / 'predictions' / f'{before[0]["key"]}.npz'
    whole = kept.read_bytes()
    for place in range(len(whole)):
        kept.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        # either as they were, or none
        assert len(ResultsTable(tmp_path / 'out').list_all()) in (1, 2)
    assert evaluate('mean-colours', data=stones, folder=tmp_path / 'out') == 0
    assert [row['accuracy'] for row in read_rows(tmp_path / 'out')] == [
        row['accuracy'] for row in before
    ]


@pytest.mark.parametrize('outer', [('train', 'holdout'), ('train_images', 'test_images')])
def test_folders_that_hold_the_same_folders_are_doubted_as_classes(
    outer: tuple[str, str], stones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nested = tmp_path / 'nested'
    for place, name in enumerate(outer):
        for colour in COLOURS:
            (nested / name / colour).mkdir(parents=True)
            for i in range(4 * place, 4 * place + 4):
                shutil.copy(stones / colour / f'{colour}_{i}.png', nested / name / colour)
    assert evaluate('mean-colours', data=nested, folder=tmp_path / 'out') == 0
    told = (
        f'folders {", ".join(sorted(outer))} are taken for the classes, and each of them holds '
        'brick, lake, meadow; if those are the classes'
    )
    assert told in capsys.readouterr().out
    assert told in (tmp_path / 'out' / 'results.md').read_text()


def test_a_split_for_evaluation_is_no_class(
    stones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nested = tmp_path / 'nested'
    for name in ('train', 'evaluation'):
        shutil.copytree(stones, nested / name)
    assert evaluate('mean-colours', data=nested, folder=tmp_path / 'out') == 1
    assert 'no image tests; one of its splits must be called test' in capsys.readouterr().err


def test_notes_call_classes_as_they_are_called(
    stones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ('train', 'test'):
        shutil.copytree(stones, tmp_path / 'nested' / name)
    shutil.rmtree(tmp_path / 'nested' / 'train' / 'lake')
    assert evaluate('mean-colours', data=tmp_path / 'nested', folder=tmp_path / 'out') == 0
    assert '- No image of lake trains, so that few' in capsys.readouterr().out


@pytest.mark.filterwarnings('ignore:Dataset has no geotransform')
def test_pictures_of_sixteen_bits_are_refused_and_not_cut_to_eight(
    stones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, file in enumerate(stones.rglob('*.png')):
        values = np.full((3, 16, 16), 200 + number, dtype=np.uint16)
        with rasterio.open(
            file, 'w', driver='PNG', count=3, height=16, width=16, dtype='uint16'
        ) as dst:
            dst.write(values)
    assert evaluate('mean-colours', data=stones, folder=tmp_path / 'out') == 1
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert re.search(r'has more than 8 bits per band \(mode RGB;16B\); convert it', error)


@pytest.mark.slow
def test_fine_tuning_goes_on_and_begins_anew_when_told(
    stones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / 'out'
    words = (*WORDS, '--protocol', 'finetune', 'linear', '--epochs', '2', '--lr', '0.001')
    assert evaluate(*words, data=stones, folder=folder) == 0
    rows = read_rows(folder)
    # what is no network is not trained
    assert [(row['label'], row['seed'], row['protocol']) for row in rows] == [
        ('drawn', '0', 'finetune'), ('drawn', '1', 'finetune'), ('mean-colours', '0', 'linear'),
        ('drawn', '0', 'linear'), ('drawn', '1', 'linear'),
    ]  # fmt: skip
    trained = {path: path.stat().st_mtime_ns for path in (folder / 'finetuning').iterdir()}
    assert len(trained) == 2

    # another learning rate is another row, and those that are known are not trained again
    assert evaluate(*words, '0.01', data=stones, folder=folder) == 0
    assert len(read_rows(folder)) == 7
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in trained.items())
    before = capsys.readouterr().out.splitlines()[-7:]

    assert evaluate(*words, '0.01', '--overwrite', data=stones, folder=folder) == 0
    assert len(read_rows(folder)) == 7
    assert all(path.stat().st_mtime_ns > stamp for path, stamp in trained.items())
    assert capsys.readouterr().out.splitlines() == before
