"""A page about objects: how many were found, how many were made up, and at which scores."""

import math
from os import PathLike
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from ..accuracy.objects.figures import ClassObjects, ObjectAccuracy
from .charts import curve_chart
from .numbers import UNKNOWN, write_share
from .object_pictures import show_objects
from .page import Child, check_page, element, facts_table, paragraph, section, table, write_page

# Places of an IoU of 0.50 and 0.75 among the thresholds
_SHOWN = {'0.50': 0, '0.75': 5}
# more curves cannot be told apart
_MOST_CURVES = 6
_SHARES = (0.0, 1.0)


def write_object_report(
    accuracy: ObjectAccuracy,
    destination: str | PathLike[str],
    *,
    layers: str | PathLike[str] | None = None,
    scene: str | PathLike[str] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a page of HTML that opens from disk and needs no network.

    Args:
        accuracy: What was found.
        destination: File that ends in .html.
        layers: GeoPackage of ``assess_objects``, to show what is wrong on *scene*.
        scene: Raster in which the objects were found.
        overwrite: Replace an existing file.

    Returns:
        *destination*.

    Raises:
        FileExistsError: If *destination* exists and may not be replaced.
        OSError: If a file cannot be read, or the page not be written.
        ValueError: If *destination* does not end in .html, or *scene* is given without
            *layers*.
    """
    check_page(destination, overwrite=overwrite)
    check_shown(layers, scene)
    pictures = [] if layers is None or scene is None else show_objects(layers, scene)
    total = accuracy.total
    lead = [
        paragraph(
            'Average precision ', element('strong', f'{write_share(total.ap50)} %'),
            f' at an IoU of 0.50, {write_share(total.ap)} % over IoUs of 0.50 to 0.95', kind='lead',
        ),
        paragraph(
            f'Of {total.references:,} objects of the reference, {total.true_positives:,} were found '
            f'and {total.false_negatives:,} missed; {total.false_positives:,} predicted objects are '
            'none of them.',
            kind='soft',
        ),
    ]  # fmt: skip
    return write_page(
        destination,
        title=f'Objects of {Path(accuracy.predicted).name}',
        lead=lead,
        notes=accuracy.notes,
        sections=[show_classes(accuracy), show_curves(accuracy), *pictures, explain(accuracy)],
        overwrite=overwrite,
    )


def check_shown(layers: str | PathLike[str] | None, scene: str | PathLike[str] | None) -> None:
    """Refuse a scene without the layers that would be drawn on it.

    Raises:
        ValueError: If that is so.
    """
    if scene is not None and layers is None:
        raise ValueError(
            f'the page shows objects on {scene} from their layers; pass a file for them as well '
            '(--layers)'
        )


def show_classes(accuracy: ObjectAccuracy) -> Element:
    """Write the figures of each class, and of all."""
    found = accuracy.classes
    rows = [list_figures(one) for one in (found if len(found) == 1 else (*found, accuracy.total))]
    heads = (
        'Class', 'Reference', 'Found', 'Missed', 'Made up', 'Precision, %', 'Recall, %', 'F1, %',
        'AP50, %', 'AP50:95, %',
    )  # fmt: skip
    return section('Objects of each class', table(rows, head=heads, kind='cards'))


def list_figures(found: ClassObjects) -> list[Child]:
    """Write the row of a class."""
    counts = (
        found.references, found.true_positives, found.false_negatives, found.false_positives,
    )  # fmt: skip
    shares = (found.precision, found.recall, found.f1, found.ap50, found.ap)
    return [found.name, *(f'{count:,}' for count in counts), *map(write_share, shares)]


def show_curves(accuracy: ObjectAccuracy) -> Element:
    """Draw precision over recall, of the classes with most objects and of all."""
    known = sorted(accuracy.classes, key=lambda one: -one.references)
    known = [one for one in known if one.references]
    chosen = known[:_MOST_CURVES]
    recalls = np.linspace(0, 1, 101).tolist()
    charts = [
        curve_chart(
            {one.name: (recalls, one.precision_at_recall[place].tolist()) for one in chosen},
            title=f'IoU of {threshold}',
            across='recall',
            up='precision',
            limits=_SHARES,
            smooth=False,
        )
        for threshold, place in _SHOWN.items()
    ]
    drawn = [one for one in charts if one is not None]
    left = len(known) - len(chosen)
    said = f'The {left} classes with fewest objects are left out.' if left else ''
    if not drawn:
        said = 'The reference has no objects.'
    return section(
        'Precision and recall',
        element('div', *drawn, class_='charts'),
        paragraph(said, kind='soft'),
    )


def explain(accuracy: ObjectAccuracy) -> Element:
    """Say how the figures were computed, and from which files."""
    limit = accuracy.score_threshold
    facts: dict[str, Child] = {
        'Predicted': accuracy.predicted,
        'Reference': accuracy.reference,
        'Compared': str(accuracy.compared),
        'Right from': f'an IoU of {accuracy.iou_threshold:g}, with an object of the same class',
        'Counted from': 'any score'
        if limit is None or math.isnan(limit)
        else f'a score of {limit:g}',
        'Neither right nor wrong': f'{accuracy.predicted_left_out:,} predicted objects',
        'Need not be found': f'{accuracy.references_left_out:,} objects of the reference',
    }
    return section(
        'How this was computed',
        paragraph(
            'Predicted objects are taken from the highest score to the lowest; each shows the object '
            'of its class with the largest IoU that no better one shows, if that IoU is large enough. '
            'Average precision is the mean, over 101 recalls from 0 to 1, of the highest precision at '
            'that recall or beyond, as COCO computes it; here without a limit on the number of '
            f'objects. {UNKNOWN} stands where there is no object to divide by.'
        ),
        facts_table(facts),
    )
