"""What an interrupted prediction left may be damaged: it is made anew, or refused in one line."""

import contextlib
import io
import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.transform import from_origin

from gersp_geo.geoio.write.geotiff import write_raster
from gersp_geo.inference import run
from gersp_geo.inference.options import MapOptions
from gersp_geo.main import main

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
PARTS = 3


# of the options, those of how a map is cut into parts
DEFAULTS: dict[str, Any] = MapOptions.__init__.__kwdefaults__ or {}


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory, small_checkpoint: Path) -> Path:
    """A model, a scene, its map, and what a stop left of it: all parts, but no map."""
    folder = tmp_path_factory.mktemp('journals')
    shutil.copyfile(small_checkpoint, folder / 'model.ckpt')
    pixels = np.random.default_rng(0).integers(1, 255, (3, 96, 40), dtype=np.uint8)
    transform = from_origin(4e5, 5e6, 10, 10)
    write_raster(folder / 'scene.tif', pixels, crs='EPSG:32633', transform=transform)
    assert predict(folder, folder / 'whole' / 'map.tif')[0] == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, 'finish_parts', stop)
        with contextlib.suppress(KeyboardInterrupt):
            assert predict(folder, folder / 'begun' / 'map.tif')[0] == 130
    return folder


def stop(*arguments: object, **options: object) -> None:
    raise KeyboardInterrupt


def predict(folder: Path, destination: Path, *words: str) -> tuple[int, str]:
    """Predict by the command, in parts of 32 rows; return exit code, and errors and warnings."""
    line = ['predict', folder / 'model.ckpt', folder / 'scene.tif', '-o', destination, *words]
    line += ['--size', '32', '--overlap', '0', '--device', 'cpu', '--no-progress']
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stderr(io.StringIO()) as error,
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(record=True) as told,
    ):
        warnings.simplefilter('always', UserWarning)
        patch.setitem(DEFAULTS, 'part_pixels', 1)
        # threads of a test are not the main one, where alone signals can be caught
        patch.setattr('gersp_geo.main.end_on_signals', lambda advice: None)
        code = main([str(word) for word in line])
    return code, error.getvalue() + ''.join(f'{one.message}\n' for one in told)


@pytest.fixture
def begun(folder: Path, tmp_path: Path) -> Path:
    """The parts of a map that lacks nothing but its end."""
    shutil.copytree(folder / 'begun', tmp_path / 'begun')
    parts = tmp_path / 'begun' / '.map.tif.parts'
    assert len(list(parts.glob('0*.tif'))) == PARTS
    return parts


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def flip(path: Path) -> None:
    """Turn over a byte of the pixels."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 0xFF
    path.write_bytes(content)


def other(path: Path) -> None:
    """Put a sound raster of another size there."""
    write_raster(
        path,
        np.ones((1, 16, 16), np.uint8),
        crs=None,
        transform=from_origin(0, 0, 1, 2),
        overwrite=True,
    )


def empty(path: Path) -> None:
    path.write_bytes(b'')


@pytest.mark.parametrize('damage', [cut, flip, other, empty, Path.unlink])
def test_a_damaged_part_is_made_anew(
    damage: Callable[[Path], None], folder: Path, begun: Path
) -> None:
    damage(sorted(begun.glob('0*.tif'))[1])
    code, error = predict(folder, begun.parent / 'map.tif')
    assert code == 0
    assert (begun.parent / 'map.tif').read_bytes() == (folder / 'whole' / 'map.tif').read_bytes()
    assert not begun.exists()
    if damage is not Path.unlink:
        assert error.count('\n') == 1
        assert f'1 of {PARTS} finished parts' in error
        assert '000001-' in error
        assert 'made anew' in error


def test_shards_that_are_damaged_are_named(folder: Path, tmp_path: Path) -> None:
    final = tmp_path / 'map.tif'
    for shard in ('0/2', '1/2'):
        assert predict(folder, final, '--shard', shard)[0] == 0
    flip(max((tmp_path / '.map.tif.parts').glob('0*.tif')))
    code, error = predict(folder, final, '--merge')
    assert (code, error.count('\n')) == (1, 1)
    assert '000002-' in error
    assert '--shard 1/2' in error
    assert not final.exists()
    assert predict(folder, final, '--shard', '0/2') == (0, '')
    assert 'made anew' in predict(folder, final, '--shard', '1/2')[1]
    assert predict(folder, final, '--merge') == (0, '')
    assert final.read_bytes() == (folder / 'whole' / 'map.tif').read_bytes()


@given(data=st.data())
def test_a_journal_with_other_content_goes_on_with_the_same_map(
    folder: Path, begun: Path, data: st.DataObject
) -> None:
    shutil.rmtree(begun.parent)
    shutil.copytree(folder / 'begun', begun.parent)
    lines = [json.loads(line) for line in (begun / 'parts.jsonl').read_text().splitlines()]
    number = data.draw(st.integers(0, PARTS - 1))
    lines[number] = data.draw(changed(lines[number]))
    text = ''.join(json.dumps(line) + '\n' for line in lines)
    (begun / 'parts.jsonl').write_text(text)
    code, error = predict(folder, begun.parent / 'map.tif')
    assert code == 0, error
    assert (begun.parent / 'map.tif').read_bytes() == (folder / 'whole' / 'map.tif').read_bytes()


def changed(record: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Replace an entry, or something in it."""
    entry, names = record['entry'], ['name', 'map', 'col_off', 'width', 'crc32']
    file = st.tuples(st.sampled_from(names), JSON).map(
        lambda pair: record | {'entry': entry | {'files': [entry['files'][0] | {pair[0]: pair[1]}]}}
    )
    field = st.tuples(st.sampled_from(['part', 'files', 'counts']), JSON).map(
        lambda pair: record | {'entry': entry | {pair[0]: pair[1]}}
    )
    checksum = JSON.map(lambda value: record | {'crc32': value})
    return JSON | file | field | checksum


@given(
    JSON
    | st.tuples(st.sampled_from(['batch_size', 'torch_threads', 'size', 'panels', 'version']), JSON)
)
def test_a_header_with_other_content_is_refused_in_one_line(
    folder: Path, begun: Path, value: Any
) -> None:
    header = json.loads((folder / 'begun' / '.map.tif.parts' / 'prediction.json').read_text())
    if isinstance(value, tuple):
        value = header | {value[0]: value[1]}
    if value == header:
        return
    (begun / 'prediction.json').write_text(json.dumps(value))
    code, error = predict(folder, begun.parent / 'map.tif')
    assert (code, error.count('\n')) == (1, 1), error
    assert '.map.tif.parts' in error
    assert '--overwrite' in error


def test_overwriting_begins_anew_whatever_the_header_says(folder: Path, begun: Path) -> None:
    (begun / 'prediction.json').write_text('[' * 100_000)
    assert predict(folder, begun.parent / 'map.tif')[0] == 1
    assert predict(folder, begun.parent / 'map.tif', '--overwrite') == (0, '')
