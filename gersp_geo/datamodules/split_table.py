"""Which ground is of which split, as a table that a map can show."""

import numpy as np
import shapely
from geopandas import GeoDataFrame, GeoSeries
from pandas import concat

from ..datasets.index import group_by_crs
from ..geoio.grids import place_points
from .ground import Split
from .patches import ScannedBlocks

LONGITUDE_LATITUDE = 'OGC:CRS84'


def tabulate_split(scanned: ScannedBlocks, split: Split) -> GeoDataFrame | None:
    """Draw the blocks of all images.

    Args:
        scanned: The blocks.
        split: Their splits.

    Returns:
        Columns 'split' ('train', 'val', 'test', or 'none' for blocks without labels), 'image' (its
        path), 'labels' (their number) and the outline, in the CRS of the images, or in longitude
        and latitude if they have several. None if no image has a place.
    """
    of = {i: name for name in ('train', 'val', 'test') for i in getattr(split, name)}
    images, tables = scanned.tiles.images, []
    placed = [tile for tile in range(len(images.tiles)) if images.tiles[tile].crs is not None]
    groups = group_by_crs([images.tiles[tile] for tile in placed])
    for crs, rows in groups:
        tiles = {placed[row] for row in rows}
        chosen = [i for i, block in enumerate(scanned.blocks) if block.tile in tiles]
        columns = {
            'split': [of.get(i, 'none') for i in chosen],
            'image': [images.files[scanned.blocks[i].tile] for i in chosen],
            'labels': scanned.counts[chosen].sum(axis=1),
        }
        outlines = GeoSeries([outline(scanned, i) for i in chosen], crs=crs)
        target = crs if len(groups) == 1 else LONGITUDE_LATITUDE
        tables.append(GeoDataFrame(columns, geometry=outlines.to_crs(target)))
    return None if not tables else GeoDataFrame(concat(tables, ignore_index=True))


def outline(scanned: ScannedBlocks, number: int) -> shapely.Polygon:
    """Draw one block in the CRS of its image."""
    block = scanned.blocks[number]
    window = block.window
    corners = shapely.get_coordinates(
        shapely.box(window.col_off, window.row_off, window.col_stop, window.row_stop)
    )
    transform = scanned.tiles.images.tiles[block.tile].transform
    return shapely.Polygon(np.asarray(place_points(transform, corners)))
