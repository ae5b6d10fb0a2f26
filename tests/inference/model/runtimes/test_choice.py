"""The form of a model is the fastest of those that return the same."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gersp_geo.inference.model.load import LoadedModel
from gersp_geo.inference.model.runtimes.availability import FORMS
from gersp_geo.inference.model.runtimes.choice import Choice, Chooser
from gersp_geo.inference.model.runtimes.forms import Setting
from gersp_geo.inference.model.runtimes.trials import Trial
from gersp_geo.inference.options import RuntimeName
from gersp_geo.preprocessing import Preprocessing

RECORD = Preprocessing(bands=('a', 'b', 'c'), scale=(1.0,) * 3, mean=(0.0,) * 3, std=(1.0,) * 3)


class Network(nn.Module):
    """A normalised layer and a head."""

    def __init__(self, *, noisy: bool = False) -> None:
        super().__init__()
        self.noisy = noisy
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Conv2d(8, 4, 1)

    def forward(self, images: Tensor) -> Tensor:
        stem = self.stem(images)
        normed: Tensor = self.norm(stem).relu()
        # some sample in evaluation too
        return self.head(F.dropout(normed) if self.noisy else normed)  # type: ignore[no-any-return]


def network(*, noisy: bool = False) -> nn.Module:
    torch.manual_seed(1)
    module = Network(noisy=noisy)
    assert module.norm.running_mean is not None
    module.norm.running_mean.fill_(0.5)
    return module.eval().requires_grad_(requires_grad=False)


def chooser(module: Any, *, batch: int = 3, forms: tuple[RuntimeName, ...] = FORMS[:2]) -> Chooser:
    loaded = LoadedModel(forward=module, scores='classes', preprocessing=RECORD, name='network')
    setting = Setting(device='cpu', precision='float32', size=32, batch_size=batch, threads=1)
    images = torch.randn(2, batch, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    return Chooser(loaded=loaded, setting=setting, batches=[*images], forms=forms)


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    'name',
    [
        'eager',
        'channels-last',
        'openvino',
        pytest.param('onnx', marks=SLOW),
        pytest.param('compiled', marks=SLOW),
    ],
)
def test_a_form_returns_the_same_for_full_and_for_other_batches(name: RuntimeName) -> None:
    if name == 'openvino':
        pytest.importorskip('openvino')
    module = network()
    with torch.inference_mode():
        tried = chooser(module, forms=FORMS)
        choice = tried.named(name)
        form = tried.built[name]
        for count in (3, 1):
            images = torch.randn(count, 3, 32, 32)
            torch.testing.assert_close(form.score(images), module(images), rtol=1e-4, atol=1e-4)
    assert choice.name == name
    assert (choice.trials[0].difference or 0) <= 1e-4


def test_short_jobs_take_bands_last_without_timing() -> None:
    with torch.inference_mode():
        choice = chooser(network()).fastest(patches=100)
    assert choice.name == 'channels-last'
    assert choice.trials[0].patch_seconds is None


def test_long_jobs_take_what_was_fastest() -> None:
    with torch.inference_mode():
        choice = chooser(network()).fastest(patches=10**9)
    times = {trial.name: trial.patch_seconds for trial in choice.trials}
    assert times.keys() == {'eager', 'channels-last', 'openvino', 'onnx', 'compiled'}
    known = {name: seconds for name, seconds in times.items() if seconds is not None}
    assert known.keys() == {'eager', 'channels-last'}
    assert choice.name == min(known, key=lambda name: known[name])


def test_what_was_timed_before_is_not_timed_again() -> None:
    before = [
        Trial(name='eager', patch_seconds=1.0, building_seconds=0.0),
        Trial(name='channels-last', patch_seconds=9.0, building_seconds=0.1),
    ]
    with torch.inference_mode():
        choice = chooser(network()).fastest(patches=100, known=before)
    assert choice.name == 'eager'
    assert [trial.patch_seconds for trial in choice.trials if trial.reason is None] == [1.0, 9.0]


def test_what_does_not_return_the_same_is_refused_with_the_figure() -> None:
    module = network(noisy=True)
    with torch.inference_mode():
        with pytest.raises(
            ValueError, match=r"'channels-last' does not return the same: values differ by"
        ):
            chooser(module).named('channels-last')
        choice = chooser(module).fastest(patches=100)
    assert choice.name == 'eager'
    assert 'values differ by' in str(choice)


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('compiled', r"runtime 'compiled' is for modules and graphs, and network is a function"),
        ('onnx', r"runtime 'onnx' is for modules and graphs"),
    ],
)
def test_a_function_runs_as_it_is(name: RuntimeName, message: str) -> None:
    def identity(images: Tensor) -> Tensor:
        return images

    tried = chooser(identity, forms=FORMS)
    assert tried.fastest(patches=100).name == 'eager'
    with pytest.raises(ValueError, match=message):
        tried.named(name)


def test_what_cannot_be_exported_is_said_in_one_line() -> None:
    pytest.importorskip('openvino')

    class Odd(nn.Module):
        """Takes another way for other values."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 2, 1)

        def forward(self, images: Tensor) -> Tensor:
            found: Tensor = self.layer(images)
            return found if float(images.mean()) > 0 else -found

    with torch.inference_mode(), pytest.raises(ValueError, match='cannot be made') as caught:
        chooser(Odd().eval(), forms=FORMS).named('openvino')
    assert '\n' not in str(caught.value)


def test_only_a_choice_is_read_as_one() -> None:
    choice = Choice(name='onnx', trials=(Trial(name='onnx', patch_seconds=0.5),))
    trial = {
        'name': 'onnx', 'patch_seconds': 0.5, 'building_seconds': None, 'difference': None,
        'reason': None, 'is_final': True,
    }  # fmt: skip
    assert Choice.of('onnx', [trial]) == choice
    for name, trials in (
        ('fast', []), (3, []), ('onnx', None), ('onnx', [3]), ('onnx', [{}]),
        ('onnx', [trial | {'patch_seconds': 'long'}]), ('onnx', [trial | {'name': []}]),
        ('onnx', [trial | {'more': 1}]),
    ):  # fmt: skip
        assert Choice.of(name, trials) is None
