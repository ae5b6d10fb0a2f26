"""Write features with any attributes, in the format that the ending of the file names."""

from os import PathLike
from pathlib import Path

import geopandas
import shapely

from .atomic import new_file
from .features import check_geojson
from .vectors import write_vectors

FRAME_SUFFIXES = ('.gpkg', '.parquet', '.geojson')
"""Endings that :func:`write_frame` knows."""


def write_frame(
    destination: str | PathLike[str], frame: geopandas.GeoDataFrame, *, overwrite: bool = False
) -> Path:
    """Write features as GeoPackage, GeoParquet or GeoJSON; the file appears only when complete.

    Args:
        destination: The file to make; its suffix chooses the format.
        frame: Features with a CRS, maybe none. Only GeoJSON is reprojected.
        overwrite: Replace an existing file.

    Returns:
        *destination* as a path.

    Raises:
        FileExistsError: If *destination* exists and *overwrite* is False.
        ValueError: If the suffix is unknown, *frame* has no CRS, or there are too many features for
            GeoJSON.
        OSError: If it cannot be written.
    """
    final = Path(destination)
    if final.suffix.lower() not in FRAME_SUFFIXES:
        raise ValueError(f'{final} must end in one of {", ".join(FRAME_SUFFIXES)}')
    if final.suffix.lower() == '.geojson':
        vertices = shapely.get_num_coordinates(frame.geometry.to_numpy())
        check_geojson(len(frame), vertices=int(vertices.sum()))
    if final.suffix.lower() != '.parquet':
        return write_vectors(final, frame, overwrite=overwrite)
    if frame.crs is None:
        raise ValueError(f'the features for {final} have no CRS; set one with frame.set_crs')
    with new_file(final, overwrite=overwrite) as temporary:
        frame.to_parquet(temporary, index=False, compression='zstd', write_covering_bbox=True)
    return final
