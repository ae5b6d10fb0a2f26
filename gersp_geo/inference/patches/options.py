"""The options of patches, checked as far as neither model nor scene is needed."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Self

from ...geoio.formats import GEOTIFF_SUFFIXES, TABLE_SUFFIXES
from ..options import CUTTING, PredictionOptions
from ..output_paths import check_destination

type PatchTask = Literal['embed', 'classify']
"""A vector per patch, or a class."""

SIZE = 224
"""Side of a patch in pixels, as most backbones were trained with."""


# those of prediction that patches have too
_SHARED = CUTTING | {'precision', 'channels_last'}


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchOptions:
    """The keyword arguments of :func:`.engine.embed_scene` and :func:`.engine.classify_scene`."""

    cutting: PredictionOptions
    """Those that prediction has too."""

    raster: Path | None = None
    """A map of one pixel per patch to write beside the table."""

    @classmethod
    def of(cls, arguments: dict[str, Any]) -> Self:
        """Take the options among the arguments of a function.

        Raises:
            ValueError: If an option is not known, not for patches, or out of range.
        """
        raster: str | PathLike[str] | None = arguments.get('raster')
        usual = {'size': SIZE, 'overlap': 0}
        return cls(
            cutting=PredictionOptions.of(
                usual | arguments, shared=_SHARED, own=('raster',), made='patches'
            ),
            raster=None if raster is None else Path(raster),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchFiles:
    """What is written: at least one of both."""

    table: Path | None
    """GeoParquet of one polygon per patch."""

    raster: Path | None
    """GeoTIFF of one pixel per patch."""

    @classmethod
    def of(
        cls,
        destination: str | PathLike[str],
        raster: Path | None,
        *,
        source: str | PathLike[str],
        overwrite: bool,
    ) -> Self:
        """Tell by the endings which file is which, before anything is done.

        Args:
            destination: Table or map of patches.
            raster: Map of patches beside a table.
            source: The scene.
            overwrite: Whether existing files may be replaced.

        Returns:
            The files.

        Raises:
            FileExistsError: If one exists and may not be replaced.
            ValueError: If an ending names no format, two maps are asked for, or one is the scene.
        """

        def check(path: str | PathLike[str], suffixes: tuple[str, ...], holds: str) -> Path:
            return check_destination(
                path, sources=(source,), suffixes=suffixes, holds=holds, overwrite=overwrite
            )

        final = check(
            destination, (*TABLE_SUFFIXES, *GEOTIFF_SUFFIXES), 'a table or map of patches'
        )
        is_table = final.suffix.lower() in TABLE_SUFFIXES
        if not is_table and raster is not None:
            raise ValueError(f'{final} is a map of patches already; leave out {raster}')
        if raster is not None:
            check(raster, GEOTIFF_SUFFIXES, 'a map of patches')
        return cls(table=final if is_table else None, raster=raster if is_table else final)
