"""Forms in which one model can run: as it is, laid out otherwise, compiled, or as a graph."""
