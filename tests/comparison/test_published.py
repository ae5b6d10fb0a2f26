"""Published values stand beside ours only where all is equal, and are facts of their sources."""

import re
from dataclasses import replace

import pytest

from gersp_geo.comparison.published import (
    NAMES,
    Setting,
    check_benchmark,
    find_obstacle,
    find_published,
    list_published,
)
from gersp_geo.comparison.published_values import SETS, bench_values, paper_values
from gersp_geo.comparison.records import Candidate

MOCO = Candidate(
    label='moco', source='ResNet18_Weights.SENTINEL2_RGB_MOCO', seed=0, digest='0' * 16
)
SAME = Setting(
    counts={'train': 2000, 'val': 1000, 'test': 1000},
    classes=10,
    bands=('red', 'green', 'blue'),
    size=224,
    normalization='data',
    brightest=1100.0,
)


def test_a_value_stands_beside_ours_where_all_is_equal() -> None:
    for bands in (SAME.bands, ('B04', 'B03', 'B02'), ('band_4', 'band_3', 'band_2')):
        assert find_obstacle('m-eurosat', replace(SAME, bands=bands)) == ''
    assert find_published('m-eurosat', MOCO, 'knn', k=5) == '76.2 (73.6 to 78.7)'
    assert find_published('m-eurosat', MOCO, 'linear', k=5) == '84.5 (82.1 to 86.7)'


@pytest.mark.parametrize(
    ('other', 'told'),
    [
        ({'counts': {'train': 2000, 'val': 1000, 'test': 999}}, 'test split .* 1,000 .* 999'),
        ({'counts': {'train': 3000, 'test': 1000}}, 'train split'),
        ({'classes': 9}, '10 classes, and the data 9'),
        ({'bands': ('red', 'green', 'blue', 'nir')}, 'red, green, blue, nir'),
        ({'bands': ('red', 'green', 'nir')}, 'red, green, nir'),
        ({'bands': ('B08', 'B11', 'B12')}, 'b08, b11, b12'),
        ({'bands': ('band_1', 'band_2')}, 'band_1, band_2'),
        ({'size': 64}, '224 pixels, and --size is 64'),
        ({'normalization': 'record'}, 'statistics of the data'),
        ({'brightest': 120.0}, 'reflectances'),
    ],
)
def test_anything_else_is_told(other: dict[str, object], told: str) -> None:
    obstacle = find_obstacle('m-eurosat', replace(SAME, **other))  # type: ignore[arg-type]
    assert re.search(told, obstacle)
    said = list_published('m-eurosat', obstacle=obstacle)
    assert said[0] == f'No published value stands beside ours: {obstacle}.'
    assert 'not comparable' in said[1]


def test_other_weights_and_protocols_have_no_value() -> None:
    other = replace(MOCO, source='moco.ckpt')
    assert find_published('m-eurosat', other, 'knn', k=5) == ''
    assert find_published('m-eurosat', MOCO, 'knn', k=20) == ''
    assert find_published('m-eurosat', MOCO, 'finetune', k=5) == ''
    assert find_published('m-eurosat', MOCO, 'few-shot', k=5) == ''


def test_the_paper_is_never_beside_ours_as_its_split_is_not_known() -> None:
    assert find_obstacle('eurosat', SAME) != ''
    (_, paper) = list_published('eurosat', obstacle=find_obstacle('eurosat', SAME))
    assert 'not comparable (the split is not known)' in paper
    assert 'GeRSP-200 finetune 97.87 ± 0.10' in paper
    assert all(not value.sources for name in NAMES for value in paper_values(name))


def test_an_unknown_benchmark_is_refused() -> None:
    check_benchmark(None)
    with pytest.raises(ValueError, match=r"one of aid, eurosat, .*got 'EuroSat'"):
        check_benchmark('EuroSat')


@pytest.mark.parametrize('name', SETS)
def test_every_value_lies_in_its_interval(name: str) -> None:
    values = bench_values(name)
    assert values
    for value in values:
        low, high = (float(word) for word in value.spread.strip('()').split(' to '))
        assert low <= value.value <= high
        assert len({(v.weights, v.protocol) for v in values}) == len(values)
