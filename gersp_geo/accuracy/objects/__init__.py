"""Objects that were found, judged against those that are there."""

from typing import TYPE_CHECKING

from ...lazy import public_names

if TYPE_CHECKING:
    from .assessing import assess_objects
    from .figures import ClassObjects, ObjectAccuracy

__all__ = ('ClassObjects', 'ObjectAccuracy', 'assess_objects')

__getattr__, __dir__ = public_names(
    __name__,
    {'ClassObjects': 'figures', 'ObjectAccuracy': 'figures', 'assess_objects': 'assessing'},
)
