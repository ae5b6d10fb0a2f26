"""The only place that opens a raster or a vector file."""
