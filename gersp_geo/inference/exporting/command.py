"""What ``gersp-geo export`` writes: a backbone in a format, or a whole model."""

from os import PathLike
from pathlib import Path
from typing import Any


def export(
    source: str | PathLike[str],
    destination: str | PathLike[str],
    *,
    format: Any | None,
    teacher: bool,
    include_preprocessing: bool,
    overwrite: bool,
) -> object:
    """Write a backbone if a format is named, else a whole model.

    Args:
        source: As in :func:`~gersp_geo.export_backbone` and :func:`.whole.export_model`.
        destination: As in these.
        format: Of a backbone; None for a whole model.
        teacher: The teacher's backbone.
        include_preprocessing: Of a whole model.
        overwrite: Replace what exists.

    Returns:
        The report.

    Raises:
        ValueError: If an option belongs to the other kind; and as these.
    """
    if format is None:
        if teacher:
            raise ValueError(
                f'--teacher is for backbones, and without --format {Path(destination).name} would '
                'be a whole model; pass --format, or leave --teacher out'
            )
        from .whole import export_model

        return export_model(
            source, destination, include_preprocessing=include_preprocessing, overwrite=overwrite
        )
    if include_preprocessing:
        raise ValueError(
            f'--include-preprocessing is for whole models, and --format {format} writes a '
            'backbone; leave one of them out'
        )
    from ...models import export_backbone

    return export_backbone(source, destination, format=format, teacher=teacher, overwrite=overwrite)
