"""Features that depend on weights and images alone, and are computed once."""

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from gersp_geo.comparison import features as module
from gersp_geo.comparison.candidates import open_features, parse_candidates
from gersp_geo.comparison.features import extract
from gersp_geo.comparison.image_sets import ImageSet
from gersp_geo.comparison.image_splits import SPLITS
from gersp_geo.comparison.records import Candidate, FeatureSet


@pytest.fixture(scope='module')
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    folder = tmp_path_factory.mktemp('images')
    generator = np.random.default_rng(0)
    for name in ('lake', 'road', 'wood'):
        (folder / name).mkdir()
        for i in range(10):
            pixels = generator.integers(0, 256, (20, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f'{i}.png')
    return ImageSet(folder, size=32)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """After it is called, whatever is not kept is an error."""

    def forbid(*args: object, **kwargs: object) -> None:
        raise AssertionError('features are computed')

    return lambda: monkeypatch.setattr(module, 'open_features', forbid)


def parts(found: FeatureSet) -> list[torch.Tensor]:
    assert found.val is not None
    return [found.train.features, found.val.features, found.test.features]


def one(word: str, **options: Any) -> Candidate:
    return parse_candidates([word], **options)[0]


def test_features_are_those_of_each_image_in_order(images: ImageSet, tmp_path: Path) -> None:
    candidate = one('random:test_resnet')
    counted: list[int] = []
    found = extract(candidate, images, cache=tmp_path, batch_size=4, advance=counted.append)
    assert sum(counted) == 30
    network = open_features(candidate, in_channels=3, size=32, record_of_data=images.record())
    for split in SPLITS:
        kept = getattr(found, split)
        assert torch.equal(kept.labels, images.labels(split))
        for i, features in enumerate(kept.features):
            with torch.no_grad():
                alone = network(images.read(split, i)[None])[0]
            torch.testing.assert_close(features, alone, rtol=1e-4, atol=1e-5)
    assert not found.train.features.requires_grad
    assert not found.train.features.is_inference()


@pytest.mark.parametrize('word', ['random:test_vit', 'mean-colours', 'image-statistics'])
def test_kept_features_are_the_same_and_need_no_network(
    images: ImageSet, tmp_path: Path, no_network: Callable[[], None], word: str
) -> None:
    first = parts(extract(one(word), images, cache=tmp_path, batch_size=7))
    no_network()
    counted: list[int] = []
    # neither labels nor batches make others
    again = extract(one(f'x={word}'), images, cache=tmp_path, advance=counted.append)
    assert all(map(torch.equal, first, parts(again)))
    assert sum(counted) == 30
    assert len(list(tmp_path.iterdir())) == 1


def test_whatever_features_depend_on_has_a_file_of_its_own(
    images: ImageSet, tmp_path: Path
) -> None:
    cache = tmp_path / 'cache'
    state = timm.create_model('test_resnet', num_classes=0).state_dict()
    path = tmp_path / 'x.safetensors'
    save_file(state, path, metadata={'model': 'test_resnet'})
    smaller = ImageSet(images.folder, size=16)
    drawn = ImageSet(images.folder, size=32, seed=1)
    given = one(str(path))
    cases: list[tuple[Candidate, ImageSet, dict[str, Any]]] = [
        (given, images, {}),
        (given, smaller, {}),
        (given, drawn, {}),
        (given, images, {'rgb_bands': (2, 1, 0)}),
        (one('random:test_resnet'), images, {}),
        (one('random:test_resnet', seed=1), images, {}),
    ]
    for candidate, of, options in cases:
        before = len(list(cache.glob('*')))
        first = extract(candidate, of, cache=cache, **options)
        assert len(list(cache.glob('*'))) == before + 1
        again = extract(candidate, of, cache=cache, **options)
        assert all(map(torch.equal, parts(first), parts(again)))


def test_rules_seeds_and_records_count_where_they_are_used(images: ImageSet) -> None:
    def describe(normalization: Any = 'data', **fields: Any) -> str:
        given: dict[str, Any] = {'label': 'x', 'source': 'x.pth', 'seed': 0, 'digest': '0' * 16}
        return repr(
            module.describe(
                Candidate(**given | fields), images, normalization=normalization, rgb_bands=None
            )
        )

    plain = describe()
    assert describe(label='y') == describe(seed=1) == plain
    assert describe(first_layer='mean') != plain
    assert describe(first_layer='random', seed=1) != describe(first_layer='random')
    assert describe('record') != plain
    for source in ('random:resnet18', 'mean-colours'):
        assert describe('record', source=source) == describe(source=source)


@pytest.mark.parametrize('damage', ['cut', 'other', 'foreign', 'nan'])
def test_a_damaged_file_is_made_anew(images: ImageSet, tmp_path: Path, damage: str) -> None:
    candidate = one('mean-colours')
    first = parts(extract(candidate, images, cache=tmp_path))
    (path,) = tmp_path.iterdir()
    if damage == 'cut':
        os.truncate(path, path.stat().st_size - 5)
    elif damage == 'other':
        save_file(load_file(path), path, metadata={module.KEY: '{}'})
    elif damage == 'nan':
        text = json.dumps(
            module.describe(candidate, images, normalization='data', rgb_bands=None), sort_keys=True
        )
        holes = {name: part * torch.nan for name, part in load_file(path).items()}
        save_file(holes, path, metadata={module.KEY: text})
    else:
        path.write_bytes(b'')
    with pytest.warns(UserWarning, match=r'safetensors is damaged \(.*and is made anew'):
        again = extract(candidate, images, cache=tmp_path)
    assert all(map(torch.equal, first, parts(again)))
    assert all(map(torch.equal, first, parts(extract(candidate, images, cache=tmp_path))))


def test_several_may_write_the_same(images: ImageSet, tmp_path: Path) -> None:
    candidate = one('mean-colours')
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: extract(candidate, images, cache=tmp_path), range(4)))
    assert all(torch.equal(parts(found[0])[2], parts(other)[2]) for other in found)
    assert len(list(tmp_path.iterdir())) == 1


def test_features_that_are_not_finite_name_their_image(images: ImageSet, tmp_path: Path) -> None:
    state = timm.create_model('test_resnet', num_classes=0).state_dict()
    state['conv1.0.weight'] = torch.full_like(state['conv1.0.weight'], 3e38)
    path = tmp_path / 'x.safetensors'
    save_file(state, path, metadata={'model': 'test_resnet'})
    with pytest.raises(ValueError, match=r'^x gives features of .*\.png that are not finite'):
        extract(one(str(path)), images, cache=tmp_path / 'cache')
    assert not (tmp_path / 'cache').exists()


def test_a_stopped_extraction_leaves_no_file(images: ImageSet, tmp_path: Path) -> None:
    def stop(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(one('mean-colours'), images, cache=tmp_path / 'cache', advance=stop)
    assert not (tmp_path / 'cache').exists()
