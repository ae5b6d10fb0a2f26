from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, cast

import pytest
import torch

from gersp_geo.inference.model.exactness import exact_floats
from gersp_geo.inference.model.load import evaluating

backends: Any = torch.backends

KINDS = (
    backends, backends.cudnn, backends.mkldnn, backends.cudnn.conv, backends.cudnn.rnn,
    backends.cuda.matmul, backends.mkldnn.conv, backends.mkldnn.matmul,
)  # fmt: skip


def older(read: Callable[[], object]) -> object:
    try:
        return read()
    except RuntimeError:
        return 'refused'


def settings() -> list[object]:
    older_ones = (
        lambda: backends.cudnn.allow_tf32,
        lambda: backends.cuda.matmul.allow_tf32,
        torch.get_float32_matmul_precision,
    )
    return [*map(older, older_ones), *(kind.fp32_precision for kind in KINDS)]


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Undo what a test sets: the outer names first, which change the inner ones."""
    before = [kind.fp32_precision for kind in KINDS]
    older_one = older(lambda: backends.cudnn.allow_tf32)
    yield
    torch.set_float32_matmul_precision('highest')
    backends.cudnn.allow_tf32 = older_one is not False
    for kind, value in zip(KINDS, before, strict=True):
        kind.fp32_precision = value


def set_older() -> None:
    backends.cudnn.allow_tf32 = False
    backends.cuda.matmul.allow_tf32 = True


def set_newer() -> None:
    backends.cudnn.conv.fp32_precision = 'ieee'
    backends.cuda.matmul.fp32_precision = 'tf32'
    backends.mkldnn.matmul.fp32_precision = 'bf16'


@pytest.mark.parametrize(
    'choose',
    [
        lambda: None,
        lambda: torch.set_float32_matmul_precision('medium'),
        set_older,
        set_newer,
        lambda: setattr(backends, 'fp32_precision', 'tf32'),
    ],
    ids=['nothing', 'products', 'older names', 'newer names', 'all'],
)
def test_all_bits_are_kept_and_what_was_set_comes_back(choose: Callable[[], None]) -> None:
    choose()
    before = settings()
    with exact_floats():
        # compiled code reads the older names too
        assert settings()[:3] == [False, False, 'highest']
        assert {kind.fp32_precision for kind in KINDS[3:]} == {'ieee'}
    assert settings() == before


def test_whatever_was_set_comes_back() -> None:
    values = ('none', 'ieee', 'tf32')
    for older_one, *newer in product(('highest', 'medium'), (True, False), *[values] * 3):
        torch.set_float32_matmul_precision(cast(str, older_one))
        backends.cudnn.allow_tf32 = newer[0]
        for kind, value in zip((*KINDS[3:5], backends.mkldnn.matmul), newer[1:], strict=True):
            kind.fp32_precision = value
        before = settings()
        with exact_floats():
            assert settings()[:3] == [False, False, 'highest']
        assert settings() == before


def test_bits_are_kept_until_the_last_of_several_threads_is_done() -> None:
    before = settings()
    first, second = exact_floats(), exact_floats()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert backends.cudnn.conv.fp32_precision == 'ieee'
    second.__exit__(None, None, None)
    assert settings() == before


def test_models_are_evaluated_exactly() -> None:
    with evaluating(torch.nn.Identity()):
        assert backends.cudnn.conv.fp32_precision == 'ieee'
        assert backends.cuda.matmul.fp32_precision == 'ieee'
