"""Laws of the check of a graph: it is compared with what prediction makes of the model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gersp_geo.inference.exporting.graph import WholeModel, write_whole
from gersp_geo.inference.model.graph_form import GraphForm
from gersp_geo.inference.model.load import LoadedModel, load_model
from gersp_geo.preprocessing import Preprocessing

RECORD = Preprocessing(
    bands=('red', 'nir'), scale=(1 / 255,) * 2, mean=(0.4, 0.5), std=(0.2, 0.3), dtype='uint8'
)
FOLDED = GraphForm(factor=1 / 255, record=RECORD, returned='softmax')
right_folding: Callable[[WholeModel, Tensor], Tensor] = vars(WholeModel)['_normalise']


def model() -> LoadedModel:
    torch.manual_seed(0)
    return load_model(nn.Conv2d(2, 3, 3, padding=1).eval(), preprocessing=RECORD)


def write(form: GraphForm, path: Path, loaded: LoadedModel | None = None) -> None:
    with torch.no_grad():
        write_whole(loaded or model(), form, path, side=64, is_fixed=True, record={})


def _forget_deviation(self: WholeModel, images: Tensor) -> Tensor:
    return torch.nan_to_num(images * self.get_buffer('scale') - self.get_buffer('mean'))


def _forget_the_mean_of_what_is_missing(self: WholeModel, images: Tensor) -> Tensor:
    scale, mean, std = (self.get_buffer(name) for name in ('scale', 'mean', 'std'))
    return (torch.nan_to_num(images) * scale - mean) / std


def _swap_bands(self: WholeModel, images: Tensor) -> Tensor:
    return right_folding(self, images).flip(1)


@pytest.mark.parametrize(
    'wrong', [_forget_deviation, _forget_the_mean_of_what_is_missing, _swap_bands]
)
def test_what_is_folded_in_wrongly_shows(
    wrong: Callable[[Any, Tensor], Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WholeModel, '_normalise', wrong)
    with pytest.raises(ValueError, match='cannot be written as a graph: its scores differ by'):
        write(FOLDED, tmp_path / 'a.onnx')


@pytest.mark.parametrize(
    ('form', 'wrong'),
    [
        (GraphForm(), lambda self, images: self.network(images) + 0.1),
        (FOLDED, lambda self, images: self.network(self._normalise(images)).sigmoid()),
    ],
    ids=['scores', 'probabilities'],
)
def test_other_scores_than_those_of_the_model_show(
    form: GraphForm,
    wrong: Callable[[Any, Tensor], Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(WholeModel, 'forward', wrong)
    with pytest.raises(ValueError, match='cannot be written as a graph: its scores differ by'):
        write(form, tmp_path / 'a.onnx')


def test_scores_that_are_large_everywhere_hide_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = model()
    assert isinstance(loaded.forward, nn.Conv2d)
    assert loaded.forward.bias is not None
    loaded.forward.bias.data += 1000
    write(GraphForm(), tmp_path / 'a.onnx', loaded)
    monkeypatch.setattr(WholeModel, 'forward', lambda self, images: self.network(images * 0.9))
    with pytest.raises(ValueError, match='its scores differ by'):
        write(GraphForm(), tmp_path / 'b.onnx', loaded)
