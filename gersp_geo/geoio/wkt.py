"""Coordinate reference systems as text."""

from functools import lru_cache

from rasterio.crs import CRS
from rasterio.enums import WktVersion
from rasterio.errors import CRSError


@lru_cache(maxsize=256)
def crs_text(crs: CRS) -> str:
    """Write a coordinate reference system as WKT 2, which keeps the order of its axes.

    One that WKT 2 does not give back, such as ESRI:102113, is written as WKT 1 if that does.
    """
    text = str(crs.to_wkt(version=WktVersion.WKT2_2019))
    try:
        if CRS.from_wkt(text) == crs or CRS.from_wkt(crs.to_wkt()) != crs:
            return text
    except CRSError:
        return text
    return str(crs.to_wkt())
