"""What an output is: the contract between the engine and what is made of scores."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from torch import Tensor

from ...geoio.read import RasterHeader
from ...geoio.write import MapLayout
from ...stitching import Weighting
from ...tiling import TilePlan, plan_tile
from ...windows import Panel
from ..model.load import LoadedModel, load_model
from ..model.predictor import View
from ..model.runtimes.availability import FORMS
from ..options import RuntimeName
from ..output_paths import FileToMake
from ..resume.entries import Counts, Entry, PartFile
from ..scene.batches import PatchBatch, RowEnd
from ..scene.tiling import weigh_patches
from .part_arrays import is_sound

if TYPE_CHECKING:
    from ..plan import PredictionPlan
    from ..resume.parts import PlannedPart

type Predictor = Callable[[Tensor, Tensor | None], Any]
"""From pixels (B, C, H, W) and where they are known to what the model says about each patch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker(ABC):
    """Makes one kind of output of any scene, by a model that is loaded once."""

    made: ClassVar[str]
    """What is made, for messages."""

    result: ClassVar[str]
    """What the file asked for is called in a plan."""

    suffix: ClassVar[str]
    """How files in a folder of many end."""

    loaded: LoadedModel
    """The model, with the record of how its input is prepared."""

    @classmethod
    def load(cls, model: Any, options: Any) -> Self:
        """Load the model.

        Raises:
            FileNotFoundError: If a file does not exist.
            ValueError: If it is damaged or of another kind, or an option does not go with it.
        """
        return cls(
            loaded=load_model(
                model,
                preprocessing=options.preprocessing,
                task_class=options.task_class,
                dates=options.dates,
            )
        )

    @staticmethod
    @abstractmethod
    def list_files(destination: str | PathLike[str], options: Any) -> list[FileToMake]:
        """List the files to make, the one asked for first.

        Raises:
            ValueError: If they cannot all be made.
        """

    def check_header(self, header: RasterHeader, files: Sequence[FileToMake], source: str) -> None:  # noqa: B027 - most results can be made of any scene
        """Refuse a scene of which the files cannot be made.

        Raises:
            ValueError: If it is one.
        """

    def cut(self, height: int, width: int, options: Any) -> TilePlan:
        """Cut a scene of some rows and columns into patches; the last ones end with the scene."""
        return plan_tile(
            height, width, size=options.side, overlap=options.shared, step=options.step
        )

    def weigh(self, tiles: TilePlan, options: Any) -> Weighting:
        """Weigh the pixels of patches, which says too what is settled when."""
        return weigh_patches(tiles, blend='crop', margin=0)

    @abstractmethod
    def placed(self, device: str, options: Any) -> Self:
        """Move the model to its device, compile it if asked for, and learn what it returns.

        Raises:
            ValueError: If it returns something else than is needed.
        """

    def vary(self, options: Any, folder: Path) -> list[tuple[Path, Any]]:
        """List what else is made of the scene, to be compared: file in a folder, and options."""
        return []

    @abstractmethod
    def plan(
        self, header: RasterHeader, tiles: TilePlan, files: Sequence[FileToMake], options: Any
    ) -> 'Output[Any]':
        """Decide what is written, once the model was placed."""


type Finished = tuple[Path, Path]
"""A complete file in the work folder, and the name that it gets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled[Content]:
    """What a row of patches settled: nothing that comes later changes it."""

    row: int
    """The row of patches."""

    row_off: int
    """First row of pixels."""

    height: int
    """Rows of pixels, maybe none."""

    content: Content
    """What is known there now."""

    valid_pixels: int
    """Pixels with an observation of interest."""

    forwarded: int
    """Patches of the row that were given to the model."""

    @classmethod
    def of(cls, plan: 'PredictionPlan', end: RowEnd, content: Content) -> 'Settled[Content]':
        """Say what the end of a row of patches settled."""
        start, stop = plan.weighting.rows.settled[end.row]
        return Settled(
            row=end.row,
            row_off=start,
            height=stop - start,
            content=content,
            valid_pixels=sum(piece.valid_pixels for piece in end.pieces),
            forwarded=end.forwarded,
        )


def count(settled: Sequence[Settled[Any]]) -> Counts:
    """Count what some rows hold, whatever is made of it."""
    return Counts(
        valid_pixels=sum(rows.valid_pixels for rows in settled),
        forwarded=sum(rows.forwarded for rows in settled),
    )


class OpenRows[Content](Protocol):
    """What of a panel is not settled yet."""

    def add(self, batch: PatchBatch, found: Any) -> None:
        """Take what the model says about the patches of a batch."""

    def settle(self, end: RowEnd) -> Settled[Content]:
        """Close a row of patches, and hand out what no later one changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a run."""

    counts: Counts
    """What all finished parts hold."""

    parts: int
    """Parts that were predicted now."""

    parts_before: int
    """Parts that an earlier run, or other shards, had finished."""

    pixels_now: int
    """Pixels of the parts that were predicted now."""

    seconds: float
    """Time from the first read to the finished files."""

    seconds_finishing: float
    """The part of it that making files of parts took."""

    is_complete: bool
    """Whether the files are made; shards leave that to whoever merges them."""

    facts: Any = None
    """What the output learnt while it made its files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output[Content](ABC):
    """What is made of a scene. It knows its model, its files, and how parts become these.

    Unless an output says otherwise, each patch stands for itself, and what is known of a part is in
    one file of arrays.
    """

    files: tuple[Path, ...]
    """Files to make, the one asked for first."""

    channels: int = 0
    """Scores per pixel that are held; 0 where none are."""

    @property
    def forms(self) -> tuple[RuntimeName, ...]:
        """Forms of its model that it can do with."""
        return FORMS

    def run_by(self, form: LoadedModel) -> Self:
        """Make the same by a form of its model."""
        return self

    @property
    def layouts(self) -> tuple[MapLayout, ...]:
        """Of the maps whose rows are held until they are settled, for what they take."""
        return ()

    @property
    def turn(self) -> View:
        """How each patch is flipped and transposed before the model looks at it."""
        return (), False

    @property
    def is_blended(self) -> bool:
        """Whether scores are held until neighbours have added theirs."""
        return False

    @property
    @abstractmethod
    def lines(self) -> Mapping[str, str]:
        """What is made, for a plan: name to text."""

    @property
    def joining(self) -> str:
        """How neighbouring patches are joined, for the line of a plan; empty where they are not."""
        return ''

    @property
    @abstractmethod
    def identity(self) -> Mapping[str, Any]:
        """What decides the result besides the scene, the model and how it is run; plain values."""

    @property
    def tags(self) -> Mapping[str, str]:
        """How patches were joined, for the metadata of files; name to value."""
        return {}

    def first_row(self, plan: 'PredictionPlan', rows: range) -> int:
        """Say which row of patches is the first that bears upon some rows."""
        return rows.start

    @abstractmethod
    def predictor(self, plan: 'PredictionPlan') -> Predictor:
        """Prepare the model, which is in evaluation mode, as the plan says."""

    @abstractmethod
    def open_rows(
        self, plan: 'PredictionPlan', panel: Panel, *, first_row: int
    ) -> OpenRows[Content]:
        """Begin a panel at a row of patches."""

    @abstractmethod
    def write(
        self,
        plan: 'PredictionPlan',
        part: 'PlannedPart',
        settled: Sequence[Settled[Content]],
        folder: Path,
    ) -> tuple[tuple[PartFile, ...], Counts]:
        """Write what was settled in a part into files, which are whole even after a power cut."""

    def fits(self, entry: Entry) -> bool:
        """Say whether an entry of a journal can be one of this output."""
        return len(entry.files) <= 1 and not entry.counts.class_pixels

    def is_sound(self, part: 'PlannedPart', file: PartFile, folder: Path) -> bool:
        """Say whether a file of a part is there, and as it was written."""
        return is_sound(file, folder)

    @abstractmethod
    def finish(
        self,
        plan: 'PredictionPlan',
        parts: Sequence[tuple['PlannedPart', Entry]],
        folder: Path,
        tags: Mapping[str, str],
        *,
        place: Path,
    ) -> tuple[list[Finished], Any]:
        """Make files of all parts, from the first to the last, in bounded memory.

        Args:
            plan: The plan.
            parts: All parts in their order.
            folder: Where the files of parts lie.
            tags: How the result was made, name to value, for metadata.
            place: Where files are made.

        Returns:
            The complete files, and what is only known now, for the summary.
        """

    @abstractmethod
    def summarize(self, plan: 'PredictionPlan', result: Result) -> Any:
        """Sum up what was done, and what had been done before."""

    def check_drawing(self) -> None:  # noqa: B027 - most results can be drawn
        """Refuse to draw what cannot be drawn, before anything is made.

        Raises:
            ValueError: If it cannot.
        """

    @abstractmethod
    def draw(self, plan: 'PredictionPlan', summary: Any, picture: Path) -> Path:
        """Draw the scene and what was made of it; replaces a picture."""
