"""Rasters seen on another grid."""
