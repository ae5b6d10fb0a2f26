"""The options of patches, checked as far as neither model nor scene is needed."""

from dataclasses import dataclass, fields
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Self

from ..options import PredictionOptions

type PatchTask = Literal['embed', 'classify']
"""A vector per patch, or a class."""

SIZE = 224
"""Side of a patch in pixels, as most backbones were trained with."""

TABLE_SUFFIXES = ('.parquet',)
MAP_SUFFIXES = ('.tif', '.tiff')

# those of prediction that patches have too
_SHARED = {
    'size', 'overlap', 'batch_size', 'bands', 'preprocessing', 'nodata', 'area', 'crs', 'res', 'device',
    'memory_limit', 'threads', 'task_class', 'precision', 'channels_last', 'overwrite',
}  # fmt: skip

# arguments that are no options
_CONTEXT = {'model', 'source', 'destination', 'progress'}


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchOptions:
    """The keyword arguments of :func:`.engine.embed_scene` and :func:`.engine.classify_scene`."""

    cutting: PredictionOptions
    """Those that prediction has too."""

    raster: Path | None = None
    """A map of one pixel per patch to write beside the table."""

    @classmethod
    def of(cls, arguments: dict[str, Any]) -> Self:
        """Take the options among the arguments of a function."""
        known = {field.name for field in fields(PredictionOptions)} | {'raster'}
        if unknown := sorted(set(arguments) - known - _CONTEXT):
            raise ValueError(
                f'{unknown[0]} is no option of patches, got {arguments[unknown[0]]!r}; leave it out'
            )
        raster: str | PathLike[str] | None = arguments.get('raster')
        return cls(
            cutting=PredictionOptions.of({'size': SIZE, 'overlap': 0} | arguments),
            raster=None if raster is None else Path(raster),
        )

    def __post_init__(self) -> None:
        """Check what depends on neither model nor raster.

        Raises:
            ValueError: If an option is for maps of pixels.
        """
        for option in fields(self.cutting):
            value = getattr(self.cutting, option.name)
            if option.name not in _SHARED and value != option.default:
                raise ValueError(
                    f'{option.name} is for maps of pixels, and patches make none; got {value!r}, '
                    'leave it out'
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchFiles:
    """What is written: at least one of both."""

    table: Path | None
    """GeoParquet of one polygon per patch."""

    raster: Path | None
    """GeoTIFF of one pixel per patch."""

    @classmethod
    def of(cls, destination: Path, raster: Path | None, *, overwrite: bool) -> Self:
        """Tell by the endings which file is which, before anything is done.

        Args:
            destination: Table or map of patches.
            raster: Map of patches beside a table.
            overwrite: Whether existing files may be replaced.

        Returns:
            The files.

        Raises:
            FileExistsError: If one exists and may not be replaced.
            ValueError: If an ending names no format, or two maps are asked for.
        """
        is_table = destination.suffix.lower() in TABLE_SUFFIXES
        if not is_table and destination.suffix.lower() not in MAP_SUFFIXES:
            raise ValueError(
                f'{destination} must end in {", ".join((*TABLE_SUFFIXES, *MAP_SUFFIXES))}: patches '
                'become a table of polygons, or a map of one pixel per patch'
            )
        if not is_table and raster is not None:
            raise ValueError(f'{destination} is a map of patches already; leave out {raster}')
        if raster is not None and raster.suffix.lower() not in MAP_SUFFIXES:
            raise ValueError(
                f'a map of patches must end in {" or ".join(MAP_SUFFIXES)}, got {raster}'
            )
        for path in (destination, raster):
            if path is not None and path.is_dir():
                raise FileExistsError(f'{path} is a folder; pass the path of a file')
            if path is not None and path.exists() and not overwrite:
                raise FileExistsError(
                    f'{path} exists; pass another path, or overwrite (--overwrite)'
                )
        return cls(
            table=destination if is_table else None, raster=raster if is_table else destination
        )
