"""Files beside a raster: GDAL reads masks, overviews and metadata from them too."""

from collections.abc import Iterator
from contextlib import contextmanager
from os.path import isfile, splitext

import rasterio
from rasterio.env import get_gdal_config
from rasterio.session import DummySession

ENDINGS = ('.aux.xml', '.msk', '.ovr', '.aux')
"""Endings that files beside a raster have after its name."""

SUFFIXES = ('.aux', '.tfw', '.wld', '.tab')
"""Endings that files have in place of the suffix of the raster: metadata and its place."""

# https://gdal.org/en/stable/user/configoptions.html#general-options
LOOK = 'GDAL_DISABLE_READDIR_ON_OPEN'
PAM = 'GDAL_PAM_ENABLED'


def is_local(name: str) -> bool:
    """Say whether a name means a path of this machine, and nothing that only GDAL understands."""
    return '://' not in name and not name.startswith('/vsi') and ':' not in name[2:]


def names_beside(file: str) -> list[str]:
    """Name the files that would belong to a raster, whether they exist or not."""
    stem = splitext(file)[0]
    return [*(file + ending for ending in ENDINGS), *(stem + suffix for suffix in SUFFIXES)]


def find_owner(file: str) -> str | None:
    """Name the raster beside which GDAL reads a file, such as a mask; None if there is none."""
    owners = (file[: -len(ending)] for ending in ENDINGS if file.lower().endswith(ending))
    return next(filter(isfile, owners), None)


@contextmanager
def looking_by_name(file: str) -> Iterator[None]:
    """Let GDAL ask for each file beside a local raster by its name, while the raster is opened.

    By default it lists the folder, which takes longer than all the rest if there are thousands of
    files in it. It finds the same files. What the user has set stays as it is, and so does what
    GDAL does with names that are no local paths: there each question is one to a server.

    Args:
        file: The raster.

    Yields:
        Nothing.
    """
    if not is_local(file) or get_gdal_config(LOOK) is not None:
        yield
        return
    # an open file remembers how to look, also for what is asked for later; without a session of
    # its own, the environment would ask for credentials, which takes long
    with rasterio.Env.from_defaults(session=DummySession(), **{LOOK: 'TRUE'}):
        yield


def ways_of_looking() -> list[str]:
    """Tell what the user has set about files beside a raster, for what is remembered of one."""
    settings = {name: get_gdal_config(name, normalize=False) for name in (LOOK, PAM)}
    return [f'{name}={value}' for name, value in settings.items() if value is not None]
