"""What validation and test found: metrics per class by name, confusion matrices and pictures.

- ``tallies`` count pixels, images and values, and ``objects`` judge boxes and masks, batch by
  batch;
- ``summary`` holds what comes of that, and ``files`` writes it;
- ``figures`` draw confusion matrices, and patches with truth and prediction (``patches``);
- ``watch`` takes what a task returns (``tasks`` says what that is), and ``validation_report`` is the
  callback.
"""

from .validation_report import ValidationReport

__all__ = ('ValidationReport',)
