"""A table that loses no rows, mixes no settings, and refuses what is not its own."""

import csv
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gersp_geo.comparison.records import Candidate, Finding, Interval
from gersp_geo.comparison.results import COLUMNS, DECISIVE, TOLD, ResultsTable, row_key

SETTINGS = {name: '' for name in (*TOLD, *DECISIVE)} | {'size': '32', 'k': '5'}
CANDIDATE = Candidate(label='a', source='a.ckpt', seed=0, digest='0' * 16)
FINDING = Finding(
    candidate=CANDIDATE,
    protocol='knn',
    labels_per_class=None,
    accuracy=Interval(value=0.5, low=0.25, high=0.75),
    draws=(),
    chosen={},
    settings=SETTINGS,
    predictions=(0, 1, 1, 0),
)
TEXT = st.text(st.characters(exclude_categories=['Cs', 'Cc']), max_size=8)
SHARES = st.floats(0, 1)
FINDINGS = st.builds(
    Finding,
    candidate=st.builds(
        Candidate, label=TEXT, source=TEXT, seed=st.integers(0, 9), digest=st.just('f' * 16),
        first_layer=st.sampled_from(['scaled', 'random']),
    ),
    protocol=st.sampled_from(['knn', 'linear', 'finetune']),
    labels_per_class=st.none(),
    accuracy=st.builds(Interval, value=SHARES, low=SHARES, high=SHARES),
    draws=st.lists(SHARES, max_size=3).map(tuple),
    chosen=st.dictionaries(st.sampled_from(['C', 'lr', 'epochs']), st.floats(1e-6, 1e4)),
    settings=st.fixed_dictionaries({name: TEXT for name in SETTINGS}),
    predictions=st.lists(st.integers(0, 99), max_size=5).map(tuple),
    published=st.just(''),
)  # fmt: skip


def look_up(finding: Finding, folder: Path) -> Finding | None:
    """As a later process does."""
    table = ResultsTable(folder)
    return table.find(
        finding.candidate, finding.protocol, finding.labels_per_class, finding.settings
    )


@given(st.lists(FINDINGS, min_size=1, max_size=2))
def test_what_is_added_is_found_by_a_later_process(
    tmp_path_factory: pytest.TempPathFactory, findings: list[Finding]
) -> None:
    folder = tmp_path_factory.mktemp('results')
    for finding in findings:
        ResultsTable(folder).add(finding)
        assert look_up(finding, folder) == finding
    assert ResultsTable(folder).list_all()[-1] == findings[-1]


@pytest.mark.parametrize('name', DECISIVE)
def test_other_settings_are_another_row(name: str, tmp_path: Path) -> None:
    ResultsTable(tmp_path).add(FINDING)
    other = replace(FINDING, settings={**SETTINGS, name: 'other'})
    assert look_up(other, tmp_path) is None
    ResultsTable(tmp_path).add(other)
    assert look_up(FINDING, tmp_path) == FINDING


def test_a_row_takes_over_what_its_weights_are_called_now(tmp_path: Path) -> None:
    ResultsTable(tmp_path).add(FINDING)
    renamed = replace(FINDING, candidate=replace(CANDIDATE, label='b', seed=3))
    assert look_up(renamed, tmp_path) == renamed
    with (tmp_path / 'results.csv').open(newline='') as file:
        (row,) = csv.DictReader(file)
    assert (row['label'], row['seed'], row['accuracy'], row['k']) == ('b', '3', '0.5', '5')


def test_a_published_value_is_written_into_its_row(tmp_path: Path) -> None:
    table = ResultsTable(tmp_path)
    table.add(FINDING)
    table.publish(replace(FINDING, published='76.2 (73.6 to 78.7)'))
    assert '76.2 (73.6 to 78.7)' in (tmp_path / 'results.csv').read_text()
    # what another command asks for decides what stands beside its figures
    assert look_up(FINDING, tmp_path) == FINDING


def test_a_row_whose_predictions_are_gone_or_damaged_is_none(tmp_path: Path) -> None:
    ResultsTable(tmp_path).add(FINDING)
    (path,) = (tmp_path / 'predictions').iterdir()
    path.write_bytes(path.read_bytes()[:40])
    assert look_up(FINDING, tmp_path) is None
    path.unlink()
    assert look_up(FINDING, tmp_path) is None


def add_many(folder: Path, start: int) -> None:
    table = ResultsTable(folder)
    for k in range(start, start + 10):
        table.add(replace(FINDING, settings={**SETTINGS, 'k': str(k)}))


def test_two_writers_lose_no_rows(tmp_path: Path) -> None:
    # a lock is of an open file, so that threads stand for processes
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda start: add_many(tmp_path, start), (0, 100)))
    assert len((tmp_path / 'results.csv').read_text().splitlines()) == 21
    assert not list(tmp_path.glob('.*.partial*'))


def change_cell(name: str, text: str) -> Callable[[str], str]:
    def change(content: str) -> str:
        head, line = content.splitlines()
        cells = line.split(',')
        cells[COLUMNS.index(name)] = text
        return f'{head}\n{",".join(cells)}\n'

    return change


@pytest.mark.parametrize(
    ('change', 'told'),
    [
        (lambda text: 'a,b\n1,2\n', "no table of this command .it has no column 'label'"),
        (lambda text: '', 'no table of this command'),
        (lambda text: text + 'a,b\r\n', r'damaged: 2 cells instead of \d+ in row 3'),
        (lambda text: text.replace('0.5', '5.0'), r'damaged: accuracy 5\.0'),
        (change_cell('accuracy', 'high'), 'damaged: could not convert'),
        (change_cell('protocol', 'guess'), "damaged: protocol 'guess'"),
        (change_cell('size', '64'), 'damaged: key .* is not that of the other cells'),
        (lambda text: text + '"', r'no table of this command \(unexpected end'),
    ],
)  # fmt: skip
def test_a_foreign_or_damaged_table_is_refused(
    change: Callable[[str], str], told: str, tmp_path: Path
) -> None:
    ResultsTable(tmp_path).add(FINDING)
    path = tmp_path / 'results.csv'
    path.write_text(change(path.read_text()))
    with pytest.raises(ValueError, match=told) as error:
        ResultsTable(tmp_path)
    assert '\n' not in str(error.value)
    assert '-o' in str(error.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / 'results.csv').write_bytes(b'\x89PNG\r\n\x1a\n\x00\xff')
    with pytest.raises(ValueError, match='no table of this command'):
        ResultsTable(tmp_path)


def test_a_spreadsheet_may_have_saved_it(tmp_path: Path) -> None:
    ResultsTable(tmp_path).add(FINDING)
    path = tmp_path / 'results.csv'
    path.write_text(path.read_text(), encoding='utf-8-sig')
    assert look_up(FINDING, tmp_path) == FINDING


def test_seeds_are_of_no_account_where_nothing_is_drawn() -> None:
    later = replace(CANDIDATE, seed=1, label='b')

    def key(candidate: Candidate, protocol: str = 'knn') -> str:
        return row_key(candidate, protocol, None, SETTINGS)  # type: ignore[arg-type]

    assert key(CANDIDATE) == key(later)
    assert key(CANDIDATE, 'finetune') != key(later, 'finetune')
    drawn = [key(replace(one, first_layer='random')) for one in (CANDIDATE, later)]
    assert drawn[0] != drawn[1]
