"""Public names of a package, imported when they are first used (PEP 562).

torch and torchgeo take seconds to import; the command line, polygons and pictures do without.
"""

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from warnings import warn

type Getter = Callable[[str], object]
"""``__getattr__`` of a module."""


def public_names(package: str, homes: Mapping[str, str]) -> tuple[Getter, Callable[[], list[str]]]:
    """Make ``__getattr__`` and ``__dir__`` of a package.

    Args:
        package: Its ``__name__``.
        homes: Public name to the module that defines it, relative to the package.

    Returns:
        Both functions.
    """

    def get(name: str) -> object:
        if name not in homes:
            raise AttributeError(f'module {package!r} has no attribute {name!r}')
        try:
            module = import_module(f'.{homes[name]}', package)
        except AttributeError as error:
            # Python would take it for a name that is missing here, and guess another one
            raise ImportError(f'{package}.{homes[name]} cannot be imported: {error}') from error
        return getattr(module, name)

    return get, lambda: sorted(homes)


@contextmanager
def without_collector() -> Iterator[None]:
    """Import without Python's collector of garbage, which takes a sixth of the time and finds none."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def warn_of_former_home(module: str, now: str) -> None:
    """Say that a module has moved; for one release, it still has the names that documentation showed.

    Args:
        module: Its ``__name__``.
        now: Where the names are now.
    """
    warn(
        f'{module} is {now} now; the former name ends with the next release',
        DeprecationWarning,
        # of the import, past this function, the module and Python's own frames are skipped
        stacklevel=3,
    )
