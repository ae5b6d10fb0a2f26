"""Vector files: read onto rasters, and written batch by batch."""
