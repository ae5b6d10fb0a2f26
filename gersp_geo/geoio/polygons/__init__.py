"""Polygons of the components of a class map, strip by strip.

``segments`` finds sides within a strip and what they join, ``rings`` follows them around, ``outlines``
keeps what is open between strips, and ``geometry`` turns outlines into polygons in a CRS.
"""
