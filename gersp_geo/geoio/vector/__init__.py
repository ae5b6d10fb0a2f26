"""Vector files: read onto rasters, and written batch by batch.

Names are imported when they are first used: geopandas and pyarrow take long.
"""

from typing import TYPE_CHECKING

from ...lazy import public_names

if TYPE_CHECKING:
    from .antimeridian import bring_near
    from .aoi import Area
    from .features import Attribute, Features
    from .geoparquet import read_rows
    from .layers import attribute_texts
    from .placement import place_around, rasters_bounds, reproject_bounds
    from .rasterize import burn, outline_mask
    from .read import read_area, read_vectors
    from .write import check_format, check_geojson, check_suffix, describe_left_out, new_features

__all__ = (
    'Area', 'Attribute', 'Features', 'attribute_texts', 'bring_near', 'burn', 'check_format',
    'check_geojson', 'check_suffix', 'describe_left_out', 'new_features', 'outline_mask',
    'place_around', 'rasters_bounds', 'read_area', 'read_rows', 'read_vectors', 'reproject_bounds',
)  # fmt: skip

__getattr__, __dir__ = public_names(
    __name__,
    {
        'bring_near': 'antimeridian', 'Area': 'aoi', 'Attribute': 'features',
        'Features': 'features', 'read_rows': 'geoparquet', 'attribute_texts': 'layers',
        'burn': 'rasterize', 'outline_mask': 'rasterize', 'read_area': 'read',
        'read_vectors': 'read', 'place_around': 'placement', 'rasters_bounds': 'placement',
        'reproject_bounds': 'placement', 'check_format': 'write', 'check_geojson': 'write',
        'check_suffix': 'write', 'describe_left_out': 'write', 'new_features': 'write',
    },
)  # fmt: skip
