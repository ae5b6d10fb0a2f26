"""Pixels, validity and headers of rasters."""
