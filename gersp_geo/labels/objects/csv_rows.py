"""CSV: one row per object, a box in pixels of a named image or a point on the ground."""

import re
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

import numpy as np
import pandas
from geopandas import GeoDataFrame, points_from_xy
from pyproj import CRS
from pyproj.exceptions import CRSError

from ...messages import one_line
from .matching import ImageNames, report_missing
from .table import Annotations, Corners, Images

CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')

# what a column is usually called; 'bbox' is not among them, as it often holds x, y, width, height
_USUAL = {
    'image': ('image', 'image_path', 'filename', 'file_name', 'image_id'),
    'label': ('label', 'class', 'class_name', 'category'),
    'bounds': ('bounds',),
} | {corner: (corner,) for corner in CORNERS}

_KEYS = (*_USUAL, 'x', 'y', 'crs')


def holds_points(columns: Mapping[str, str]) -> bool:
    """Whether columns are named that hold points on the ground."""
    return bool({'x', 'y', 'crs'} & columns.keys())


def check_columns(columns: Mapping[str, str]) -> None:
    """Refuse names of columns that mean nothing."""
    if unknown := [key for key in columns if key not in _KEYS]:
        raise ValueError(f'columns may name {", ".join(_KEYS)}, got {", ".join(unknown)}')
    if holds_points(columns) and not {'x', 'y', 'crs'} <= columns.keys():
        raise ValueError(
            f'columns of points need x, y and crs (such as EPSG:4326), got {dict(columns)}'
        )


def read_boxes(
    images: Images, files: Sequence[str], *, source: str, columns: Mapping[str, str]
) -> Annotations:
    """Read boxes in pixels, their edges counted from 0.

    A row without numbers, or with four zeros, is an image without object.

    Args:
        images: The images.
        files: The CSV files.
        source: Their folder, or the only one, for messages.
        columns: What columns are called: image, label, xmin, ymin, xmax, ymax, or bounds for one
            with "(xmin, ymin, xmax, ymax)". Those left out have a usual name; without a label, all
            objects are of one class.

    Raises:
        ValueError: If a column is missing, a row is no box, or no image is there.

    Warns:
        UserWarning: If images are missing, or not named.
    """
    tables = [(file, *choose(read_table(file), columns, file=file)) for file in files]
    named = [table[known['image']].astype(str) for _, table, known in tables]
    names = pandas.unique(pandas.concat(named)).tolist()
    if '' in names:
        raise ValueError(f'each row of {source} must name its image, got an empty one')
    found = ImageNames(images.files).match(names, source=source)
    report_missing(names, found, images.files, source=source)
    looked = np.zeros(len(images.files), dtype=np.bool_)
    looked[list(found.values())] = True
    labels = [known['label'] for _, _, known in tables if 'label' in known]
    read = Annotations(
        source=source, unit='line', known=looked, attribute=next(iter(labels), ''),
    )  # fmt: skip
    for file, table, known in tables:
        kinds = table[known['label']].tolist() if 'label' in known else [''] * len(table)
        for row, (corners, name, kind) in enumerate(
            zip(corners_of(table, known, file=file), table[known['image']], kinds, strict=True)
        ):
            if corners is not None:
                # the header is the first line
                image = found.get(name, -1)
                read.add(corners, kind.strip() or None, image=image, file=file, row=row + 2)
    return read


def read_table(file: str) -> pandas.DataFrame:
    """Read a table as text: a class may be called NA, or 01."""
    try:
        text = Path(file).read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise ValueError(f'{file} is no text file in UTF-8: {error}') from error
    head = text.partition('\n')[0]
    mark = max(',;\t', key=head.count)
    try:
        table = pandas.read_csv(
            StringIO(text), sep=mark, dtype=str, keep_default_na=False, skip_blank_lines=False
        )
    except (pandas.errors.ParserError, pandas.errors.EmptyDataError) as error:
        raise ValueError(f'{file} is no table: {one_line(error)}') from error
    # a short row has no value in its last columns
    table = table.fillna('')
    table.columns = [str(name).strip() for name in table.columns]
    return table


def choose(
    table: pandas.DataFrame, columns: Mapping[str, str], *, file: str
) -> tuple[pandas.DataFrame, dict[str, str]]:
    """Find the columns that are named, or have a usual name, and leave empty rows out."""
    for key, name in columns.items():
        if name not in table.columns:
            raise ValueError(
                f'{file} has no column {name!r} for {key}, only {", ".join(table.columns)}'
            )
    known = dict(columns)
    for key, usual in _USUAL.items():
        if key not in known and (names := [name for name in usual if name in table.columns]):
            known[key] = names[0]
    has_corners = all(corner in known for corner in CORNERS)
    if 'image' not in known or not (has_corners or 'bounds' in known):
        raise ValueError(
            f'{file} needs columns for image and {", ".join(CORNERS)} or bounds (points: x, y and a '
            f'crs), and has {", ".join(table.columns)}; say which is which, for example '
            f'columns: {{image: {table.columns[0]}, ...}}'
        )
    return table[(table != '').any(axis=1)], known


def corners_of(
    table: pandas.DataFrame, known: Mapping[str, str], *, file: str
) -> list[Corners | None]:
    """Read boxes; None for rows that say that there is no object."""
    if all(corner in known for corner in CORNERS):
        words = table[[known[corner] for corner in CORNERS]].to_numpy().tolist()
    else:
        words = [re.split(r'[,;\s]+', text.strip(' ()[]\t')) for text in table[known['bounds']]]
    read: list[Corners | None] = []
    for row, four in enumerate(words):
        if not any(four):
            read.append(None)
            continue
        try:
            left, top, right, bottom = map(float, four)
        except ValueError as error:
            raise ValueError(
                f'line {row + 2} of {file} must hold four numbers, xmin, ymin, xmax and ymax, got '
                f'{", ".join(four)}'
            ) from error
        is_none = left == top == right == bottom == 0
        read.append(None if is_none else (left, top, right, bottom))
    return read


def read_points(file: str, *, columns: Mapping[str, str]) -> GeoDataFrame:
    """Read points on the ground.

    Args:
        file: The CSV file.
        columns: Names of the columns with x and y, and the CRS, such as 'EPSG:4326'.

    Raises:
        ValueError: If a column is missing, a row has no numbers, or there is no such CRS.
    """
    table = read_table(file)
    for key in ('x', 'y'):
        if columns[key] not in table.columns:
            raise ValueError(
                f'{file} has no column {columns[key]!r} for {key}, only {", ".join(table.columns)}'
            )
    try:
        crs = CRS.from_user_input(columns['crs'])
    except CRSError as error:
        raise ValueError(
            f'columns: crs must be a CRS such as EPSG:4326, got {columns["crs"]!r}'
        ) from error
    places = [pandas.to_numeric(table[columns[key]], errors='coerce') for key in ('x', 'y')]
    if (wrong := ~np.isfinite(np.array(places, dtype=np.float64)).all(axis=0)).any():
        row = int(wrong.argmax())
        values = ', '.join(table[columns[key]].iloc[row] for key in ('x', 'y'))
        raise ValueError(f'line {row + 2} of {file} must hold two numbers, x and y, got {values!r}')
    return GeoDataFrame(table, geometry=points_from_xy(*places), crs=crs)
