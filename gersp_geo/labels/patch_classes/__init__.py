"""Classes of whole patches: of the images that they are cut from, or of the places they show."""

from .options import ClassOptions
from .target import PatchClasses

__all__ = ('ClassOptions', 'PatchClasses')
