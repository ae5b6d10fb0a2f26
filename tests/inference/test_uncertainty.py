"""How sure a model is stands beside its map, and is that of the probabilities that made it."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import given
from hypothesis import strategies as st
from rio_cogeo.cogeo import cog_validate
from scipy.stats import entropy
from torch import Tensor

from gersp_geo.inference import predict_geotiff
from gersp_geo.inference.jobs import predict
from gersp_geo.inference.outputs.uncertainty import measure_uncertainty
from tests.inference.engines import noise, record_for, write_scene

OPTIONS: dict[str, Any] = {'size': 32, 'overlap': 8, 'progress': False, 'device': 'cpu'}


def read(path: Path) -> Any:
    with rasterio.open(path) as src:
        return src.read()


@given(classes=st.integers(2, 6), seed=st.integers(0, 99), sharpness=st.floats(0, 200))
def test_it_is_that_of_scipy(classes: int, seed: int, sharpness: float) -> None:
    logits = np.random.default_rng(seed).normal(size=(classes, 3, 5)) * sharpness
    scores = torch.from_numpy(logits).softmax(0)
    found = measure_uncertainty(scores).numpy()
    ordered = np.sort(scores.numpy(), axis=0)
    np.testing.assert_allclose(found[0], entropy(scores.numpy()) / np.log(classes), atol=1e-9)
    np.testing.assert_allclose(found[1], ordered[-1] - ordered[-2], atol=1e-9)
    if classes == 2:
        np.testing.assert_allclose(measure_uncertainty(scores[1:]).numpy(), found, atol=1e-9)


@pytest.mark.quick('uint8-hann')
@pytest.mark.parametrize('blend', ['hann', 'crop'])
@pytest.mark.parametrize('kind', ['float32', 'uint8'])
def test_it_belongs_to_the_probabilities_beside_it(
    tmp_path: Path, blend: str, kind: Literal['float32', 'uint8']
) -> None:
    def model(images: Tensor) -> Tensor:
        return 9 * images

    pixels = noise((3, 70, 90))
    pixels[:, 20:40, 30:60] = np.nan
    scene = write_scene(tmp_path / 'scene.tif', pixels)
    options: Any = OPTIONS | {'preprocessing': record_for(3), 'blend': blend}
    predict_geotiff(model, scene, tmp_path / 'plain.tif', **options)
    predict_geotiff(
        model, scene, tmp_path / 'map.tif', uncertainty=True, probability_type=kind,
        probabilities=tmp_path / 'shares.tif', **options,
    )  # fmt: skip
    np.testing.assert_array_equal(read(tmp_path / 'map.tif'), read(tmp_path / 'plain.tif'))
    predict_geotiff(model, scene, tmp_path / 'floats.tif', output='probabilities', **options)
    floats = read(tmp_path / 'floats.tif')
    ordered = np.sort(floats, axis=0)
    expected = np.stack([entropy(floats) / np.log(3), ordered[-1] - ordered[-2]])
    with rasterio.open(tmp_path / 'map_uncertainty.tif') as src:
        assert src.descriptions == ('entropy', 'margin')
        assert src.dtypes == (kind, kind)
        found = src.read(masked=True) * src.scales[0]
    assert (found.mask == np.isnan(expected)).all()
    np.testing.assert_allclose(
        found.filled(np.nan), expected, atol=1e-5 if kind == 'float32' else 0.5 / 254 + 1e-5
    )
    assert cog_validate(tmp_path / 'map_uncertainty.tif', strict=True)[0]


def test_what_has_no_classes_has_none(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / 'scene.tif', noise((3, 40, 40)))
    options: Any = OPTIONS | {'preprocessing': record_for(3), 'uncertainty': True}
    with pytest.raises(ValueError, match='uncertainty asks for a second map beside one of classes'):
        predict_geotiff(torch.relu, scene, tmp_path / 'map.tif', output='values', **options)
    with pytest.raises(ValueError, match='need a file of their own'):
        predict_geotiff(
            torch.relu, scene, tmp_path / 'map.tif',
            probabilities=tmp_path / 'map_uncertainty.tif', **options,
        )  # fmt: skip
    (tmp_path / 'map_uncertainty.tif').touch()
    with pytest.raises(FileExistsError, match=r'map_uncertainty\.tif exists'):
        predict_geotiff(torch.relu, scene, tmp_path / 'map.tif', **options)


def test_files_beside_the_maps_of_several_scenes_are_kept_apart(tmp_path: Path) -> None:
    (tmp_path / 'scenes').mkdir()
    options: Any = OPTIONS | {'preprocessing': record_for(3), 'uncertainty': True, 'consistency': 1}
    for name in ('a', 'b'):
        write_scene(tmp_path / 'scenes' / f'{name}.tif', noise((3, 40, 40)))
    predict('maps', torch.relu, [tmp_path / 'scenes'], tmp_path / 'maps', **options)
    ends = ('', '_agreement', '_uncertainty')
    expected = [f'{name}{end}.tif' for name in ('a', 'b') for end in ends]
    assert sorted(path.name for path in (tmp_path / 'maps').glob('*.tif')) == expected
    again = predict('maps', torch.relu, [tmp_path / 'scenes'], tmp_path / 'maps', **options)
    assert '0 of 2 scenes predicted, 2 before' in str(again)
    write_scene(tmp_path / 'scenes' / 'a_agreement.tif', noise((3, 40, 40)))
    with pytest.raises(ValueError, match=r'would both become .*a_agreement\.tif; rename one'):
        predict('maps', torch.relu, [tmp_path / 'scenes'], tmp_path / 'other', **options)
