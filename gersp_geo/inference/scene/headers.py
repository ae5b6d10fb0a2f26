"""What is known of a scene before a pixel of it is read: headers, bands, areas of interest."""

from dataclasses import dataclass
from os import PathLike, fspath

import numpy as np
from numpy.typing import NDArray

from ...geoio.crs import name_crs
from ...geoio.read import RasterHeader, Rule, describe_reader, find_rule, open_reader, stored_blocks
from ...geoio.vector import Area
from ...geoio.warp import advise_place, describe_lack, open_scene
from ...preprocessing import Preprocessing
from ...windows import Window
from ..options import PredictionOptions
from .bands import check_blending, check_type, nodata_beside, select_bands


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A scene, as its file has it and as it is seen."""

    own: RasterHeader
    """Header of the file."""

    header: RasterHeader
    """Header on the grid that was asked for."""

    bands: tuple[int, ...]
    """1-based, in the model's order."""

    nodata: float | None
    """Value that means "no observation" besides what the file says itself."""

    rule: Rule
    """Where a pixel is an observation."""

    stored: NDArray[np.bool_] | None
    """Per block: whether the file holds it; None means all, or that it is not known."""


def read_scene(
    source: str | PathLike[str], record: Preprocessing, options: PredictionOptions
) -> Scene:
    """Read the headers of a scene, and find in it what a model wants.

    Args:
        source: The scene.
        record: How its values are prepared.
        options: What of it is read, and how.

    Returns:
        What they say.

    Raises:
        FileNotFoundError: If there is no such scene.
        UnreadableFileError: If GDAL cannot read it.
        ValueError: If an option, or the record, does not fit the scene.
    """
    name = fspath(source)
    # asked of the file itself: resampled, it says what it was opened with
    with open_reader(source) as src:
        own = describe_reader(src)
        check_type(own, record, source=name)
        bands = select_bands(own, record, bands=options.bands, source=name)
        rule = find_rule(src, bands, options.observed)
    nodata = nodata_beside(own, record, options.nodata)
    with open_scene(
        source, crs=options.crs, res=options.res, nodata=nodata, bands=bands, rule=rule
    ) as src:
        header = describe_reader(src)
        # a number that no file holds is no observation of its band
        blocks = stored_blocks(src, bands, in_all=rule == 'all')
    check_blending(own, header, bands, source=name)
    stored = None if blocks is None or blocks.all() else blocks
    return Scene(own=own, header=header, bands=bands, nodata=nodata, rule=rule, stored=stored)


def read_area_of(options: PredictionOptions, header: RasterHeader, *, source: str) -> Area | None:
    """Read the area of interest in the coordinates of the scene.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read or placed, or lies wholly outside; or if a layer is named
            without it.
    """
    if options.area is None and options.area_layer is not None:
        raise ValueError(
            f'area_layer (--area-layer) names a layer of area, got {options.area_layer!r} without '
            'area (--area)'
        )
    if options.area is None:
        return None
    if header.crs is None:
        raise ValueError(
            f'{source} {describe_lack(header)}, so that no area can be found in it; '
            f'{advise_place(header)}'
        )
    # what reads vector files takes long to import, and most scenes come without an area
    from ...geoio.vector import read_area

    area = read_area(
        options.area, crs=header.crs, layer=options.area_layer, x_range=header.x_range()
    )
    whole = Window(row_off=0, col_off=0, height=header.height, width=header.width)
    if not area.touches(header.transform, whole):
        bounds = [
            tuple(round(side, 3) for side in sides) for sides in (area.bounds, header.bounds())
        ]
        raise ValueError(
            f'{fspath(options.area)} lies wholly outside {source}: in {name_crs(header.crs)}, its '
            f'bounds are {bounds[0]}, and those of the scene {bounds[1]}'
        )
    return area
