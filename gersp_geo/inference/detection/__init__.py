"""Objects over scenes of any size: boxes or outlines in a vector file, each object once.

``preparing`` decides everything from headers and writes it into a ``plan``; ``models`` says what a detector returns and refuses
what is none; ``objects`` places what a model found in one patch; ``streaming`` reads, forwards and
suppresses across patches; ``features`` makes rows of a vector file; ``engine`` runs it all, and
``command`` serves the command.
"""

from .engine import detect_objects
from .summary import DetectionSummary

__all__ = ('DetectionSummary', 'detect_objects')
