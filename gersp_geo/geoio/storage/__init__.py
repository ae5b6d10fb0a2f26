"""Objects in stores (``s3://``, ``gs://``, ``az://``): looked up, and written whole.

They are reached by the settings of GDAL, so that one set of environment variables does for reading
scenes and for writing what is made of them. No package is imported before such a name is used.
"""

from .names import SCHEMES, ObjectName, is_remote, local_copy, object_of, object_read
from .objects import StoredObject, check_stores, download, list_objects, look_up, upload

__all__ = (
    'SCHEMES', 'ObjectName', 'StoredObject', 'check_stores', 'download', 'is_remote',
    'list_objects', 'local_copy', 'look_up', 'object_of', 'object_read', 'upload',
)  # fmt: skip
