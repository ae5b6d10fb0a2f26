"""Weights compared, and the files in which that is told."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from ..comparison.records import Comparison
from ..comparison.results import NAME
from ..comparison.run import evaluate_weights
from ..comparison.tables import describe, to_markdown
from ..geoio.write import check_absent, new_file
from .comparison_report import write_comparison_report

_TEXT, _PAGE = 'results.md', 'report.html'


@dataclass(frozen=True, slots=True)
class EvaluationSummary:
    """What was found, and where it is told."""

    comparison: Comparison
    destination: Path

    def as_record(self) -> dict[str, Any]:
        """Give the rows, and what has to be known of them, in words of JSON."""
        rows = [
            {
                'label': finding.candidate.label,
                'protocol': finding.protocol,
                'labels_per_class': finding.labels_per_class,
                'accuracy': asdict(finding.accuracy),
                'published': finding.published,
                'chosen': dict(finding.chosen),
            }
            for finding in self.comparison.findings
        ]
        differences = [
            {'label': label, 'protocol': protocol, 'labels_per_class': count, **asdict(interval)}
            for (label, protocol, count), interval in self.comparison.differences.items()
        ]
        return {
            'destination': self.destination,
            'baseline': self.comparison.baseline,
            'findings': rows,
            'differences': differences,
            'notes': list(self.comparison.notes),
        }

    def __str__(self) -> str:
        """Give the table, and what has to be known of it."""
        notes = [f'- {note}' for note in self.comparison.notes]
        return '\n'.join(
            [
                describe(self.comparison),
                '',
                *notes,
                f'{NAME}, {_TEXT}, {_PAGE} in {self.destination}',
            ]
        )


def evaluate(
    weights: Sequence[str],
    data: str | PathLike[str],
    destination: str | PathLike[str],
    *,
    device: str = 'auto',
    overwrite: bool = False,
    progress: bool = True,
    **options: Any,
) -> EvaluationSummary:
    """Compare weights, and tell it as a table, as text and as a page.

    Args:
        weights: ``[LABEL=]SOURCE`` each.
        data: Folder with a folder of images per class.
        destination: Folder of the results.
        device: Where networks run.
        overwrite: Judge anew what is there.
        progress: Show how far it is.
        **options: As in :class:`gersp_geo.comparison.options.EvaluationOptions`.

    Returns:
        What was found.

    Raises:
        FileExistsError: If there is text or a page, and no table that it tells of.
        FileNotFoundError: If weights or images are missing.
        ValueError: If options, weights and images do not fit together.
        OSError: If results cannot be written.
    """
    folder = Path(destination)
    # those of an earlier evaluation are written anew with it
    mine = overwrite or (folder / NAME).exists()
    for name in (_TEXT, _PAGE):
        check_absent(folder / name, overwrite=mine)
    comparison = evaluate_weights(
        weights, data, folder, device=device, overwrite=overwrite, progress=progress, **options
    )
    with new_file(folder / _TEXT, overwrite=True) as temporary:
        temporary.write_text(to_markdown(comparison), encoding='utf-8')
    write_comparison_report(comparison, folder / _PAGE, overwrite=True)
    return EvaluationSummary(comparison, folder)
