"""What rides along with training.

- ``record``: how inputs were prepared, in every checkpoint (``probing`` asks foreign data modules);
- ``resuming``: random states, so that a resumed run takes the steps of one that was not stopped
  (``stopping`` ends it between steps, ``saving`` writes checkpoints that are whole or absent,
  ``plain`` makes them load safely);
- ``collapse``: a warning when embeddings stop telling images apart;
- ``views``: a picture of the first batch beside its augmented views (drawn by ``figures``);
- ``knn``: how well frozen features tell classes apart, on labelled images (read by ``chips``).
"""

from .collapse_monitor import CollapseMonitor
from .exact_resume import ExactResume
from .knn import OnlineKNN
from .preprocessing_record import PreprocessingRecord
from .views import ViewPairs

__all__ = ('CollapseMonitor', 'ExactResume', 'OnlineKNN', 'PreprocessingRecord', 'ViewPairs')
