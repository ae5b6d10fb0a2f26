"""A page about a map: how right it is, where it is not, and how that was found out."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np

from ..accuracy.figures import Accuracy, Calibration, Design
from .areas import show_areas
from .charts import curve_chart
from .map_pictures import MapPictures, marked, take_pictures
from .matrices import matrix_table
from .methods import explain, name_design
from .numbers import (
    SHORT_KEY,
    UNKNOWN,
    area_name,
    in_page_unit,
    share_cell,
    write_number,
    write_percent,
    write_share,
)
from .page import (
    Child,
    bullet_list,
    captioned,
    check_page,
    element,
    paragraph,
    picture,
    section,
    swatch,
    table,
    write_page,
)

# a matrix of more classes has cells that nobody looks at
_MOST_CLASSES = 60
# longer side of a map as it is shown, in rem
_LARGEST = 44


class _Words(NamedTuple):
    """What a page says of disagreements."""

    order: str
    """Which come first."""

    weight: str
    """What the weight of one is."""


_SAMPLED = _Words(', by the area that they stand for', ', stands for {}')
_WORST: Mapping[Design, _Words] = {
    'stratified': _SAMPLED,
    'simple': _SAMPLED,
    'census': _Words(
        ', at random from the confusions that cover most', ', of {} with this confusion'
    ),
    # nobody knows what such units stand for
    'unknown': _Words('', ''),
}


def write_map_report(
    accuracy: Accuracy,
    destination: str | PathLike[str],
    *,
    map_path: str | PathLike[str],
    reference: str | PathLike[str] | None = None,
    scene: str | PathLike[str] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a page of HTML that opens from disk and needs no network.

    Args:
        accuracy: What was found.
        destination: File that ends in .html.
        map_path: Raster of classes that was judged.
        reference: What it was judged by, to be named.
        scene: Raster that the map was made of, to be shown, on any grid.
        overwrite: Replace an existing file.

    Returns:
        *destination*.

    Raises:
        FileExistsError: If *destination* exists and may not be replaced.
        OSError: If a raster cannot be read, or the page not be written.
        ValueError: If *destination* does not end in .html, or *scene* does not lie on the map.
    """
    check_page(destination, overwrite=overwrite)
    pictures = take_pictures(map_path, accuracy, scene=scene)
    files = {'Map': str(map_path), 'Reference': str(reference or ''), 'Scene': str(scene or '')}
    return write_page(
        destination,
        title=f'Accuracy of {Path(map_path).name}',
        lead=summarize(accuracy),
        notes=list(dict.fromkeys((*accuracy.counts.notes, *accuracy.notes))),
        sections=[
            show_map(accuracy, pictures),
            show_classes(accuracy),
            show_areas(accuracy),
            show_matrices(accuracy),
            show_worst(accuracy, pictures),
            None if accuracy.calibration is None else show_calibration(accuracy.calibration),
            explain(accuracy, pictures.header, files),
        ],
        overwrite=overwrite,
    )


def summarize(accuracy: Accuracy) -> list[Element]:
    """Say what is to be known first."""
    overall, counts = accuracy.overall, accuracy.counts
    interval = ''
    if overall.half_width:
        low, high = (overall.value + sign * overall.half_width for sign in (-1, 1))
        interval = f' (95 % interval {write_share(max(low, 0))} to {write_share(min(high, 1))} %)'
    figure = write_share(overall.value)
    return [
        paragraph('Overall accuracy ', element('strong', f'{figure} %'), interval, kind='lead'),
        paragraph(f'{int(counts.counts.sum()):,} {name_design(counts)}.', kind='soft'),
    ]


def show_map(accuracy: Accuracy, pictures: MapPictures) -> Element:
    """Show the map beside its scene, with a legend."""
    image = picture(pictures.whole, text='The map in the colours of its classes.')
    mapped = marked(image, pictures.places, numbered=True)
    title = 'Map; numbers are the disagreements below.' if pictures.places else 'Map.'
    # a map that is taller than wide would fill more than a screen
    height, width, _ = pictures.whole.shape
    room = f'max-width: {_LARGEST * min(width / height, 1):.1f}rem'
    shown = [captioned(mapped, title, kind='whole', style=room)]
    if pictures.scene is not None:
        look = picture(pictures.scene, text='The scene that the map was made of.', photo=True)
        shown.append(captioned(look, f'{pictures.scene_bands}.', kind='whole', style=room))
    legend = [swatch(one.color, one.name) for one in accuracy.counts.classes]
    return section(
        'Map', element('div', *shown, class_='pictures'), bullet_list(legend, kind='legend')
    )


def show_classes(accuracy: Accuracy) -> Element:
    """Write the accuracies of each class, with their intervals."""
    counts = accuracy.counts.counts.sum(axis=0)
    rows: list[list[Child]] = [
        [
            swatch(one.map_class.color, one.map_class.name),
            *map(share_cell, (one.users, one.producers, one.f1, one.iou)),
            f'{mapped:,}',
            f'{true:,}',
        ]
        for one, mapped, true in zip(
            accuracy.classes, counts.sum(axis=1).tolist(), counts.sum(axis=0).tolist(), strict=True
        )
    ]
    heads = ('Class', "User's, %", "Producer's, %", 'F1, %', 'IoU, %', 'Units mapped', 'Units true')
    figures = [
        one for each in accuracy.classes for one in (each.users, each.producers, each.f1, each.iou)
    ]
    short = any(one.is_too_short for one in (accuracy.overall, *figures))
    key = SHORT_KEY if short else ''
    return section(
        'Accuracy of each class',
        paragraph(
            "User's accuracy: of what is mapped as the class, the share that is of it. "
            "Producer's accuracy: of what is of the class, the share that is mapped as it."
        ),
        table(rows, head=heads, kind='cards'),
        paragraph(f'Overall accuracy: {write_percent(accuracy.overall)} %. {key}', kind='key'),
    )


def show_matrices(accuracy: Accuracy) -> Element:
    """Write the error matrix in units and in shares of the area."""
    classes = accuracy.counts.classes
    if len(classes) > _MOST_CLASSES:
        text = (
            f'The matrix of {len(classes)} classes is too large for a page; assess --csv writes it.'
        )
        return section('Error matrix', paragraph(text))
    units = accuracy.counts.counts.sum(axis=0)
    shown = [matrix_table(units, classes, caption='Units')]
    if np.isfinite(accuracy.shares).all() and accuracy.counts.design != 'unknown':
        shown.append(matrix_table(100 * accuracy.shares, classes, caption='Shares of the area, %'))
    said = paragraph('Rows: map; columns: reference.')
    return section('Error matrix', said, element('div', *shown, class_='beside'))


def show_worst(accuracy: Accuracy, pictures: MapPictures) -> Element | None:
    """Show where map and reference differ; None where nothing is to be shown."""
    worst = accuracy.disagreements
    if not worst:
        return None
    words = _WORST[accuracy.counts.design]
    unit = accuracy.counts.unit
    shown = []
    for number, (one, chip) in enumerate(zip(worst, pictures.chips, strict=True), start=1):
        images = [marked(picture(chip.map, text='Map.'), [chip.center], numbered=False)]
        if chip.scene is not None:
            look = picture(chip.scene, text='Scene.', photo=True)
            images.insert(0, marked(look, [chip.center], numbered=False))
        weight = write_number(in_page_unit(one.weight, unit))
        stands = words.weight.format(f'{weight} {area_name(unit)}') if weight != UNKNOWN else ''
        caption: list[Child] = [
            element('strong', f'{number}. '), swatch(one.map_class.color, one.map_class.name),
            ' in the map, ', swatch(one.reference_class.color, one.reference_class.name),
            ' in the reference; ',
            element('span', f'row {one.row}, column {one.col}{stands}.', class_='soft'),
        ]  # fmt: skip
        shown.append(captioned(element('div', *images, class_='pair'), *caption))
    return section(
        'Disagreements that count for most' if words.order else 'Disagreements',
        paragraph(
            f'Units of the reference that are of another class than the map says{words.order}; '
            'no more than three of one kind, and none that the picture of another shows.'
        ),
        element('div', *shown, class_='chips'),
    )


def show_calibration(found: Calibration) -> Element:
    """Show whether classes are right as often as their probabilities say."""
    names = ['most probable class', *(one.name for one in found.classes)]
    curves = {
        name: (x.tolist(), y.tolist())
        for name, x, y in zip(names, found.probabilities, found.frequencies, strict=True)
    }
    titles = {'Most probable class': names[:1], 'Each class': names[1:]}
    colors = {one.name: one.color for one in found.classes}
    charts = [
        curve_chart(
            {name: curves[name] for name in chosen},
            title=title,
            across='mean probability of a bin',
            up='share that is right',
            limits=(0, 1),
            colors=colors,
            diagonal=True,
        )
        for title, chosen in titles.items()
    ]
    errors = zip(names, found.errors.tolist(), strict=True)
    return section(
        'Probabilities',
        paragraph(
            'A class should be right as often as its probability says: on the diagonal. The expected '
            'calibration error is the mean distance of the bins from it, each weighted by the area '
            f'that its units stand for, over {found.count:,} units.'
        ),
        element('div', *(one for one in charts if one is not None), class_='charts'),
        table(
            [(name, write_share(error)) for name, error in errors],
            head=('Probability of', 'Expected calibration error, %'),
        ),
    )
