"""Endings of the names of files, by what the files hold."""

GEOTIFF_SUFFIXES = ('.tif', '.tiff')
"""Endings of GeoTIFFs, the format of the maps that are written."""

SCENE_SUFFIXES = (*GEOTIFF_SUFFIXES, '.gtif', '.vrt', '.jp2', '.img')
"""Endings by which rasters are found in a folder; any raster can be named by itself."""

IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.webp')
"""Endings of pictures without a place that are found in a folder."""

LIST_SUFFIXES = ('.txt',)
"""Endings of lists of names."""

TABLE_SUFFIXES = ('.parquet',)
"""Endings of the tables of patches, which hold lists of numbers."""

TEXT_TABLE_SUFFIXES = ('.csv', '.tsv', '.txt')
"""Endings of tables of labels in text."""

FEATURE_SUFFIXES = ('.gpkg', *TABLE_SUFFIXES, '.geojson')
"""Endings of the files of polygons that are written."""

PICTURE_SUFFIXES = ('.png',)
"""Endings of the pictures that are written."""
