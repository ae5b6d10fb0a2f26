"""Pages of HTML that open from disk, on a screen of any width, and need nothing but themselves.

``map_report`` shows how right a map is, ``object_report`` how right objects are, ``run_report`` how a
training went, and ``comparison_report`` which weights lead. ``page`` makes elements and writes them, in the ``style`` that all share;
``charts`` draws intervals and curves.
"""

from typing import TYPE_CHECKING

from ..lazy import public_names

if TYPE_CHECKING:
    from .comparison_report import write_comparison_report
    from .map_report import write_map_report
    from .object_report import write_object_report
    from .run_report import write_run_report

__all__ = (
    'write_comparison_report', 'write_map_report', 'write_object_report', 'write_run_report',
)  # fmt: skip

__getattr__, __dir__ = public_names(
    __name__,
    {
        'write_comparison_report': 'comparison_report',
        'write_map_report': 'map_report',
        'write_object_report': 'object_report',
        'write_run_report': 'run_report',
    },
)
