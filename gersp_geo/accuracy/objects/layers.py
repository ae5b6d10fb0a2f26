"""Right, wrong and missed objects as layers of a GeoPackage, to look at."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
from numpy.typing import NDArray
from pyproj import CRS

from ...geoio.write import check_absent, new_file
from .matching import Objects, Overlaps

TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE = 'true_positive', 'false_positive', 'false_negative'


def check_layers(
    destination: str | PathLike[str], *, read: Sequence[str | PathLike[str]], overwrite: bool
) -> None:
    """Refuse files that cannot be made, before any work.

    Args:
        destination: File to make.
        read: Files that are read.
        overwrite: Replace an existing file.

    Raises:
        ValueError: If it is no GeoPackage, or one of those that are read.
        FileExistsError: If it exists and *overwrite* is False.
    """
    if Path(destination).suffix.lower() != '.gpkg':
        raise ValueError(f'layers lie in a GeoPackage (.gpkg), got {destination}; rename it')
    if Path(destination).resolve() in [Path(path).resolve() for path in read]:
        raise ValueError(f'layers would replace {destination}, which is read; name another file')
    check_absent(Path(destination), overwrite=overwrite)


def write_layers(
    destination: str | PathLike[str],
    *,
    crs: CRS,
    names: tuple[str, ...],
    predicted: Objects,
    reference: Objects,
    overlaps: Overlaps,
    chosen: Mapping[str, NDArray[np.bool_]],
    overwrite: bool,
) -> None:
    """Write three layers: true_positive, false_positive and false_negative.

    Args:
        destination: GeoPackage to make.
        crs: Of all outlines.
        names: Of the classes.
        predicted: Predicted objects, those of the first two layers.
        reference: Objects of the reference, those of the last.
        overlaps: Their largest overlaps.
        chosen: Which objects belong to a layer, by its name.
        overwrite: Replace an existing file.
    """
    with new_file(destination, overwrite=overwrite) as path:
        for layer in (TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE):
            is_missed = layer == FALSE_NEGATIVE
            objects = reference if is_missed else predicted
            best = overlaps.best_reference if is_missed else overlaps.best_predicted
            rows = np.flatnonzero(chosen[layer])
            columns: dict[str, Any] = {
                'class': np.array(names, dtype=object)[objects.classes[rows]],
                'iou': best[rows],
            }
            if not is_missed:
                columns['score'] = objects.scores[rows]
            frame = geopandas.GeoDataFrame(columns, geometry=objects.outlines[rows], crs=crs)
            frame.to_file(
                path, layer=layer, driver='GPKG', engine='pyogrio', geometry_type='MultiPolygon',
                promote_to_multi=True,
            )  # fmt: skip
