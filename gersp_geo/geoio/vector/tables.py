"""Tables of points: coordinates in columns rather than geometries."""

import geopandas
import numpy as np
import pandas
from numpy.typing import NDArray

# names in any case; degrees of the World Geodetic System are what receivers and spreadsheets hold
_LONGITUDES = ('lon', 'long', 'lng', 'longitude')
_LATITUDES = ('lat', 'latitude')
_CRS = 'EPSG:4326'


def place_table(table: pandas.DataFrame, source: str) -> geopandas.GeoDataFrame:
    """Turn the rows of a table into points by its columns of longitude and latitude.

    Args:
        table: Without geometries; numbers may be text.
        source: Its file, for messages.

    Returns:
        A point per row, none where both coordinates are missing, in EPSG:4326.

    Raises:
        ValueError: If there is not one column of each, or a coordinate is none.
    """
    columns = [
        [name for name in table.columns if str(name).strip().casefold() in known]
        for known in (_LONGITUDES, _LATITUDES)
    ]
    if [len(found) for found in columns] != [1, 1]:
        raise ValueError(
            f'{source} is a table without geometries, and without one column lon and one lat; '
            f'convert it, for example with ogr2ogr points.gpkg {source} -oo X_POSSIBLE_NAMES=x -oo '
            'Y_POSSIBLE_NAMES=y -a_srs EPSG:32633'
        )
    (x,), (y,) = columns
    lon, lat = _read_degrees(table, x, 360, source), _read_degrees(table, y, 90, source)
    half = np.isnan(lon) != np.isnan(lat)
    if half.any():
        raise ValueError(
            f'{source} has {int(half.sum())} rows with only one of {x!r} and {y!r}, the first is row '
            f'{int(np.flatnonzero(half)[0]) + 1}; fill or remove them'
        )
    points = geopandas.GeoSeries.from_xy(lon, lat, crs=_CRS)
    points[np.isnan(lon)] = None
    return geopandas.GeoDataFrame(table.drop(columns=[x, y]), geometry=points)


def _read_degrees(
    table: pandas.DataFrame, name: str, most: float, source: str
) -> NDArray[np.float64]:
    """Read a column of degrees; NaN where it is blank."""
    given = table[name].astype('object')
    text = given.map(lambda value: '' if pandas.isna(value) else str(value).strip())
    values = pandas.to_numeric(text, errors='coerce').to_numpy(np.float64, na_value=np.nan)
    wrong = (text != '').to_numpy() & ~(np.abs(values) <= most)
    if wrong.any():
        place = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f'{name!r} of {source} holds degrees in [-{most}, {most}], got {text.iloc[place]!r} in row '
            f'{place + 1}; write numbers with a point'
        )
    return np.asarray(values)
