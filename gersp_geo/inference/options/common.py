"""What maps, objects and patches have in common."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, Literal

from ..option_values import parse_bytes, parse_number, parse_shard, usable_cores
from .words import Averaging, PathName, Precision, RuntimeName, option

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule

    from ...preprocessing import Preprocessing

# more readers than this wait for each other more than for the disk
_MOST_THREADS = 8


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
