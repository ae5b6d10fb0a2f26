"""Count, name and limit the files that a run leaves out because they cannot be read."""

import warnings
from collections.abc import Iterable

from ..geoio.read import UnreadableFileError
from ..messages import name_some

# Share of files that a run may leave out: a damaged few do not change what is learnt, while more
# hint at a broken copy or disk
LIMIT = 0.01

# a message names so many files
NAMED = 10


class Unreadable:
    """Counts distinct files."""

    def __init__(self, files: int) -> None:
        """Initialize a new Unreadable instance for so many files in all."""
        self.files = files
        self._all: dict[str, None] = {}
        self._new: dict[str, None] = {}

    def add(self, names: Iterable[str]) -> None:
        """Count files, each once.

        Raises:
            UnreadableFileError: If they are more than 1 % by now.
        """
        for name in names:
            self._new[name] = self._all[name] = None
        if len(self._all) > LIMIT * self.files:
            raise UnreadableFileError(
                next(iter(self._all)),
                f"on_error='skip' leaves out at most {LIMIT:.0%} of the files, got "
                f'{len(self._all)} '
                f'of {self.files} that cannot be read: {name_some([*self._all], most=NAMED)}; '
                'repair or remove them',
            )

    def report(self) -> None:
        """Name the files that were added since the last report.

        Warns:
            UserWarning: If there are any.
        """
        if self._new:
            warnings.warn(
                f'{len(self._new)} of {self.files} files cannot be read and are left out: '
                f'{name_some([*self._new], most=NAMED)}',
                stacklevel=2,
            )
        self._new = {}
