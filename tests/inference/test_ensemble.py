"""Several checkpoints make one map, of the average of what each says."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn
from torchgeo.tasks import PixelwiseRegression, SemanticSegmentation

from gersp_geo.geoio.fingerprints import read_fingerprint
from gersp_geo.inference import predict_geotiff
from gersp_geo.inference.model.ensemble import Ensemble, join_models
from gersp_geo.inference.model.load import LoadedModel
from gersp_geo.inference.model.signature import Scores
from gersp_geo.preprocessing import Preprocessing
from tests.inference.engines import noise, write_scene

RECORD = Preprocessing(
    bands=('red', 'green', 'blue'), scale=(1.0,) * 3, mean=(0.5,) * 3, std=(0.3,) * 3,
    class_names=('field', 'water'), task_class='torchgeo.tasks.SemanticSegmentation',
)  # fmt: skip
ONES: dict[str, Any] = {'device': 'cpu', 'progress': False, 'size': 64, 'overlap': 16}


def save(path: Path, *, seed: int, task: Any = SemanticSegmentation, **changes: Any) -> Path:
    torch.manual_seed(seed)
    arguments: dict[str, Any] = {'model': 'fcn', 'num_filters': 4}
    if task is SemanticSegmentation:
        arguments['num_classes'] = 2
    built = task(**arguments)
    # as after training: logits of random weights hardly differ
    with torch.no_grad():
        for weights in built.parameters():
            weights *= 3
    record = replace(RECORD, task_class=f'torchgeo.tasks.{task.__name__}', **changes)
    content = {'state_dict': built.state_dict(), 'hyper_parameters': arguments}
    torch.save(content | {'gersp_geo': record.to_dict()}, path)
    return path


def read(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as src:
        pixels: NDArray[Any] = src.read()
    return pixels


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return write_scene(tmp_path / 'scene.tif', noise((3, 90, 120)))


@pytest.mark.quick('hann')
@pytest.mark.parametrize('blend', ['hann', 'crop'])
def test_probabilities_are_the_mean_of_those_of_each(
    scene: Path, tmp_path: Path, blend: str
) -> None:
    paths = [save(tmp_path / f'{seed}.ckpt', seed=seed) for seed in range(3)]
    options: Any = ONES | {'blend': blend}
    for path in paths:
        predict_geotiff(path, scene, path.with_suffix('.tif'), output='probabilities', **options)
    predict_geotiff(
        paths[0], scene, tmp_path / 'map.tif', ensemble=tuple(paths[1:]), uncertainty=True,
        probabilities=tmp_path / 'p.tif', **options,
    )  # fmt: skip
    mean = np.mean([read(path.with_suffix('.tif')) for path in paths], axis=0)
    np.testing.assert_allclose(read(tmp_path / 'p.tif'), mean, atol=2e-6)
    differ = read(tmp_path / 'map.tif')[0] != mean.argmax(0)
    assert (np.ptp(mean, axis=0)[differ] < 1e-5).all()
    assert read(tmp_path / 'map_uncertainty.tif').shape == (2, 90, 120)
    with rasterio.open(tmp_path / 'map.tif') as src:
        assert src.tags()['MODEL'] == '0.ckpt + 1.ckpt + 2.ckpt'
    assert read_fingerprint(tmp_path / 'map.tif') != read_fingerprint(paths[0].with_suffix('.tif'))


def test_values_are_averaged_too(scene: Path, tmp_path: Path) -> None:
    regression: Any = {'task': PixelwiseRegression, 'class_names': ('height',), 'units': ('m',)}
    paths = [save(tmp_path / f'{seed}.ckpt', seed=seed, **regression) for seed in range(2)]
    for path in paths:
        predict_geotiff(path, scene, path.with_suffix('.tif'), **ONES)
    predict_geotiff(paths[0], scene, tmp_path / 'map.tif', ensemble=(paths[1],), **ONES)
    mean = np.mean([read(path.with_suffix('.tif')) for path in paths], axis=0)
    np.testing.assert_allclose(read(tmp_path / 'map.tif'), mean, rtol=1e-4, atol=1e-5)


@given(
    seed=st.integers(0, 99), channels=st.integers(1, 4), count=st.integers(2, 4),
    scale=st.floats(0, 60), scores=st.sampled_from(['classes', 'labels', 'values']),
)  # fmt: skip
def test_the_average_is_given_as_scores_of_one_model(
    seed: int, channels: int, count: int, scale: float, scores: Scores
) -> None:
    torch.manual_seed(seed)
    each = torch.randn(count, 2, channels, 3, 3) * scale
    activate: Callable[[Tensor], Tensor] = torch.sigmoid
    if scores == 'values':
        activate = torch.clone
    elif scores == 'classes' and channels > 1:
        activate = lambda logits: logits.softmax(1)
    members = [Fixed(logits) for logits in each]
    found = activate(Ensemble(members, scores=scores)(torch.zeros(2, 1, 3, 3)))
    expected = torch.stack([activate(logits) for logits in each]).mean(0)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


class Fixed(nn.Module):
    """Returns the same, whatever it sees."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, images: Tensor) -> Tensor:
        return self.logits


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        (
            {'class_names': ('field', 'lake')},
            r'agree in class_names, but 0.ckpt has \(.field., .wat',
        ),
        ({'bands': ('red', 'green', 'nir')}, 'agree in bands'),
        ({'mean': (0.4,) * 3}, r'agree in mean.* \(--preprocessing\)'),
        ({'task': PixelwiseRegression}, 'agree in scores'),
    ],
    ids=lambda case: str(*case) if isinstance(case, dict) else '',
)
def test_what_does_not_go_together_is_refused_before_the_work(
    scene: Path, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    first = save(tmp_path / '0.ckpt', seed=0)
    second = save(tmp_path / '1.ckpt', **{'seed': 1, **changes})
    with pytest.raises(ValueError, match=reason) as error:
        predict_geotiff(first, scene, tmp_path / 'map.tif', ensemble=(second,), **ONES)
    assert '\n' not in str(error.value)
    assert not (tmp_path / 'map.tif').exists()


def test_a_model_counts_once(scene: Path, tmp_path: Path) -> None:
    path = save(tmp_path / '0.ckpt', seed=0)
    copy = tmp_path / '1.ckpt'
    copy.write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match=r'1\.ckpt holds the same model as 0\.ckpt; leave one out'):
        predict_geotiff(path, scene, tmp_path / 'map.tif', ensemble=(copy,), **ONES)
    with pytest.raises(TypeError, match=r"ensemble must be a list of files, got '1\.ckpt'"):
        predict_geotiff(path, scene, tmp_path / 'map.tif', ensemble='1.ckpt', **ONES)  # type: ignore[arg-type]


def test_members_of_other_shapes_and_graphs_are_refused() -> None:
    loaded = LoadedModel(
        forward=Fixed(torch.zeros(1, 2, 3, 3)), scores='classes', preprocessing=RECORD, name='a'
    )
    other = replace(loaded, forward=Fixed(torch.zeros(1, 3, 3, 3)), name='b')
    joined = join_models([loaded, other])
    with pytest.raises(ValueError, match='must return one shape'):
        joined.score(torch.zeros(1, 3, 3, 3))
    with pytest.raises(ValueError, match='made of checkpoints, and c is none'):
        join_models([loaded, replace(loaded, forward=torch.relu, name='c')])
