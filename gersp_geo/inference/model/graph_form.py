"""What the graph of a whole model takes and returns, where that is not what the model itself does.

A graph with its preprocessing folded in takes values as stored, or a multiple of them, and has
probabilities for others to read. Everything here deals in normalised images and in logits: what
reads such a graph brings images back to stored values, which the graph normalises, once, and
probabilities back to logits, which lose nothing by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ...preprocessing import Preprocessing

FORM_KEY = 'gersp_geo_graph'
"""Metadata of an ONNX file: JSON of what :meth:`GraphForm.to_dict` returns."""

type Returned = Literal['scores', 'softmax', 'sigmoid']
"""What the model itself returns, or its probabilities: of classes, or each of its own."""

# probabilities of float32 that are not told from 0 and 1
_LEAST = float(np.finfo(np.float32).tiny)
_STEP = 2.0**-24


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphForm:
    """What a graph takes and returns."""

    factor: float | None = None
    """What values as stored are multiplied by before the graph takes them; None if it takes
    normalised images. Values that are not there are NaN."""

    returned: Returned = 'scores'
    """What it returns."""

    record: Preprocessing | None = None
    """What is folded in."""

    @classmethod
    def of(cls, stated: object, record: Preprocessing | None, *, source: str) -> 'GraphForm':
        """Read what a file says about its graph.

        Args:
            stated: From JSON.
            record: Of the same file.
            source: Named in errors.

        Returns:
            The form.

        Raises:
            ValueError: If it is none.
        """
        given = stated if isinstance(stated, Mapping) else {}
        factor: Any = given.get('factor')
        returned: Any = given.get('returned')
        is_number = isinstance(factor, int | float) and not isinstance(factor, bool)
        is_right = factor is None or (is_number and 0 < factor < float('inf'))
        if not is_right or returned not in get_args(Returned.__value__):
            raise ValueError(
                f'{source} must say factor (a number > 0, or null) and returned '
                f'({", ".join(get_args(Returned.__value__))}), got {str(stated)[:80]}'
            )
        if factor is not None and record is None:
            raise ValueError(f'{source} says that preprocessing is folded in, but not which')
        return cls(
            factor=None if factor is None else float(factor),
            returned=returned,
            record=None if factor is None else record,
        )

    def to_dict(self) -> dict[str, Any]:
        """Convert to what JSON holds; the record has a place of its own."""
        return {'factor': self.factor, 'returned': self.returned}

    def check_record(self, record: Preprocessing, *, source: str) -> None:
        """Refuse another preprocessing than the one that is folded in.

        Raises:
            ValueError: If it is another one.
        """
        for name in ('bands', 'scale', 'mean', 'std'):
            if self.record is not None and getattr(self.record, name) != getattr(record, name):
                raise ValueError(
                    f'{source} has its preprocessing folded in, with {name} '
                    f'{getattr(self.record, name)}, got {getattr(record, name)}; leave the other '
                    'record out, or export the model without --include-preprocessing'
                )

    def to_stored(self, images: NDArray[Any]) -> NDArray[Any]:
        """Bring normalised images to what the graph takes.

        Args:
            images: Shape (..., C, H, W), or with the bands of several dates side by side.

        Returns:
            The same shape and type; the mean of a band where there was no observation.
        """
        if self.factor is None or self.record is None:
            return images
        repeats = images.shape[-3] // len(self.record.bands)
        scale, mean, std = (
            np.tile(np.asarray(values, dtype=np.float64), repeats)[:, None, None]
            for values in (self.record.scale, self.record.mean, self.record.std)
        )
        stored = images * (std / scale * self.factor) + mean / scale * self.factor
        return stored.astype(images.dtype)

    def to_scores(self, found: NDArray[Any]) -> NDArray[Any]:
        """Bring what the graph returns to what models return.

        Args:
            found: Shape (B, K, ...).

        Returns:
            Scores; logits whose probabilities are those.
        """
        if self.returned == 'scores':
            return found
        if self.returned == 'softmax':
            logits: NDArray[Any] = np.log(np.maximum(found, _LEAST))
        else:
            sure = np.clip(found, _STEP, 1 - _STEP)
            logits = np.log(sure) - np.log1p(-sure)
        return logits

    def describe(self) -> str | None:
        """Say in one line what is not as usual; None where nothing is."""
        parts = []
        if self.factor is not None:
            parts.append('preprocessing is in the graph, and nothing is normalised twice')
        if self.returned != 'scores':
            parts.append('probabilities of the graph are blended, not logits')
        return '; '.join(parts) or None
