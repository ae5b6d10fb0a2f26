"""Options of maps."""

from dataclasses import dataclass
from os import PathLike
from typing import Literal

from .common import PredictionOptions
from .words import Blend, MapKind, PathName, option


@dataclass(frozen=True, kw_only=True)
class MapOptions(PredictionOptions):
    """Options of maps."""

    blend: Blend = option(
        'hann',
        "How neighbours meet: 'hann' fades over what they share, 'crop' cuts in the middle of it.",
        group='maps',
        choices=Blend,
    )
    margin: int = option(
        0,
        "With 'hann', pixels at the sides of a patch that get no weight, in [0, overlap / 2].",
        group='maps',
    )
    output: MapKind | Literal['auto'] = option(
        'auto',
        "What the map holds: 'classes' (unsigned integers), 'probabilities' (one band per class) "
        "or 'values' (what the model returns, such as a regression, in its unit). 'auto' means "
        'values for a pixelwise regression, probabilities for a multi-label task, else classes.',
        group='maps',
        choices=Literal['auto', 'classes', 'probabilities', 'values'],
    )
    probabilities: PathName | None = option(
        None,
        'A second GeoTIFF to write, of probabilities, beside a map of classes.',
        group='maps',
        metavar='FILE',
    )
    probability_type: Literal['float32', 'uint8'] = option(
        'float32',
        "Store probabilities as 'float32', or as 'uint8' in steps of 1 / 254.",
        group='maps',
        choices=Literal['float32', 'uint8'],
    )
    uncertainty: bool = option(
        False,
        'Write how sure the model is beside a map of classes, as NAME_uncertainty.tif of two bands '
        'of probability_type: the entropy of the probabilities over that of equal ones, and by how '
        'much the largest exceeds the second largest, both in [0, 1].',
        group='maps',
    )
    consistency: int = option(
        0,
        'Predict a map of classes so many times more, with patches that begin elsewhere and are '
        'flipped or turned, and say which share of pixels keeps their class. NAME_agreement.tif is '
        'written beside it: per pixel the percentage of all these maps that have its class. Time '
        'grows with their number.',
        group='maps',
        metavar='N',
    )
    ensemble: tuple[PathName, ...] = option(
        (),
        'A further checkpoint of the same bands and classes, whose probabilities or values are '
        'averaged with those of the model; given once for each. Time grows with their number.',
        group='maps',
        metavar='FILE',
    )
    overviews: Literal['auto', 'nearest', 'mode', 'average'] = option(
        'auto',
        "How overviews are made: 'nearest', 'mode' (of classes) or 'average' (of quantities). "
        "'auto' means mode for classes and average for quantities.",
        group='maps',
        choices=Literal['auto', 'nearest', 'mode', 'average'],
    )
    variation: int = option(
        0, 'Number of the way in which patches are moved and turned; 0 leaves them as they are.'
    )

    def __post_init__(self) -> None:
        """Check what depends on neither model nor raster.

        Raises:
            TypeError: If *ensemble* is one file.
            ValueError: If a value is out of range.
        """
        super().__post_init__()
        if not 0 <= 2 * self.margin <= self.shared:
            raise ValueError(
                f'margin must be in [0, overlap / 2={self.shared / 2:g}], got {self.margin}; raise '
                'overlap (--overlap) or lower margin'
            )
        if self.margin and self.blend == 'crop':
            raise ValueError(
                f"margin goes with blend='hann', got {self.margin} with 'crop', which cuts in the "
                'middle'
            )
        if isinstance(self.ensemble, str | PathLike):
            raise TypeError(
                f'ensemble must be a list of files, got {self.ensemble!r}; pass [{self.ensemble!r}]'
            )
        if self.consistency < 0:
            raise ValueError(f'consistency must be >= 0, got {self.consistency}')
        beside = {
            'probabilities': self.probabilities,
            'uncertainty': self.uncertainty or None,
            'consistency': self.consistency or None,
        }
        for name, given in beside.items():
            if given is not None and self.output not in ('auto', 'classes'):
                raise ValueError(
                    f'{name} asks for a second map beside one of classes, got output={self.output!r}'
                )
