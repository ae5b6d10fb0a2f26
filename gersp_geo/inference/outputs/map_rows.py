"""Rows of maps: open while later patches may add to their pixels, then pieces of a part."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...geoio.write import MapLayout, OverviewResampling, Part
from ...stitching import RowStitcher
from ..options import LayerKind
from ..plan import PredictionPlan
from ..resume.entries import PartFile
from ..resume.parts import PlannedPart
from ..scene.batches import PatchBatch, RowEnd
from .map_values import to_map
from .output import Settled


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMap:
    """One map that is made."""

    kind: LayerKind
    """What it holds."""

    destination: Path
    """File."""

    layout: MapLayout
    """Type and legend."""

    overviews: OverviewResampling
    """How overviews are made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapPiece:
    """Columns of settled rows that are not all nodata."""

    col_off: int
    """First column of pixels."""

    maps: tuple[NDArray[np.generic], ...]
    """Per map: values, shape (bands, rows, columns)."""

    @property
    def col_stop(self) -> int:
        """One past the last column."""
        return self.col_off + int(self.maps[0].shape[2])


type Pieces = tuple[MapPiece, ...]
"""What is not nodata, from left to right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenMapRows:
    """Pixels to which later patches may add."""

    plan: PredictionPlan
    """The plan."""

    maps: tuple[PlannedMap, ...]
    """What is written."""

    stitcher: RowStitcher
    """Adds patches up."""

    def add(self, batch: PatchBatch, found: Sequence[Tensor]) -> None:
        """Add the scores of patches."""
        for col, scores in zip(batch.cols, found, strict=True):
            self.stitcher.add(col, scores)

    def settle(self, end: RowEnd) -> Settled[Pieces]:
        """Close a row of patches."""
        columns = [(piece.col_off, piece.col_stop) for piece in end.pieces]
        pieces = tuple(
            MapPiece(
                col_off=piece.col_off,
                maps=tuple(
                    to_map(value, piece.valid, made.layout)
                    for value, made in zip(values, self.maps, strict=True)
                ),
            )
            for piece, values in zip(end.pieces, self.stitcher.finish_row(columns), strict=True)
        )
        return Settled.of(self.plan, end, pieces)


def merge_columns(settled: Sequence[Settled[Pieces]]) -> list[tuple[int, int]]:
    """Join the ranges of columns in which any of some rows hold something."""
    merged: list[tuple[int, int]] = []
    pieces = chain.from_iterable(rows.content for rows in settled)
    for left, right in sorted((piece.col_off, piece.col_stop) for piece in pieces):
        if merged and left <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(right, merged[-1][1]))
        else:
            merged.append((left, right))
    return merged


def join_pieces(
    settled: Sequence[Settled[Pieces]], number: int, made: PlannedMap, *, left: int, right: int
) -> NDArray[np.generic]:
    """Put the pieces of some rows in a range of columns together; the rest is nodata."""
    pieces = [(rows, p) for rows in settled for p in rows.content if left <= p.col_off < right]
    first = settled[0].row_off
    height = sum(rows.height for rows in settled)
    if len(pieces) == 1 and pieces[0][1].maps[number].shape[1:] == (height, right - left):
        return pieces[0][1].maps[number]
    shape = (len(made.layout.descriptions), height, right - left)
    joined = np.full(shape, made.layout.nodata, dtype=made.layout.dtype)
    for rows, piece in pieces:
        place = (
            slice(rows.row_off - first, rows.row_off - first + rows.height),
            slice(piece.col_off - left, piece.col_stop - left),
        )
        joined[:, *place] = piece.maps[number]
    return joined


def place_file(part: PlannedPart, file: PartFile, folder: Path) -> Part:
    """Say where a file of a part lies in its map."""
    return Part(
        path=str(folder / file.name),
        row_off=part.row_off,
        col_off=file.col_off,
        height=part.row_stop - part.row_off,
        width=file.width,
    )
