"""Notice that a scene changes while it is read: the result would be of two contents."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Self

from ...geoio.read import UnreadableFileError, list_files


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceWatch:
    """What the files of scenes were like before anything of them was read."""

    files: tuple[tuple[str, tuple[int, int] | None], ...]
    """Per file: its name, and size and time of change; None for what is no local file."""

    @classmethod
    def of(cls, sources: Sequence[str | PathLike[str] | None]) -> Self:
        """Look at the files of scenes, those that virtual rasters refer to among them.

        Args:
            sources: Scenes; None stands for none.

        Returns:
            The watch.

        Raises:
            FileNotFoundError: If a scene does not exist.
            UnreadableFileError: If GDAL cannot read one.
        """
        named = [file for source in sources if source is not None for file in list_files(source)]
        # a mask that comes to a file later would be read by whoever opens it from then on
        watched = dict.fromkeys(name for file in named for name in (file, f'{file}.msk'))
        return cls(files=tuple((name, _look(name)) for name in watched))

    def check(self) -> None:
        """Compare; it takes some microseconds per file.

        Raises:
            UnreadableFileError: If a file has changed, come or gone.
        """
        for name, before in self.files:
            if _look(name) != before:
                raise UnreadableFileError(
                    name,
                    f'{name} changed while it was read, and the result would be of two contents; '
                    'begin anew (--overwrite) when nothing writes to it any more',
                )


def _look(file: str) -> tuple[int, int] | None:
    """Take size and time of change of a local file."""
    try:
        status = Path(file).stat()
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns
