"""What an export must not replace: the weights that it is made from."""

from os import PathLike
from pathlib import Path


def refuse_source(source: object, destination: Path) -> None:
    """Refuse to write a backbone over the file or folder that it is read from.

    An export holds less than its source: neither head nor optimizer.

    Args:
        source: What is exported; only paths matter.
        destination: The file or folder to make.

    Raises:
        ValueError: If one is the other, under whatever name, or lies in the other.
    """
    if not isinstance(source, str | PathLike) or not destination.exists():
        return
    given = Path(source)
    if not given.exists():
        return
    one, other = given.resolve(), destination.resolve()
    if destination.samefile(given) or one in other.parents or other in one.parents:
        raise ValueError(
            f'{destination} would replace what it is made from, {given}, and holds less; pass another '
            'destination'
        )
