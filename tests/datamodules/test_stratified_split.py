"""Each class has its share in each split, as closely as whole images can."""

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gersp_geo.datamodules.ground import Split
from gersp_geo.datamodules.stratified_split import split_strata

SHARES = st.sampled_from([(0.2, 0.0), (0.25, 0.1), (0.5, 0.4), (0.01, 0.01)])


def parts(split: Split) -> tuple[set[int], ...]:
    return set(split.train), set(split.val), set(split.test)


@given(
    numbers=st.lists(st.integers(1, 20), min_size=2, max_size=4).filter(lambda n: max(n) > 2),
    shares=SHARES,
    seed=st.integers(0, 99),
)
def test_every_class_has_its_share(
    numbers: list[int], shares: tuple[float, float], seed: int
) -> None:
    labels = np.repeat(np.arange(len(numbers)), numbers)
    labels = np.random.default_rng(seed).permutation(labels)
    counts = np.eye(len(numbers), dtype=np.int64)[labels]
    parcels = list(range(len(labels)))
    val_split, test_split = shares
    split = split_strata(
        counts, parcels=parcels, val_split=val_split, test_split=test_split, seed=seed
    )
    train, val, test = parts(split)
    assert sorted([*split.train, *split.val, *split.test]) == parcels
    for label, number in enumerate(numbers):
        held = [len({i for i in part if labels[i] == label}) for part in (train, val, test)]
        assert held[0] >= 1
        assert held[1] >= min(number - 1, 1)
        assert (held[2] > 0) == (test_split > 0 and number > 2)
        if number > 4:
            wanted = [max(share * number, 1 * (share > 0)) for share in shares]
            assert np.abs(np.subtract(held[1:], wanted)).max() <= 0.5 or held[0] == 1


@example(seed=313, labels=2, images=12)
@given(seed=st.integers(0, 999), labels=st.integers(2, 5), images=st.integers(12, 60))
def test_images_of_one_ground_and_several_labels_go_into_one_split(
    seed: int, labels: int, images: int
) -> None:
    generator = np.random.default_rng(seed)
    counts = (generator.random((images, labels)) < 0.3).astype(np.int64)
    parcels = generator.integers(images // 2, size=images)
    # one place cannot be shared
    assume(len(set(parcels[counts.any(axis=1)].tolist())) > 1)
    split = split_strata(counts, parcels=parcels.tolist(), val_split=0.3, test_split=0, seed=seed)
    assert split.train
    assert split.val
    of = [{int(parcels[i]) for i in part} for part in parts(split)]
    assert not of[0] & of[1]
    assert len(split.train) + len(split.val) == counts.any(axis=1).sum()


def test_too_few_places_are_refused() -> None:
    with pytest.raises(
        ValueError, match='3 labelled images are too few for 2 splits, as they show 1'
    ):
        split_strata(
            np.eye(3, dtype=np.int64), parcels=[0, 0, 0], val_split=0.2, test_split=0, seed=0
        )
