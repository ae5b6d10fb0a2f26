"""Vector files: read onto rasters, and written batch by batch."""

from typing import TYPE_CHECKING

from ...lazy import public_names

if TYPE_CHECKING:
    from .antimeridian import bring_near, unroll
    from .aoi import Area
    from .features import Attribute, Features, describe_left_out
    from .geoparquet import read_rows
    from .layers import attribute_texts
    from .placement import place_around, rasters_bounds, repair, reproject, reproject_bounds
    from .points import write_points
    from .rasterize import burn, outline_mask
    from .read import read_area, read_vectors
    from .write import (
        TooManyPolygonsError,
        Write,
        check_format,
        check_geojson,
        check_suffix,
        new_features,
        read_features,
    )

__all__ = (
    'Area', 'Attribute', 'Features', 'TooManyPolygonsError', 'Write', 'attribute_texts', 'bring_near', 'burn',
    'check_format', 'check_geojson', 'check_suffix', 'describe_left_out', 'new_features',
    'outline_mask', 'place_around', 'rasters_bounds', 'read_area', 'read_features', 'read_rows',
    'read_vectors', 'repair', 'reproject', 'reproject_bounds', 'unroll',
    'write_points',
)  # fmt: skip

__getattr__, __dir__ = public_names(
    __name__,
    {
        'Area': 'aoi', 'Attribute': 'features', 'Features': 'features',
        'TooManyPolygonsError': 'write', 'Write': 'write', 'attribute_texts': 'layers',
        'bring_near': 'antimeridian', 'burn': 'rasterize', 'check_format': 'write',
        'check_geojson': 'write', 'check_suffix': 'write', 'describe_left_out': 'features',
        'new_features': 'write', 'outline_mask': 'rasterize', 'place_around': 'placement',
        'rasters_bounds': 'placement', 'read_area': 'read', 'read_features': 'write',
        'read_rows': 'geoparquet', 'read_vectors': 'read', 'repair': 'placement',
        'reproject': 'placement', 'reproject_bounds': 'placement', 'unroll': 'antimeridian',
        'write_points': 'points',
    },
)  # fmt: skip
