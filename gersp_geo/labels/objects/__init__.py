"""Objects of images, their outlines and classes, from files of any format.

``options`` says which files and how, ``coco``, ``voc``, ``text_files``, ``csv_rows`` and ``vector``
read them, ``checking`` refuses what cannot be, and ``cut`` says what a patch shows.
"""

from .cut import Cut, objects_in
from .options import Format, ObjectOptions, open_objects
from .table import Objects, ObjectSource, ObjectTables

__all__ = (
    'Cut', 'Format', 'ObjectOptions', 'ObjectSource', 'ObjectTables', 'Objects', 'objects_in',
    'open_objects',
)  # fmt: skip
