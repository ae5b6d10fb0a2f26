"""Options name all that a figure follows from, and nothing else."""

from typing import Any

import pytest

from gersp_geo.comparison.options import PROTOCOLS, EvaluationOptions

ALL = set(PROTOCOLS)


@pytest.mark.parametrize(
    ('changed', 'protocols'),
    [
        ({'size': 64}, ALL),
        ({'rgb_bands': (2, 1, 0)}, ALL),
        ({'normalization': 'record'}, ALL),
        ({'seed': 1}, ALL),
        ({'k': 1}, {'knn'}),
        ({'draws': 9}, {'few-shot'}),
        ({'resamples': 9}, ALL - {'few-shot'}),
        ({'epochs': 9}, {'finetune'}),
        ({'lrs': (1e-2,)}, {'finetune'}),
        ({'batch_size': 9}, {'finetune'}),
        ({'device': 'cpu', 'baseline': 'x', 'benchmark': 'aid', 'lrs': (1e-3, 1e-4, 1e-3)}, set()),
    ],
)
def test_what_changes_a_figure_makes_another_row(
    changed: dict[str, Any], protocols: set[str]
) -> None:
    plain, other = EvaluationOptions(), EvaluationOptions(**changed)
    assert {one for one in PROTOCOLS if plain.decisive(one) != other.decisive(one)} == protocols


def test_a_class_that_is_not_trained_is_no_reason_to_refuse_few_labels() -> None:
    options = EvaluationOptions(protocols=('few-shot',), labels_per_class=(5,))
    counts = {'train': 12, 'val': 3, 'test': 3}
    options.check_counts(counts, of_class={'a': 6, 'b': 6, 'c': 0})
    with pytest.raises(ValueError, match="must be <= 4, the training images of class 'b', got 5"):
        options.check_counts(counts, of_class={'a': 8, 'b': 4, 'c': 0})
    with pytest.raises(ValueError, match=r'normalization must be of data, record, got .own.'):
        EvaluationOptions(normalization='own').check()  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="device 'cuda:999' cannot be used"):
        EvaluationOptions(device='cuda:999').check()
