"""References of any kind, brought onto the grid of a map and counted."""
