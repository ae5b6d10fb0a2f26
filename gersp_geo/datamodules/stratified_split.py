"""Share ground between the splits so that each class has its share in each."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .ground import Split, check_shares

NAMES = ('train', 'val', 'test')


def split_strata(
    counts: NDArray[np.int64],
    *,
    parcels: Sequence[int],
    val_split: float,
    test_split: float,
    seed: int,
) -> Split:
    """Assign whole parcels of ground to splits, stratum by stratum, the rarest first.

    Sechidis et al. (2011), https://doi.org/10.1007/978-3-642-23808-6_10: what has several labels is
    shared by the rarest of them. Where each parcel has one label, each stratum is divided exactly as
    :func:`divide` says; a seeded permutation decides which parcels go where.

    Args:
        counts: Labels of each block and stratum, shape (blocks, strata). Blocks without any go
            nowhere.
        parcels: Per block: number of the ground that it shows.
        val_split: Share for validation, in [0, 1).
        test_split: Share for the test, in [0, 1 - *val_split*).
        seed: Decides the permutation.

    Raises:
        ValueError: If a share is out of range, or there is too little for the splits.
    """
    check_shares(val_split, test_split)
    places = np.asarray(parcels)
    held = np.zeros((places.max(initial=-1) + 1, counts.shape[1]), dtype=np.int64)
    np.add.at(held, places, counts)
    shares = 1 - val_split - test_split, val_split, test_split
    of = fill_empty(assign_parcels(held, shares=shares, seed=seed), held, shares)
    wanted = sum(share > 0 for share in shares)
    labelled = counts.any(axis=1)
    if (ground := int((of >= 0).sum())) < wanted:
        count = int(labelled.sum())
        raise ValueError(
            f'{count} labelled images are too few for {wanted} splits'
            f'{f", as they show {ground} separate places" if ground < count else ""}: a class is '
            'tested with images that are not trained on; add images, or pass fewer splits'
        )
    parts = [np.flatnonzero((of[places] == i) & labelled) for i in range(len(NAMES))]
    return Split(**{name: tuple(p.tolist()) for name, p in zip(NAMES, parts, strict=True)})


def assign_parcels(
    held: NDArray[np.int64], *, shares: Sequence[float], seed: int
) -> NDArray[np.int64]:
    """Assign parcels to splits.

    Args:
        held: Labels of each parcel and stratum, shape (parcels, strata).
        shares: Of training, validation and test.
        seed: Decides which parcels go where.

    Returns:
        Per parcel: number of its split, -1 for none.
    """
    order = np.random.default_rng(seed).permutation(len(held))
    of = np.full(len(held), -1, dtype=np.int64)
    wanted = np.stack([divide(int(total), shares) for total in held.sum(axis=0)], axis=1)
    while True:
        left = (held[of < 0] > 0).sum(axis=0)
        if not left.any():
            return of
        stratum = int(np.where(left > 0, left, left.max() + 1).argmin())
        for parcel in order[(of[order] < 0) & (held[order, stratum] > 0)].tolist():
            lack = wanted[:, stratum]
            best = np.flatnonzero(lack == lack.max())
            # of equal ones, the split that lacks most altogether
            of[parcel] = best[wanted[best].sum(axis=1).argmax()]
            wanted[of[parcel]] -= held[parcel]


def fill_empty(
    of: NDArray[np.int64], held: NDArray[np.int64], shares: Sequence[float]
) -> NDArray[np.int64]:
    """Give a split that got nothing the parcel of fewest labels of the split that has most parcels.

    Few parcels of several labels each may all be wanted elsewhere.

    Args:
        of: Per parcel: number of its split, -1 for none.
        held: Labels of each parcel and stratum, shape (parcels, strata).
        shares: Of training, validation and test.
    """
    filled = of.copy()
    for split, share in enumerate(shares):
        numbers = np.bincount(filled[filled >= 0], minlength=len(shares))
        if share > 0 and not numbers[split] and numbers.max() > 1:
            givers = np.flatnonzero(filled == numbers.argmax())
            filled[givers[held[givers].sum(axis=1).argmin()]] = split
    return filled


def divide(total: int, shares: Sequence[float]) -> NDArray[np.int64]:
    """Divide a number of images by the shares of training, validation and test.

    Validation and test get the nearest whole numbers, but at least one each where their share is
    above 0 and images are enough, training first. The rest is for training, at least one.
    """
    numbers = [0, *(max(round(share * total), 1) if share > 0 else 0 for share in shares[1:])]
    while sum(numbers) > max(total - 1, 0):
        # of two that are as large, validation keeps its own
        numbers[2 if numbers[2] >= numbers[1] else 1] -= 1
    numbers[0] = total - sum(numbers)
    return np.array(numbers, dtype=np.int64)
