"""Vector files: read onto rasters, and written batch by batch."""

from .antimeridian import bring_near
from .aoi import Area
from .features import Attribute, Features
from .geoparquet import read_rows
from .layers import attribute_texts
from .placement import place_around, rasters_bounds, repair, reproject_bounds
from .rasterize import burn, outline_mask
from .read import read_area, read_vectors
from .write import (
    TooManyPolygonsError,
    Write,
    check_format,
    check_geojson,
    check_suffix,
    describe_left_out,
    new_features,
    read_features,
)

__all__ = (
    'Area', 'Attribute', 'Features', 'TooManyPolygonsError', 'Write', 'attribute_texts', 'bring_near', 'burn',
    'check_format', 'check_geojson', 'check_suffix', 'describe_left_out', 'new_features',
    'outline_mask', 'place_around', 'rasters_bounds', 'read_area', 'read_features', 'read_rows',
    'read_vectors', 'repair', 'reproject_bounds',
)  # fmt: skip
