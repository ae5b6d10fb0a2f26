"""Laws that need torchgeo-bench itself, which `make parity` installs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gersp_geo.comparison import linear_probe, neighbours
from gersp_geo.comparison.intervals import bootstrap
from gersp_geo.comparison.records import Split
from gersp_geo.models.exporting import export_backbone

bench: Any = pytest.importorskip('torchgeo_bench')
hydra: Any = pytest.importorskip('hydra')
EXAMPLE = Path(__file__).parents[2] / 'docs/torchgeo_bench'


@given(
    st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40), st.integers(1, 4),
    st.integers(1, 9),
)  # fmt: skip
def test_neighbours_among_ties_and_copies_are_those_of_its_classifier(
    seed: int, count: int, size: int, width: int, k: int
) -> None:
    rng = np.random.default_rng(seed)
    rows, bank = (rng.integers(0, 3, (n, width)).astype(np.float32) for n in (count, size))
    labels = rng.integers(0, 4, size) * 3
    expected = bench.knn.KNNClassifier(k).fit(bank, labels).predict(rows)
    found = neighbours.classify(
        torch.from_numpy(rows),
        bank=torch.from_numpy(bank),
        bank_labels=torch.from_numpy(labels),
        k=k,
    )
    assert found.classes.tolist() == expected.tolist()


@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.integers(2, 30), st.floats(0.1, 10))
def test_linear_probe_is_its_sweep_to_the_bit(
    seed: int, size: int, width: int, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(3):
        labels = np.append(rng.integers(0, 3, size), (0, 2))
        features = (labels[:, None] + scale * rng.normal(size=(size + 2, width))).astype(np.float32)
        parts.append((features, labels))
    costs = (1e-3, 0.1, 1.0, 100.0)
    (*_, best), accuracy = _sweep(parts, costs)
    splits = [Split(features=torch.from_numpy(x), labels=torch.from_numpy(y)) for x, y in parts]
    found = linear_probe.probe(*splits, costs=costs)
    assert found.chosen['C'] == best
    interval = bootstrap(found.predictions == parts[2][1])
    assert (interval.value, interval.low, interval.high) == pytest.approx(accuracy)


def _sweep(parts: list[Any], costs: tuple[float, ...]) -> tuple[tuple[float, ...], Any]:
    """Give C, and accuracy with its interval, of its own linear probe."""
    given = [array for part in parts for array in part]
    found = bench.main.evaluate_logistic(
        *given,
        c_values=costs,
        seed=0,
        n_bootstrap=200,
        merge_val=True,
        device='cpu',
        temp_scale=False,
    )
    return (found[3],), found[:3]


@pytest.fixture
def open_example(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, list[Any]], Any]:
    monkeypatch.syspath_prepend(EXAMPLE)

    def build(weights: Path, bands: list[Any]) -> Any:
        with hydra.initialize_config_module('torchgeo_bench.conf', version_base=None):
            config = hydra.compose(
                'config', overrides=[
                    f'hydra.searchpath=[file://{EXAMPLE}]', 'model=gersp', f'model.weights={weights}',
                    'dataset.image_size=64',
                ],
            )  # fmt: skip
        return hydra.utils.instantiate(config.model, bands=bands, normalization='bandspec_zscore')

    return build


@pytest.mark.parametrize(
    ('form', 'name'),
    [
        ('torchvision', 'a.safetensors'),
        ('timm', 'a'),
        ('torchgeo', 'a.ckpt'),
        ('openmmlab', 'a.pth'),
    ],
)
def test_each_exported_format_gives_the_features_of_its_backbone(
    tmp_path: Path, open_example: Callable[[Path, list[Any]], Any], form: Any, name: str
) -> None:
    backbone = timm.create_model('resnet18', num_classes=0).eval()
    export_backbone(backbone.state_dict(), tmp_path / name, format=form)
    eurosat = bench.datasets.get_bench_dataset_class('m-eurosat')()
    bands = eurosat.select_band_specs(('red', 'green', 'blue'))
    model = open_example(tmp_path / name, bands).eval()
    images = 3000 * torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected: Tensor = backbone(model.normalize_inputs(images))
        assert model(images).numpy() == pytest.approx(expected.numpy(), rel=1e-4, abs=1e-5)


def test_red_green_and_blue_keep_their_filters_among_all_bands(
    tmp_path: Path, open_example: Callable[[Path, list[Any]], Any]
) -> None:
    backbone: Any = timm.create_model('resnet18', num_classes=0).eval()
    export_backbone(backbone.state_dict(), tmp_path / 'a.ckpt', format='torchgeo')
    bands = bench.datasets.get_bench_dataset_class('m-eurosat')().bands
    model = open_example(tmp_path / 'a.ckpt', bands).eval()
    filters = model.backbone.conv1.weight
    assert filters.shape[1] == len(bands) == 13
    ratio = filters[:, [3, 2, 1]] / backbone.conv1.weight
    assert ratio.detach().numpy() == pytest.approx(float(ratio.flatten()[0].detach()), rel=1e-4)
    assert model(torch.rand(2, 13, 64, 64)).shape == (2, 512)
