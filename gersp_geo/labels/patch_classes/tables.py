"""Classes of images from a CSV: one row per image, or per image and label."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas
from numpy.typing import NDArray

from ...datasets.raster_tiles import RasterTiles
from ...messages import name_some
from ..objects.csv_rows import read_table
from ..objects.matching import ImageNames, report_missing
from .marks import Marks, mark_columns, mark_texts

# what columns are usually called
IMAGE_COLUMNS = (
    'image',
    'image_path',
    'filename',
    'file_name',
    'image_name',
    'file',
    'path',
    'image_id',
)
LABEL_COLUMNS = ('label', 'labels', 'class', 'class_name', 'category', 'tags', 'name')


def mark_table(
    images: RasterTiles,
    file: str,
    *,
    columns: Mapping[str, str],
    attribute: str | None,
    given: Sequence[str],
    separator: str | None,
) -> Marks:
    """Read the classes of images.

    Args:
        images: The images.
        file: A CSV with a header.
        columns: What the columns 'image' and 'label' are called, where they have no usual name.
        attribute: Column with the class, as ``columns['label']``.
        given: Names of the classes; empty takes the values.
        separator: Between several labels in one column; without such a column, there is one of
            zeros and ones per class. None if each image has one class.

    Returns:
        One row per image; those that the file does not name are not known.

    Raises:
        ValueError: If a column is missing, no image is there, or an image has two classes.

    Warns:
        UserWarning: Counts images that are missing, and those without a row.
    """
    table = read_table(file)
    name = choose(table, columns.get('image'), IMAGE_COLUMNS, file=file, what='image')
    if name is None:
        raise ValueError(
            f'{file} needs a column with the names of images, and has '
            f'{name_some([*table.columns])}; say which it is: columns: {{image: NAME}}'
        )
    label = choose(table, attribute or columns.get('label'), LABEL_COLUMNS, file=file, what='label')
    table = table[(table != '').any(axis=1)].reset_index(drop=True)
    keys = table[name].str.strip()
    if (keys == '').any():
        raise ValueError(f'each row of {file} must name its image, got an empty one')
    wanted = pandas.unique(keys).tolist()
    found = ImageNames(images.files).match(wanted, source=file)
    report_missing(wanted, found, images.files, source=file)
    places = np.array([found.get(key, -1) for key in keys], dtype=np.int64)
    if label is not None:
        texts = table[label].tolist()
        marks = mark_texts(
            texts, places >= 0, given, attribute=label, source=file, separator=separator
        )
    elif separator is not None:
        classes = given or [column for column in table.columns if column != name]
        marks = mark_columns(table, classes, source=file)
    else:
        raise ValueError(
            f'{file} needs a column with the class, and has {name_some([*table.columns])}; pass '
            'attribute, or multilabel=True for one column of 0 and 1 per class'
        )
    return per_image(marks, places, images.files, file=file, single=separator is None)


def choose(
    table: pandas.DataFrame, given: str | None, usual: Sequence[str], *, file: str, what: str
) -> str | None:
    """Find a column that is named, or has a usual name in any case; None if there is none of these.

    Raises:
        ValueError: If the column that is named is not there.
    """
    if given is not None and given not in table.columns:
        raise ValueError(
            f'{file} has no column {given!r} for {what}, only {name_some([*table.columns])}'
        )
    if given is not None:
        return given
    columns = [str(name) for name in reversed(table.columns)]
    # to the letter, before in any case
    for known in ({name: name for name in columns}, {name.lower(): name for name in columns}):
        if name := next((known[one] for one in usual if one in known), None):
            return name
    return None


def per_image(
    marks: Marks, places: NDArray[np.int64], files: Sequence[str], *, file: str, single: bool
) -> Marks:
    """Put the rows of each image together; *places* holds the image of each, -1 for none."""
    flags = np.zeros((len(files), len(marks.class_names)), dtype=np.bool_)
    known = np.zeros(len(files), dtype=np.bool_)
    chosen = (places >= 0) & marks.known
    np.logical_or.at(flags, places[chosen], marks.flags[chosen])
    known[places[chosen]] = True
    if single and (twice := np.flatnonzero(flags.sum(axis=1) > 1)).size:
        names = [marks.class_names[i] for i in np.flatnonzero(flags[twice[0]])]
        raise ValueError(
            f'an image has one class, {len(twice)} have several in {file}: '
            f'{files[twice[0]]} has {name_some(names)}; correct them, or pass multilabel=True'
        )
    return Marks(class_names=marks.class_names, flags=flags, known=known)
