"""The options of a prediction: what they are called, what they mean, and which values they take.

Every option is described once, where it stands. The command makes its words of these fields, and
the functions of :mod:`.api` their signatures and their documentation. Nothing heavy is imported
here, so that ``--help`` answers at once.
"""

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, get_args

from .option_values import parse_bytes, parse_number, parse_shard, usable_cores

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule

    from ..preprocessing import Preprocessing
    from ..suppression import Match

type Blend = Literal['hann', 'crop']
"""Fade between neighbours over what they share, or cut in the middle of it."""

type MapKind = Literal['classes', 'probabilities', 'values']
"""Index of the best class, probability of every class, or what a regression returns."""

type LayerKind = MapKind | Literal['uncertainty', 'agreement']
"""What any of the maps holds that are made together."""

type Precision = Literal['float32', 'bfloat16', 'int8']
"""Type in which the model computes."""

type RuntimeName = Literal['eager', 'channels-last', 'compiled', 'onnx', 'openvino']
"""Form in which a model runs."""

type Averaging = Literal['none', 'flips', 'rotations']
"""Views of a patch whose scores are averaged: itself; 4 flips; these and their transposes, 8."""

type PathName = str | PathLike[str]
"""Path or name of a file."""

# more readers than this wait for each other more than for the disk
_MOST_THREADS = 8


def option(
    default: Any, text: str, *, group: str = '', choices: Any = None, metavar: str | None = None
) -> Any:
    """Describe an option, as the field of a dataclass.

    Args:
        default: Its value unless given.
        text: What it means, in a few sentences.
        group: Heading under which the command lists it; without one, the command has no such word.
        choices: Type whose literals are the only values.
        metavar: What stands for the value in the help of the command.

    Returns:
        The field.
    """
    values = get_args(getattr(choices, '__value__', choices))
    metadata = {'text': text, 'group': group, 'choices': values, 'metavar': metavar}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class PredictionOptions:
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
        'that forwards over a quarter more: a map is then the same however the scene is cut. The largest object '
        'should be smaller.',
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
    overwrite: bool = option(
        False, 'Replace existing files, and begin an interrupted prediction anew.', group='results'
    )
    device: str = option(
        'auto',
        "Where the model runs: 'auto' takes an accelerator if there is one; else a name that "
        'torch knows, such as cpu or cuda:1.',
        group='running',
    )
    batch_size: int | Literal['auto'] = option(
        'auto',
        "Patches per forward pass. 'auto' takes as many as make 4 megapixels (2**22) on an "
        'accelerator, or 1 (2**20) on a CPU.',
        group='running',
    )
    threads: int | Literal['auto'] = option(
        'auto',
        "Threads that read, and that compress. 'auto' means one per core, 8 at most.",
        group='running',
    )
    memory_limit: int | str = option(
        '1GiB',
        "Memory for what grows with the width of the scene, as bytes or as text such as '512MiB',"
        ' on the host and on an accelerator each; wider scenes are cut into panels, with the same'
        ' result. Batches, the model, boxes that are not settled, and some 200 MiB for GDAL and '
        'buffers come on top.',
        group='running',
    )
    precision: Precision = option(
        'float32',
        "Type in which the model computes; 'bfloat16' is mixed precision, faster on GPUs; 'int8' "
        'rounds weights and values to 8 bits, for ranges found on patches of the scene, on a CPU '
        'with the runtimes onnx and openvino: how far that is the same is measured and said.',
        group='running',
        choices=Precision,
    )
    runtime: RuntimeName | Literal['auto'] = option(
        'auto',
        "Form in which the model runs. 'eager' is the module as it is; 'channels-last' a copy with "
        "batch normalisation folded and bands last in memory; 'compiled' that by torch.compile; "
        "'onnx' and 'openvino' are graphs, made of the module unless the model is one (extras of "
        "the same names). Each is compared with the model as it is on patches of the scene. 'auto' "
        'takes the fastest of those that are worth trying for a job of this size, else '
        'channels-last.',
        group='running',
        choices=Literal['auto', 'eager', 'channels-last', 'compiled', 'onnx', 'openvino'],
    )
    channels_last: bool = option(
        False, 'Another word for the runtime channels-last.', group='running'
    )
    compile: bool = option(False, 'Another word for the runtime compiled.', group='running')
    progress: bool = option(
        True, 'Show a progress bar on the standard error stream.', group='running'
    )
    shard: str | None = option(
        None,
        "Predict a share of the parts only, such as '0/3', the first of three. Processes on one "
        'file system may work on different shards at the same time.',
        group='job arrays',
        metavar='I/N',
    )
    merge: bool = option(
        False,
        'Make the final file of the parts that shards have finished, and predict nothing.',
        group='job arrays',
    )
    step: int = option(
        1, 'Patches begin at multiples of it, where what neighbours do not share is one.'
    )
    part_pixels: int = option(
        2**22,
        'Pixels of a file on the way to the result, at least: smaller ones cost more than they '
        'hold.',
    )

    @classmethod
    def of(cls, given: Mapping[str, Any], *, made: str) -> Self:
        """Take what was given to the command, whose words are those of all kinds of results.

        Args:
            given: Name to value.
            made: What is made with the options, for messages.

        Returns:
            The options.

        Raises:
            ValueError: If one is not for what is made, or out of range.
        """
        names = {each.name for each in fields(cls)}
        usual = {each.name: each.default for each in list_options()}
        for name in sorted(given.keys() - names):
            if name not in usual or given[name] != usual[name]:
                raise ValueError(
                    f'{name} is no option of {made}, got {given[name]!r}; leave it out'
                )
        return cls(**{name: value for name, value in given.items() if name in names})

    def __post_init__(self) -> None:
        """Check what depends on neither model nor raster.

        Raises:
            ValueError: If a value is out of range.
        """
        from ..tiling import plan_tile

        for each in fields(self):
            choices, value = each.metadata['choices'], getattr(self, each.name)
            if choices and value not in choices:
                *others, last = (repr(choice) for choice in choices)
                raise ValueError(
                    f'{each.name} must be {", ".join(others)} or {last}, got {value!r}'
                )
        for name in ('batch_size', 'threads'):
            value = getattr(self, name)
            if value != 'auto' and value < 1:
                raise ValueError(f"{name} must be >= 1 or 'auto', got {value}")
        # raises on its own for what is a number
        plan_tile(
            1, 1, size=parse_number('size', self.side), overlap=parse_number('overlap', self.shared)
        )
        parse_bytes(self.memory_limit)
        self._check_runtime()
        if self.shard is not None:
            parse_shard(self.shard)
            if self.overwrite or self.merge:
                raise ValueError(
                    'shard goes with neither overwrite nor merge: shards share their parts; remove '
                    'the folder of an old prediction first, and merge when all shards are done'
                )

    def _check_runtime(self) -> None:
        """Check that the words for a runtime go together.

        Raises:
            ValueError: If they do not.
        """
        words = {'compile': self.compile, 'channels_last': self.channels_last}
        given = [name for name, is_given in words.items() if is_given]
        if given and self.runtime not in ('auto', self.form):
            raise ValueError(
                f'{given[0]} is another word for runtime={self.form!r}, got runtime='
                f'{self.runtime!r} too; leave one out'
            )
        if self.precision == 'int8' and self.form not in ('auto', 'onnx', 'openvino'):
            raise ValueError(
                f"precision 'int8' needs the runtime onnx or openvino, got {self.form!r}; leave it to "
                'auto'
            )

    @property
    def form(self) -> RuntimeName | Literal['auto']:
        """Form in which the model is to run, by any of its words."""
        if self.compile:
            return 'compiled'
        return 'channels-last' if self.channels_last else self.runtime

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

    @property
    def memory_bytes(self) -> int:
        """The limit of memory in bytes."""
        return parse_bytes(self.memory_limit)

    @property
    def thread_count(self) -> int:
        """Threads that read, and that compress."""
        if self.threads != 'auto':
            return self.threads
        return min(usable_cores(), _MOST_THREADS)


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


@dataclass(frozen=True, kw_only=True)
class ObjectOptions(PredictionOptions):
    """Options of objects."""

    score_threshold: float = option(0.5, 'Lowest score of an object, in [0, 1].', group='objects')
    iou_threshold: float = option(
        0.5,
        'Overlap of two boxes of a class above which they show one object, in [0, 1].',
        group='objects',
    )
    match: 'Match' = option(
        'iou',
        "Overlap is the shared area over that of both boxes together ('iou'), or over that of the"
        " smaller one ('ios'). Oriented boxes are measured as such, masks by their boxes.",
        group='objects',
        choices=Literal['iou', 'ios'],
    )
    preview: PathName | None = option(
        None, 'PNG file to write: the scene with the objects over it.', metavar='PNG'
    )

    def __post_init__(self) -> None:
        """Check what depends on neither model nor raster.

        Raises:
            ValueError: If a value is out of range.
        """
        super().__post_init__()
        for name in ('score_threshold', 'iou_threshold'):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f'{name} must be in [0, 1], got {getattr(self, name)}')


@dataclass(frozen=True, kw_only=True)
class PatchOptions(PredictionOptions):
    """Options of whole patches: vectors or classes."""

    usual = 224, 0

    size: int | Literal['auto'] = option(
        224, 'Side of a patch in pixels; most backbones were trained with 224.', group='patches'
    )
    overlap: int | Literal['auto'] = option(
        0,
        'Pixels that neighbouring patches share, in [0, size). A pixel of a map of patches covers'
        ' what is not shared, in the middle of its patch.',
        group='patches',
    )
    raster: PathName | None = option(
        None,
        'Map of one pixel per patch to write beside a table.',
        group='whole patches',
        metavar='FILE',
    )


_KINDS = (MapOptions, ObjectOptions, PatchOptions)
# in the order of a help text; results of one kind stand together
_GROUPS = (
    'scene', 'patches', 'maps', 'objects', 'whole patches', 'results', 'running', 'job arrays',
)  # fmt: skip


def list_options() -> list[Field[Any]]:
    """List the options that the command has words for, group by group, whatever is made."""
    known: dict[str, Field[Any]] = {}
    for kind in _KINDS:
        for each in fields(kind):
            if each.metadata['group']:
                known.setdefault(each.name, each)
    return sorted(known.values(), key=lambda each: _GROUPS.index(each.metadata['group']))


def describe_default(name: str) -> str:
    """Say what holds where the command has no such word; nothing where the option's text does."""
    defaults = {kind: each.default for kind in _KINDS for each in fields(kind) if each.name == name}
    usual = next(iter(defaults.values()))
    of_patches = defaults.get(PatchOptions, usual)
    texts = [] if usual in (None, ()) or isinstance(usual, bool) else [f'{usual}']
    return '; '.join(texts + ([f'of whole patches {of_patches}'] if of_patches != usual else []))
