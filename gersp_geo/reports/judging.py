"""Maps and objects judged by a reference, and the files in which that is told."""

from os import PathLike
from pathlib import Path
from typing import Any

from ..accuracy import tables
from ..accuracy.assessing import assess_map
from ..accuracy.figures import Accuracy
from ..accuracy.objects import ObjectAccuracy, assess_objects
from ..accuracy.references.opening import is_raster
from ..accuracy.values import ValueAccuracy
from ..geoio.write import check_absent, check_not_read, check_writable, write_csv, write_json
from .map_report import write_map_report
from .object_report import check_shown, write_object_report
from .page import check_page
from .value_report import write_value_report

type Judgement = Accuracy | ValueAccuracy | ObjectAccuracy

# options that say something of maps alone, or of objects alone
_OF_MAPS = ('design', 'kind', 'classes', 'ignore', 'probabilities')
_OF_OBJECTS = ('layers', 'one_class', 'compare', 'iou_threshold', 'score_threshold')


def assess(
    source: str | PathLike[str],
    reference: str | PathLike[str],
    *,
    json: str | PathLike[str] | None = None,
    csv: str | PathLike[str] | None = None,
    report: str | PathLike[str] | None = None,
    scene: str | PathLike[str] | None = None,
    overwrite: bool = False,
    progress: bool = True,
    **options: Any,
) -> Judgement:
    """Judge a map or objects, and write what was found.

    Args:
        source: Raster of a map, or vector file of objects.
        reference: What is true.
        json: File to write all figures to.
        csv: The same as a table.
        report: Page to write, .html.
        scene: Raster that the page shows beside the map, or below objects.
        overwrite: Replace existing files.
        progress: Whether to show a progress bar.
        options: Those of :func:`.assess_map` or :func:`.assess_objects`; None for what is not given.

    Returns:
        What was found.

    Raises:
        FileExistsError: If a file exists and *overwrite* is False.
        FileNotFoundError: If a file is missing.
        ValueError: If an option does not go with *source*, both files do not fit together, or a file
            that is read would be replaced.
    """
    given = {name: value for name, value in options.items() if value is not None}
    _check_files(json, csv, report, overwrite=overwrite)
    matrix = None if csv is None else Path(csv).with_suffix('.matrix.csv')
    check_not_read(
        [json, csv, matrix, report, given.get('layers')],
        read=[source, reference, scene, given.get('area'), given.get('probabilities')],
    )
    if scene is not None and report is None:
        raise ValueError('scene (--scene) is shown in a report; add report (--report)')
    is_map = is_raster(source)
    if wrong := [name for name in (_OF_OBJECTS if is_map else _OF_MAPS) if name in given]:
        other, held = ('objects', 'a map') if is_map else ('maps', 'objects')
        raise ValueError(
            f'{wrong[0]} (--{wrong[0].replace("_", "-")}) is of {other}, and {source} holds {held}'
        )
    if not is_map:
        check_shown(given.get('layers'), scene)
    found: Judgement
    if is_map:
        found = assess_map(source, reference, progress=progress, **given)
    else:
        found = assess_objects(source, reference, overwrite=overwrite, **given)
    if json is not None:
        _write_json(found, json, overwrite=overwrite)
    if csv is not None:
        _write_csv(found, csv, overwrite=overwrite)
    if report is not None:
        _write_page(
            found, report, source, reference, scene, given.get('layers'), overwrite=overwrite
        )
    return found


def _check_files(
    json: str | PathLike[str] | None,
    csv: str | PathLike[str] | None,
    report: str | PathLike[str] | None,
    *,
    overwrite: bool,
) -> None:
    """Refuse files that could not be written."""
    for path in (json, csv):
        if path is not None:
            check_writable(path)
            check_absent(path, overwrite=overwrite)
    if csv is not None:
        check_absent(Path(csv).with_suffix('.matrix.csv'), overwrite=overwrite)
    if report is not None:
        check_page(report, overwrite=overwrite)


def _write_json(found: Judgement, path: str | PathLike[str], *, overwrite: bool) -> None:
    """Write all figures as JSON."""
    if isinstance(found, Accuracy):
        tables.write_json(found, path, overwrite=overwrite)
    elif isinstance(found, ValueAccuracy):
        found.write_json(path, overwrite=overwrite)
    else:
        write_json(path, found.to_dict(), overwrite=overwrite)


def _write_csv(found: Judgement, path: str | PathLike[str], *, overwrite: bool) -> None:
    """Write all figures as a table."""
    if isinstance(found, Accuracy):
        tables.write_csv(found, path, overwrite=overwrite)
    elif isinstance(found, ValueAccuracy):
        found.write_csv(path, overwrite=overwrite)
    else:
        rows = found.to_rows()
        write_csv(path, [list(rows[0]), *(list(row.values()) for row in rows)], overwrite=overwrite)


def _write_page(
    found: Judgement,
    path: str | PathLike[str],
    source: str | PathLike[str],
    reference: str | PathLike[str],
    scene: str | PathLike[str] | None,
    layers: str | PathLike[str] | None,
    *,
    overwrite: bool,
) -> None:
    """Write the page of what was found."""
    if isinstance(found, Accuracy):
        write_map_report(
            found, path, map_path=source, reference=reference, scene=scene, overwrite=overwrite
        )
    elif isinstance(found, ValueAccuracy):
        write_value_report(found, path, map_path=source, reference=reference, overwrite=overwrite)
    else:
        write_object_report(found, path, layers=layers, scene=scene, overwrite=overwrite)
