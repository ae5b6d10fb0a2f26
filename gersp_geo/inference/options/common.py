"""What maps, objects and patches have in common."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, Literal

from ..option_values import parse_number
from .running import RunningOptions
from .words import Averaging, PathName, option

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule

    from ...preprocessing import Preprocessing


@dataclass(frozen=True, kw_only=True)
class PredictionOptions(RunningOptions):
    """What maps, objects and patches have in common."""

    usual: ClassVar[tuple[int, int]] = (512, 64)
    """Side of a patch, and pixels that neighbours share, where nothing else is said."""

    size: int | Literal['auto'] = option(
        'auto',
        "Side of a patch in pixels. 'auto' means 512, and for maps of large scenes the size, up to "
        '1,536, of which the fewest pixels are forwarded, as far as memory_limit allows it.',
        group='patches',
    )
    overlap: int | Literal['auto'] = option(
        'auto',
        "Pixels that neighbouring patches share, in [0, size). 'auto' means 64, or half of smaller "
        'patches, and for maps of large scenes twice as far as the model is found to look, unless '
        'that forwards over a quarter more: a map is then the same however the scene is cut. The '
        'largest object should be smaller.',
        group='patches',
    )
    averaging: Averaging = option(
        'none',
        "Views of each patch that the model looks at: 4 'flips', or 8 'rotations', which are "
        'these and their transposes. Probabilities, values and vectors are averaged; boxes of all'
        ' views are put together, and the best of those that show one object stays.',
        group='patches',
        choices=Averaging,
    )
    after: PathName | None = option(
        None,
        'Scene of a later date, for a model that compares two: images are (B, 2, C, H, W) then. '
        'The scene itself is the earlier date and gives the grid, onto which this one is '
        'resampled bilinearly where it lies on another; what either lacks is no observation.',
        group='scene',
        metavar='FILE',
    )
    bands: tuple[int, ...] | None = option(
        None,
        "1-based bands of the scene in the model's order, such as 4,3,2. Unless given, they are "
        'found by the names in the scene; without names there, all are taken in order if their '
        'number is right. Of two scenes, they hold for both; names are looked up in each.',
        group='scene',
    )
    nodata: float | None = option(
        None,
        'Value that means "no observation", besides what the scene says itself. Unless given, '
        'that of the record of preprocessing where the scene has none.',
        group='scene',
    )
    observed: Literal['auto', 'any', 'all'] = option(
        'auto',
        "Where a pixel is an observation: 'any', where any of its bands is there; 'all', where "
        "all are; 'auto' means 'any' for bands of 8 bits without masks of their own, else 'all'. "
        'A band that is missing in an observation enters as its mean; with 8 bits, the value of '
        'one band alone says nothing, and enters as it is.',
        group='scene',
        choices=Literal['auto', 'any', 'all'],
    )
    # as it is given: a path would change zip://a.zip
    area: PathName | None = option(
        None,
        'Polygons to predict in any CRS: a vector file, a folder (a file geodatabase, '
        'shapefiles), a zip archive or a file in it (a.zip!b.shp, /vsizip/a.zip/b.shp). Maps are '
        'nodata outside; objects whose centre lies outside, and patches that touch no polygon, '
        'are left out.',
        group='scene',
        metavar='FILE',
    )
    area_layer: str | None = option(
        None,
        'Layer of the area to take, where several hold features.',
        group='scene',
        metavar='NAME',
    )
    crs: str | None = option(
        None,
        "Coordinate reference system to predict in, unless it is the scene's own. The scene is "
        'resampled bilinearly.',
        group='scene',
    )
    res: float | tuple[float, float] | None = option(
        None,
        "Pixel size to predict at, in units of the CRS, unless it is the scene's own.",
        group='scene',
    )
    preprocessing: 'Preprocessing | PathName | None' = option(
        None,
        'Record of how input is prepared, or a JSON file of it; needed unless the model has one, '
        'which it replaces. Its class names begin at class or label 0; with a detector of '
        'torchvision, whose label 0 is the background, they may begin at label 1.',
        group='scene',
        metavar='FILE',
    )
    task_class: 'str | type[LightningModule] | None' = option(
        None,
        "Class of the checkpoint's task, or its import path, where the record lacks it or names "
        'one outside torchgeo and this package.',
        group='scene',
        metavar='NAME',
    )
    step: int = option(
        1, 'Patches begin at multiples of it, where what neighbours do not share is one.'
    )
    part_pixels: int = option(
        2**22,
        'Pixels of a file on the way to the result, at least: smaller ones cost more than they '
        'hold.',
    )

    def __post_init__(self) -> None:
        """Check what depends on neither model nor raster.

        Raises:
            ValueError: If a value is out of range.
        """
        from ...tiling import plan_tile

        for each in fields(self):
            choices, value = each.metadata['choices'], getattr(self, each.name)
            if choices and value not in choices:
                *others, last = (repr(choice) for choice in choices)
                raise ValueError(
                    f'{each.name} must be {", ".join(others)} or {last}, got {value!r}'
                )
        # raises on its own for what is a number
        plan_tile(
            1, 1, size=parse_number('size', self.side), overlap=parse_number('overlap', self.shared)
        )
        self.check_running()

    @property
    def side(self) -> int:
        """Side of a patch in pixels, where nothing is given or found too."""
        return self.usual[0] if self.size == 'auto' else self.size

    @property
    def shared(self) -> int:
        """Pixels that neighbouring patches share; where nothing is given, at most half of them."""
        return min(self.usual[1], self.side // 2) if self.overlap == 'auto' else self.overlap

    @property
    def dates(self) -> int:
        """Scenes of one place that are predicted together."""
        return 1 if self.after is None else 2
