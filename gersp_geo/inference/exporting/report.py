"""What an export of a whole model says about itself."""

from dataclasses import dataclass
from pathlib import Path

from ...models.remote_files import tell_download
from .stac import Described


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReport:
    """What :func:`.whole.export_model` wrote."""

    path: Path
    """The graph."""

    source: str
    """What it was made from."""

    described: Described
    """What it is."""

    without_deepness: str | None
    """Why there are no metadata for Deepness; None where there are."""

    item: Path | None
    """The STAC item."""

    without_item: str | None = None
    """Why there is none."""

    def __str__(self) -> str:
        """Sum up."""
        lines = {
            'model': f'backbone and head of {self.source}, {self.described.tasks[0]}'
            + tell_download(self.described.provenance),
            'input': self._tell_input(),
            'output': self._tell_output(),
            'Deepness': 'metadata for this plugin of QGIS'
            + ('' if self.without_deepness is None else f' are left out: {self.without_deepness}'),
            'STAC': str(self.item) if self.item else f'no item: {self.without_item}',
        }
        return '\n'.join([str(self.path), *(f'  {name:<9} {text}' for name, text in lines.items())])

    def _tell_input(self) -> str:
        """Say what the graph takes."""
        factor, side = self.described.form.factor, self.described.side
        took = 'normalised images: preprocessing is not in the graph, its metadata say it'
        if factor is not None:
            over = '' if factor == 1 else ' / 255'
            took = f'values as stored{over}: preprocessing is in the graph'
        size = 'any size' if side is None else f'{side} x {side} px'
        count = 'any number of patches' if self.described.axes else 'one patch at a time'
        return f'{took}; {size}, {count}'

    def _tell_output(self) -> str:
        """Say what the graph returns."""
        if not self.described.axes:
            return 'boxes, labels and scores of objects'
        is_raw = self.described.form.returned == 'scores'
        what = 'scores' if is_raw else 'probabilities, which prediction blends,'
        per = 'pixel' if self.described.axes == 4 else 'patch'
        return f'{self.described.channels} {what} per {per}'
