"""Rows of patches: what the model says of them, and the arrays that parts hold of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...tiling import TilePlan
from ..plan import PredictionPlan
from ..resume.entries import Entry
from ..resume.parts import PlannedPart
from ..scene.batches import PatchBatch, RowEnd
from .output import Settled
from .part_arrays import read_arrays


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PatchRow:
    """What is known about patches of one row, from left to right."""

    row: int
    """Row of patches."""

    cols: NDArray[np.int64]
    """Their columns, shape (n,)."""

    observed: NDArray[np.float32]
    """Share of the pixels of each that are observations within the scene, shape (n,)."""

    vectors: NDArray[np.float32] | None
    """Shape (n, D)."""

    probabilities: NDArray[np.float32] | None
    """Shape (n, K)."""

    @property
    def best_classes(self) -> NDArray[np.int64]:
        """The class of each patch; of equal ones the first."""
        assert self.probabilities is not None
        return self.probabilities.argmax(axis=1)


type Described = PatchRow | None
"""What is known of a row of patches of a panel; None where there is no observation."""


@dataclass(slots=True, kw_only=True)
class OpenPatchRows:
    """What is known of the current row of patches."""

    plan: PredictionPlan
    """The plan."""

    described: list[PatchRow] = field(default_factory=list)
    """Batch by batch."""

    def add(self, batch: PatchBatch, found: tuple[Tensor | None, Tensor | None]) -> None:
        """Take what the model says about the patches of a batch."""
        vectors, probabilities = found
        self.described.append(
            PatchRow(
                row=batch.row,
                cols=np.array(batch.cols),
                observed=_share_observed(self.plan.tiles, batch),
                vectors=None if vectors is None else vectors.numpy(),
                probabilities=None if probabilities is None else probabilities.numpy(),
            )
        )

    def settle(self, end: RowEnd) -> Settled[Described]:
        """Close a row of patches."""
        described, self.described = self.described, []
        content = _from_arrays(to_arrays(described), end.row) if described else None
        return Settled.of(self.plan, end, content)


def _share_observed(tiles: TilePlan, batch: PatchBatch) -> NDArray[np.float32]:
    """Count the observations of patches; what is reflected counts as none."""
    height = min(tiles.height - tiles.row_offs[batch.row], tiles.size)
    shares = []
    for place, col in enumerate(batch.cols):
        width = min(tiles.width - tiles.col_offs[col], tiles.size)
        count = height * width
        if batch.valid is not None:
            count = int(batch.valid[place, :height, :width].sum())
        shares.append(count / tiles.size**2)
    return np.array(shares, dtype=np.float32)


def to_arrays(rows: Sequence[PatchRow]) -> dict[str, NDArray[Any]]:
    """Put rows one after the other; what a model does not give is no array."""
    arrays: dict[str, list[NDArray[Any] | None]] = {
        'row': [np.full(len(some.cols), some.row) for some in rows],
        'cols': [some.cols for some in rows],
        'observed': [some.observed for some in rows],
        'vectors': [some.vectors for some in rows],
        'probabilities': [some.probabilities for some in rows],
    }
    known = {name: [v for v in values if v is not None] for name, values in arrays.items()}
    return {name: np.concatenate(values) for name, values in known.items() if values}


def _from_arrays(arrays: Mapping[str, NDArray[Any]], row: int) -> PatchRow:
    """Take one row out again."""
    chosen = arrays['row'] == row
    return PatchRow(
        row=row,
        cols=arrays['cols'][chosen],
        observed=arrays['observed'][chosen],
        vectors=arrays['vectors'][chosen] if 'vectors' in arrays else None,
        probabilities=arrays['probabilities'][chosen] if 'probabilities' in arrays else None,
    )


def read_patches(parts: Sequence[tuple[PlannedPart, Entry]], folder: Path) -> Iterator[PatchRow]:
    """Read the rows of all parts, one part after the other."""
    for _, entry in parts:
        for file in entry.files:
            arrays = read_arrays(folder / file.name)
            for row in np.unique(arrays['row']).tolist():
                yield _from_arrays(arrays, row)
