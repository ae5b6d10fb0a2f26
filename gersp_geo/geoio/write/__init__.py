"""Maps as files that other programs understand, whole or absent."""
