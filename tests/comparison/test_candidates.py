"""Words become candidates, or are refused in one line before any image is read."""

import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from gersp_geo.comparison.candidates import open_features, parse_candidates
from gersp_geo.comparison.fitting import check_fit, plain_record
from gersp_geo.comparison.records import Candidate
from gersp_geo.models.backbone_weights import BackboneWeights
from gersp_geo.preprocessing import Preprocessing

COLORS = ('red', 'green', 'blue')
MANY = ('B2', 'B3', 'B4', 'B8', 'B11')
STATISTICS: dict[str, Any] = {
    'scale': (1.0,) * 3,
    'mean': (90.0, 100.0, 80.0),
    'std': (40.0, 30.0, 20.0),
}
RECORD = Preprocessing(bands=COLORS, dtype='uint8', **STATISTICS)
OWN = {
    'bands': list(COLORS),
    'scale': [1 / 255] * 3,
    'mean': [0.4, 0.5, 0.6],
    'std': [0.1, 0.2, 0.3],
}


@pytest.fixture(scope='module')
def network() -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model('test_resnet', num_classes=0).eval()


@pytest.fixture(scope='module')
def made(tmp_path_factory: pytest.TempPathFactory, network: nn.Module) -> Path:
    """One backbone in three formats, another one, and what is none."""
    folder = tmp_path_factory.mktemp('weights')
    state = network.state_dict()
    (folder / 'b').mkdir()
    (folder / 'b' / 'config.json').write_text('{"architecture": "test_resnet"}')
    for name in ('a', 'b/model'):
        save_file(state, folder / f'{name}.safetensors', metadata={'model': 'test_resnet'})
    renamed = {f'model.{name}': tensor for name, tensor in state.items()}
    torch.save(
        {'state_dict': renamed, 'hyper_parameters': {'model': 'test_resnet'}, 'gersp_geo': OWN,
         'pytorch-lightning_version': '2'},
        folder / 'epoch=3.ckpt',
    )  # fmt: skip
    other = state | {'bn1.bias': state['bn1.bias'] + 1}
    save_file(other, folder / 'other.safetensors', metadata={'model': 'test_resnet'})
    transformer = timm.create_model('test_vit', num_classes=0)
    torch.save(transformer.state_dict(), folder / 'unnamed.pth')
    return folder


@pytest.fixture(autouse=True)
def here(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made)


def parse(*words: str, **options: Any) -> tuple[Candidate, ...]:
    return parse_candidates(words, **options)


def test_a_digest_is_of_the_weights_and_not_of_their_file() -> None:
    one, two, three, other = parse('a.safetensors', 'b', 'epoch=3.ckpt', 'other.safetensors')
    assert one.digest == two.digest == three.digest != other.digest
    assert [c.label for c in (one, two, three, other)] == ['a', 'b', 'epoch=3', 'other']


def test_a_digest_is_of_what_is_used_of_the_record(network: nn.Module, tmp_path: Path) -> None:
    state = {f'model.{name}': tensor for name, tensor in network.state_dict().items()}
    records = {
        'own': OWN,
        'darker': OWN | {'mean': [0.3, 0.5, 0.6]},
        'turned': OWN | {'bands': ['blue', 'green', 'red']},
    }
    for name, record in records.items():
        torch.save(
            {'state_dict': state, 'hyper_parameters': {'model': 'test_resnet'}, 'gersp_geo': record,
             'pytorch-lightning_version': '2'},
            tmp_path / f'{name}.ckpt',
        )  # fmt: skip
    paths = [str(tmp_path / f'{name}.ckpt') for name in records]
    own, darker, turned = parse(*paths)
    assert own.digest == darker.digest == parse('a.safetensors')[0].digest
    # filters of blue are elsewhere
    assert turned.digest != own.digest
    found = parse(*paths, normalization='record')
    assert len({candidate.digest for candidate in found}) == 3
    features(found[1], IMAGES, normalization='record')


def test_candidates_of_one_label_are_its_seeds() -> None:
    words = [
        'ours=a.safetensors',
        'random:test_resnet',
        'ours=other.safetensors',
        'random:test_resnet',
        'm=mean-colours',
    ]
    found = parse(*words, seed=4)
    assert [(c.label, c.seed) for c in found] == [
        ('ours', 4), ('random:test_resnet', 4), ('ours', 5), ('random:test_resnet', 5), ('m', 4),
    ]  # fmt: skip
    assert len({c.digest for c in found}) == len(found)
    assert found == parse(*words, seed=4)


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        ((), 'nothing to compare'),
        (('x=a.safetensors', 'x=b'), r'x is given twice: x=a\.safetensors and x=b hold'),
        (('mean-colours', 'mean-colours'), 'mean-colours is given twice'),
        (('nothing.pth',), r'nothing\.pth: there is no file or folder nothing\.pth'),
        (('runs/lr=1/last.ckpt',), 'there is no file or folder runs/lr=1/last.ckpt'),
        (('x=nothing.pth',), r'x=nothing\.pth: there is no file or folder nothing\.pth'),
        (('=a.safetensors',), 'a label is printable text'),
        (('random:resnet17',), "timm has no model 'resnet17'"),
        (('random:hf-hub:some/body',), "timm has no model 'hf-hub:some/body'"),
        (('unnamed.pth',), r'unnamed\.pth does not say which backbone it holds'),
        (('Some_Weights.NONE',), r'Some_Weights\.NONE is neither a file nor registered weights'),
    ],
)
def test_what_cannot_be_judged_is_refused(words: Sequence[str], message: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        parse(*words)
    assert '\n' not in str(caught.value)


def test_two_files_of_one_name_are_not_taken_for_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(('a.safetensors', 'other.safetensors')):
        (tmp_path / f'run{number}').mkdir()
        (tmp_path / f'run{number}' / 'last.safetensors').symlink_to(made / name)
    with pytest.raises(ValueError, match="would both be called 'last'; write LABEL="):
        parse('run0/last.safetensors', 'run1/last.safetensors')
    assert [c.label for c in parse('x=run0/last.safetensors', 'x=run1/last.safetensors')] == [
        'x',
        'x',
    ]


def test_a_file_is_no_seed_of_a_label_by_the_chance_of_its_name(made: Path) -> None:
    with pytest.raises(ValueError, match="would both be called 'a'; write LABEL=a\\.safetensors"):
        parse('a=other.safetensors', 'a.safetensors')
    # one file by two paths is given twice
    with pytest.raises(ValueError, match='a is given twice'):
        parse('a.safetensors', str(made / 'a.safetensors'))


def test_the_folder_one_is_in_is_called_by_its_name(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made / 'b')
    assert [parse(word)[0].label for word in ('.', './', '../b')] == ['b', 'b', 'b']


def test_a_word_that_means_two_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ('x=a.safetensors', 'a.safetensors'):
        (tmp_path / name).symlink_to(made / 'a.safetensors')
    with pytest.raises(
        ValueError, match=r'x=a\.safetensors is a file, and a\.safetensors with the label x'
    ):
        parse('x=a.safetensors')
    assert parse('./x=a.safetensors')[0].label == 'x=a'


def test_first_layers_multiply_weights_for_three_bands_alone() -> None:
    words = ['a.safetensors', 'random:test_resnet', 'mean-colours']
    rules: Any = ('scaled', 'repeat', 'random')
    found = parse(*words, first_layers=rules, bands=MANY)
    assert [(c.label, c.first_layer) for c in found] == [
        ('a (scaled)', 'scaled'), ('a (repeat)', 'repeat'), ('a (random)', 'random'),
        ('random:test_resnet', 'scaled'), ('mean-colours', 'scaled'),
    ]  # fmt: skip
    assert [c.label for c in parse('a.safetensors', first_layers=('mean',), bands=MANY)] == ['a']
    twice: Any = ('mean', 'mean')
    assert [c.label for c in parse('a.safetensors', first_layers=twice, bands=MANY)] == ['a']
    with pytest.warns(UserWarning, match='first layers scaled, repeat, random do nothing'):
        assert len(parse(*words, first_layers=rules, bands=COLORS)) == 3


def test_images_that_weights_cannot_read_are_refused() -> None:
    unnamed = tuple(f'band_{i}' for i in range(1, 14))
    with pytest.raises(
        ValueError, match=r'do not tell which are red, .* a\.safetensors reads; pass rgb_'
    ):
        parse('a.safetensors', bands=unnamed)
    assert parse('a.safetensors', bands=unnamed, rgb_bands=(3, 2, 1))
    assert parse('a.safetensors', bands=unnamed, first_layers=('repeat',))
    with pytest.raises(ValueError, match=r'rgb_bands must be three different bands in \[0, 13\)'):
        parse('a.safetensors', bands=unnamed, rgb_bands=(3, 2, 13))
    with pytest.raises(ValueError, match=r'reads the bands B2 B3 B4 B8 B11 in this order'):
        check_fit(
            parse('mean-colours')[0],
            BackboneWeights(state_dict={}, model='test_resnet', in_channels=5,
                            preprocessing=plain_record(MANY, None), provenance={}, format='timm'),
            plain_record(MANY[::-1], None), 'data', None,
        )  # fmt: skip
    with pytest.raises(ValueError, match="first layer 'random' needs the three bands"):
        parse('a.safetensors', bands=('vv', 'vh'), first_layers=('random',))


def test_a_record_is_refused_where_it_is_none_or_of_other_values() -> None:
    with pytest.raises(
        ValueError, match=r'a\.safetensors does not say how its input is normalised'
    ):
        parse('a.safetensors', bands=COLORS, dtype='uint8', normalization='record')
    with pytest.raises(ValueError, match='normalised, those of the images are uint16'):
        parse('epoch=3.ckpt', bands=COLORS, dtype='uint16', normalization='record')
    with pytest.raises(ValueError, match='says how 3 bands are normalised, the images have 5'):
        parse('epoch=3.ckpt', bands=MANY, dtype='uint8', normalization='record')
    assert parse('epoch=3.ckpt', 'random:test_resnet', bands=COLORS, normalization='record')


IMAGES = torch.randint(0, 256, (2, 3, 32, 32), generator=torch.Generator().manual_seed(0)).float()


def features(candidate: Candidate, images: torch.Tensor, **options: Any) -> torch.Tensor:
    options = {'record_of_data': RECORD} | options
    with torch.no_grad():
        found: torch.Tensor = open_features(
            candidate, in_channels=images.shape[1], size=32, **options
        )(images)
    return found


def standardized(images: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(STATISTICS[name]).view(3, 1, 1) for name in ('mean', 'std'))
    return (images - mean) / std


def test_features_are_those_of_the_network_on_standardised_values(network: nn.Module) -> None:
    with torch.no_grad():
        assert torch.equal(
            features(parse('a.safetensors')[0], IMAGES), network(standardized(IMAGES))
        )
        own = (IMAGES / 255 - torch.tensor(OWN['mean']).view(3, 1, 1)) / torch.tensor(
            OWN['std']
        ).view(3, 1, 1)
        candidate = parse('epoch=3.ckpt', normalization='record')[0]
        given = features(candidate, IMAGES, normalization='record')
        torch.testing.assert_close(given, network(own), rtol=1e-4, atol=1e-4)


def test_a_record_goes_by_colours_and_not_by_places(network: nn.Module) -> None:
    candidate = parse('epoch=3.ckpt', normalization='record')[0]
    # one place further, which backwards is not the same
    turned = Preprocessing(bands=('blue', 'red', 'green'), dtype='uint8', **STATISTICS)
    one = features(candidate, IMAGES, normalization='record')
    other = features(
        candidate, IMAGES.roll(1, dims=1), normalization='record', record_of_data=turned
    )
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_missing_values_count_as_the_mean() -> None:
    holes = IMAGES.clone()
    holes[:, :, :9] = torch.nan
    mean = torch.tensor(STATISTICS['mean']).view(3, 1, 1)
    filled = torch.where(holes.isnan(), mean, holes)
    for candidate in parse('a.safetensors', 'mean-colours', 'image-statistics'):
        torch.testing.assert_close(features(candidate, holes), features(candidate, filled))


def test_what_has_no_network_is_what_it_is_called() -> None:
    means, statistics = parse('mean-colours', 'image-statistics')
    grid = standardized(IMAGES).unflatten(3, (4, 8)).unflatten(2, (4, 8)).mean(dim=(3, 5))
    torch.testing.assert_close(features(means, IMAGES), grid.flatten(1))
    values = IMAGES.flatten(2)
    wanted = [values.mean(-1), values.std(-1), values.amax(-1), values.amin(-1)]
    torch.testing.assert_close(features(statistics, IMAGES), torch.cat(wanted, dim=1))
    assert F.adaptive_avg_pool2d(IMAGES, 4).shape[1:] == (3, 4, 4)


def test_random_weights_are_those_of_their_seed() -> None:
    one, other = parse('random:test_resnet', 'random:test_resnet', seed=3)
    assert torch.equal(
        features(one, IMAGES), features(parse('random:test_resnet', seed=3)[0], IMAGES)
    )
    assert not torch.allclose(features(one, IMAGES), features(other, IMAGES))


def test_weights_that_change_after_they_were_named_are_refused(tmp_path: Path, made: Path) -> None:
    path = tmp_path / 'x.safetensors'
    path.write_bytes((made / 'a.safetensors').read_bytes())
    candidate = parse(str(path))[0]
    path.write_bytes((made / 'other.safetensors').read_bytes())
    with pytest.raises(ValueError, match='has changed since it was named'):
        features(candidate, IMAGES)


@given(words=st.lists(st.text(max_size=12), min_size=1, max_size=3))
def test_no_words_fail_otherwise_than_by_a_refusal(words: list[str]) -> None:
    with suppress(ValueError, FileNotFoundError), warnings.catch_warnings():
        warnings.simplefilter('error')
        assert len(parse(*words)) == len(words)


def test_labels_that_share_weights_are_told() -> None:
    with pytest.warns(UserWarning, match='^one and two hold the same weights; .* one row for both'):
        parse('one=a.safetensors', 'two=b')


def test_a_size_that_a_network_cannot_read_is_refused() -> None:
    candidate = parse('random:test_vit')[0]
    with pytest.raises(ValueError, match=r'random:test_vit reads no images of 33 px \(.*; pass'):
        open_features(candidate, in_channels=3, size=33, record_of_data=RECORD)
