"""Models that are damaged, or say something else than they should, answer in one line."""

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rasterio.transform import from_origin
from safetensors.torch import save_file
from torchgeo.tasks import SemanticSegmentation

from gersp_geo.geoio.write.geotiff import write_raster
from gersp_geo.main import main
from gersp_geo.models.checkpoint_files import parse_preprocessing

RECORD: dict[str, Any] = {
    'bands': ['red', 'green', 'blue'], 'scale': [1 / 255] * 3, 'mean': [0.5] * 3, 'std': [0.2] * 3,
    'class_names': ['land', 'water'], 'task_class': 'torchgeo.tasks.SemanticSegmentation',
}  # fmt: skip

# words, lists and nested lists where numbers are meant, and what JSON says beside numbers
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small checkpoint, a graph, weights and a scene."""
    folder = tmp_path_factory.mktemp('models')
    task = SemanticSegmentation('fcn', num_classes=2, num_filters=2)
    saved: dict[str, Any] = {
        'state_dict': task.state_dict(),
        'hyper_parameters': dict(task.hparams),
    }
    saved |= {'gersp_geo': RECORD, 'pytorch-lightning_version': '2.6.0'}
    torch.save(saved, folder / 'model.ckpt')
    torch.save(task.state_dict(), folder / 'model.pth')
    save_file(dict(task.state_dict()), folder / 'model.safetensors')
    pixels = np.full((3, 32, 32), 7, dtype=np.uint8)
    transform = from_origin(4e5, 5e6, 10, 10)
    write_raster(folder / 'scene.tif', pixels, crs='EPSG:32633', transform=transform)
    return folder


def ask(*words: str | Path) -> tuple[int, str]:
    """Run a command; return exit code and what it says on the error stream."""
    with (
        contextlib.redirect_stderr(io.StringIO()) as error,
        contextlib.redirect_stdout(io.StringIO()),
    ):
        code = main([str(word) for word in words])
    return code, error.getvalue()


def refusal(*words: str | Path) -> str:
    """Run, expect one line and exit code 1."""
    code, error = ask(*words)
    assert code == 1, words
    assert error.startswith('gersp-geo: error: ')
    assert error.count('\n') == 1
    return error


def cut(content: bytes, place: float) -> bytes:
    return content[: int(len(content) * place)]


def flip(content: bytes, place: float) -> bytes:
    """Turn some bytes over, as a bad copy does."""
    start = int((len(content) - 64) * place)
    return (
        content[:start]
        + bytes(b ^ 0xFF for b in content[start : start + 64])
        + content[start + 64 :]
    )


@pytest.mark.parametrize('place', [0.0, 0.02, 0.5, 0.95])
@pytest.mark.parametrize('damage', [cut, flip])
@pytest.mark.parametrize('name', ['model.ckpt', 'model.pth', 'model.safetensors', 'model.onnx'])
def test_a_model_that_is_damaged(
    name: str, damage: Callable[[bytes, float], bytes], place: float, folder: Path, tmp_path: Path
) -> None:
    if name == 'model.onnx':
        pytest.importorskip('onnxruntime')
    # a graph as its bytes: any content will do for one that cannot be read
    source = folder / name.replace('.onnx', '.ckpt')
    bad = tmp_path / name
    bad.write_bytes(damage(source.read_bytes(), place))
    for task, final in (('auto', 'map.tif'), ('embed', 'vectors.parquet')):
        words: list[str | Path] = ['predict', bad, folder / 'scene.tif', '-o', tmp_path / final]
        words += ['--task', task, '--size', '32', '--device', 'cpu', '--no-progress']
        assert name in refusal(*words)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('scale', ['a', 'b', 'c']), ('scale', [float('nan')] * 3), ('mean', [None] * 3),
        ('mean', [10**400] * 3), ('std', [-1, 1, 1]), ('std', [[1], [1], [1]]), ('std', 'abc'), ('std', 3),
        ('bands', []), ('bands', 'rgb'), ('bands', [1, 2, 3]), ('size', 'large'), ('size', [512]),
        ('nodata', 'none'), ('class_names', 'land'), ('class_names', [1, 2]), ('class_names', ['a\0', 'b']),
        ('class_colors', [[1, 2], [3, 4]]), ('class_colors', [[1, 2, 'x'], [0, 0, 0]]), ('class_colors', 7),
        ('task_class', 7), ('task_class', ['a']), ('dtype', 8), ('res_m', {}),
    ],
)  # fmt: skip
@pytest.mark.parametrize('place', ['checkpoint', 'file'])
def test_words_for_numbers_in_a_record(
    place: str, name: str, value: object, folder: Path, tmp_path: Path
) -> None:
    record = RECORD | {name: value}
    words: list[str | Path] = [
        'plan',
        folder / 'model.ckpt',
        folder / 'scene.tif',
        '-o',
        tmp_path / 'map.tif',
    ]
    if place == 'file':
        (tmp_path / 'record.json').write_text(json.dumps(record))
        words += ['--preprocessing', tmp_path / 'record.json']
    else:
        saved = torch.load(folder / 'model.ckpt', weights_only=True)
        torch.save(saved | {'gersp_geo': record}, tmp_path / 'bad.ckpt')
        words[1] = tmp_path / 'bad.ckpt'
    error = refusal(*words)
    assert ('record.json' if place == 'file' else 'bad.ckpt') in error
    assert f'{name} must ' in error


@given(st.sampled_from(sorted(RECORD)), JSON)
def test_a_record_is_read_or_refused_in_one_line(name: str, value: object) -> None:
    for record in (value, RECORD | {name: value}):
        with contextlib.suppress(ValueError):
            found = parse_preprocessing(record, source='model.ckpt')
            assert np.isfinite([*found.scale, *found.mean, *found.std]).all()
            assert all(isinstance(text, str) for text in (*found.bands, *found.class_names))


@pytest.mark.parametrize(
    'text', ['', 'no json', '[' * 100_000, '[]', '7', 'null', '"text"', '{"bands": 1}']
)
def test_a_file_that_is_no_record(text: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / 'record.json').write_text(text)
    words: list[str | Path] = [
        'plan',
        folder / 'model.ckpt',
        folder / 'scene.tif',
        '-o',
        tmp_path / 'map.tif',
    ]
    assert 'record.json' in refusal(*words, '--preprocessing', tmp_path / 'record.json')


@given(
    key=st.sampled_from(['hyper_parameters', 'state_dict', 'gersp_geo']),
    name=st.sampled_from(['model', 'num_classes', 'num_filters', 'task', 'loss', 'ignore_index']),
    value=JSON,
    whole=st.booleans(),
)
def test_a_checkpoint_with_other_content(
    key: str, name: str, value: object, whole: bool, folder: Path, tmp_path: Path
) -> None:
    saved = torch.load(folder / 'model.ckpt', weights_only=True)
    saved[key] = value if whole else dict(saved[key]) | {name: value}
    torch.save(saved, tmp_path / 'bad.ckpt')
    words: list[str | Path] = [
        'plan',
        tmp_path / 'bad.ckpt',
        folder / 'scene.tif',
        '-o',
        tmp_path / 'map.tif',
    ]
    code, error = ask(*words, '--size', '32', '--device', 'cpu')
    assert code == 0 or (error.startswith('gersp-geo: error: ') and error.count('\n') == 1)
