"""Laws of the journal of finished parts."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gersp_geo.inference.resume.entries import Counts, Entry, PartFile
from gersp_geo.inference.resume.journal import Journal, read_header

HEADER = {'source': 'scene.tif', 'size': 512, 'bands': (1, 2, 3)}


def entry(part: int, name: str | None = None) -> Entry:
    counts = Counts(
        valid_pixels=10 * part, forwarded=part, class_pixels=(part, 2), class_areas_m2=(0.5, 1.5)
    )
    files = () if name is None else (PartFile(name=name, map=0, col_off=3, width=7),)
    return Entry(part=part, files=files, counts=counts)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / '.map.tif.parts'


def test_what_was_appended_is_there_in_the_next_run(folder: Path) -> None:
    with Journal.open(folder, HEADER) as journal:
        (folder / 'a.tif').touch()
        journal.append(entry(3))
        journal.append(entry(1, 'a.tif'))
    with Journal.open(folder, HEADER) as journal:
        assert list(journal.entries().values()) == [entry(1, 'a.tif'), entry(3)]


@pytest.mark.parametrize('torn', [b'{"part": 2, "files": [nu', b'\x00\x00', b'{'])
def test_a_line_that_was_cut_off_is_no_line(folder: Path, torn: bytes) -> None:
    with Journal.open(folder, HEADER) as journal:
        journal.append(entry(1))
    with (folder / 'parts.jsonl').open('ab') as stream:
        stream.write(torn)
    with Journal.open(folder, HEADER) as journal:
        journal.append(entry(2))
        assert list(journal.entries()) == [1, 2]


def test_a_part_whose_file_is_gone_is_not_finished(folder: Path) -> None:
    with Journal.open(folder, HEADER) as journal:
        (folder / 'a.tif').touch()
        journal.append(entry(1, 'a.tif'))
        (folder / 'a.tif').unlink()
        assert not journal.entries()


def test_another_prediction_is_refused_with_what_differs(folder: Path) -> None:
    with Journal.open(folder, HEADER) as journal:
        journal.append(entry(1))
    with pytest.raises(ValueError, match='size was 512, is 256') as error:
        Journal.open(folder, HEADER | {'size': 256})
    assert '--overwrite' in str(error.value)
    assert 'bands' not in str(error.value)
    with Journal.open(folder, HEADER) as journal:
        assert list(journal.entries()) == [1]


def test_notes_are_kept_of_whoever_begins_and_compared_with_nothing(folder: Path) -> None:
    for seconds in (1.5, 2.5):
        Journal.open(folder, HEADER, notes={'seconds': seconds})
    assert read_header(folder)['seconds'] == 1.5


def test_overwriting_begins_anew(folder: Path) -> None:
    with Journal.open(folder, HEADER) as journal:
        journal.append(entry(1))
    with Journal.open(folder, HEADER | {'size': 256}, overwrite=True) as journal:
        assert not journal.entries()


def test_two_processes_on_one_share_are_one_too_many(folder: Path) -> None:
    pytest.importorskip('fcntl')
    with (
        Journal.open(folder, HEADER),
        pytest.raises(OSError, match='another process is predicting into'),
        Journal.open(folder, HEADER),
    ):
        pass


def test_shares_see_each_others_parts(folder: Path) -> None:
    with (
        Journal.open(folder, HEADER, name='shard-0-of-2') as one,
        Journal.open(folder, HEADER, name='shard-1-of-2') as other,
    ):
        one.append(entry(1))
        other.append(entry(2))
        assert list(one.entries()) == list(other.entries()) == [1, 2]


@pytest.mark.parametrize('content', ['', 'no json', '7', 'null'])
def test_a_damaged_header_is_refused_by_its_name(folder: Path, content: str) -> None:
    folder.mkdir()
    (folder / 'prediction.json').write_text(content)
    with pytest.raises(ValueError, match=r'prediction\.json is no record of a prediction'):
        Journal.open(folder, HEADER)


def test_the_header_can_be_read_by_people(folder: Path) -> None:
    Journal.open(folder, HEADER)
    text = (folder / 'prediction.json').read_text()
    assert json.loads(text)['bands'] == [1, 2, 3]
    assert '\n' in text


def test_of_processes_that_begin_at_once_only_those_of_one_prediction_go_on(folder: Path) -> None:
    start = threading.Barrier(8)

    def begin(threads: int) -> int | None:
        start.wait()
        try:
            Journal.open(folder, HEADER | {'torch_threads': threads}, name=f'shard-{threads}')
        except ValueError:
            return None
        return threads

    with ThreadPoolExecutor(8) as pool:
        begun = {threads for threads in pool.map(begin, range(8)) if threads is not None}
    assert begun == {read_header(folder)['torch_threads']}
    assert [path.name for path in folder.iterdir()] == ['prediction.json']
