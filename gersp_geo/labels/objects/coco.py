"""COCO JSON: boxes, polygons and masks of objects in images that it lists."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from lightning.pytorch.utilities import rank_zero_warn

from ...messages import one_line
from .matching import ImageNames, report_missing
from .rle import outline_runs, read_runs
from .table import Annotations, Corners, Images

# pixels by which box and outline of an object may differ: some tools count the last pixel in
_SAME_BOX = 2.0

type Record = Mapping[str, Any]


def read_coco(images: Images, files: Sequence[str], *, source: str) -> Annotations:
    """Read COCO files that belong together, such as those of several splits.

    Args:
        images: The images.
        files: The JSON files.
        source: Their folder, or the only one, for messages.

    Raises:
        ValueError: If a file is no COCO JSON, says something impossible, or names no image.

    Warns:
        UserWarning: If images are missing, or not named.
    """
    contents = {file: load(file) for file in files}
    categories = name_categories(contents)
    entries: list[tuple[str, Record]] = [
        (file, image) for file, content in contents.items() for image in content['images']
    ]
    names = [text_of(image, 'file_name', file=file) for file, image in entries]
    places = [
        (Path(file).absolute().parent.name, name)
        for (file, _), name in zip(entries, names, strict=True)
    ]
    if twice := [name for (_, name), count in Counter(places).items() if count > 1]:
        raise ValueError(f'{source} lists the image {twice[0]} more than once; keep one entry')
    # files of several splits, each beside its images, may name these alike
    counted = Counter(names)
    names = [f'{folder}/{name}' if counted[name] > 1 else name for folder, name in places]
    found = ImageNames(images.files).match(names, source=source)
    report_missing(names, found, images.files, source=source)
    known = np.zeros(len(images.files), dtype=np.bool_)
    known[list(found.values())] = True
    read = Annotations(
        source=source, unit='annotation', attribute='category', known=known,
        names=tuple(categories.values()), from_zero=0 in categories,
    )  # fmt: skip
    numbers: dict[tuple[str, Any], int] = {}
    for (file, image), name in zip(entries, names, strict=True):
        key, number = id_of(image, 'id', file=file), found.get(name, -1)
        if (file, key) in numbers:
            raise ValueError(f'images of {file} need an id of their own, got {key} twice')
        numbers[file, key] = number
        check_size(images, number, image.get('width'), image.get('height'), file=file)
    other = 0
    for file, content in contents.items():
        for row, record in enumerate(content['annotations']):
            add(read, record, images, numbers, categories, file=file, row=row)
            other += lies_elsewhere(read.outlines[-1], record.get('bbox'))
    if other:
        rank_zero_warn(
            f'{other} of {len(read.rows)} annotations of {source} have a bbox that is not that of '
            f'their segmentation, by more than {_SAME_BOX:g} px: the segmentation is taken'
        )
    return read


def load(file: str) -> Record:
    """Read a COCO file."""
    content = load_json(file)
    held = content if isinstance(content, dict) else {}
    for key in ('images', 'annotations', 'categories'):
        records = held.get(key)
        if not (isinstance(records, list) and all(isinstance(one, dict) for one in records)):
            raise ValueError(
                f'{file} is no COCO JSON of objects: it needs a list of {key}, and has '
                f'{", ".join(map(str, held)) or "none"}'
            )
    return held


def load_json(file: str) -> Any:
    """Read a JSON file; say in which line it breaks."""
    try:
        with open(file, encoding='utf-8-sig') as text:
            return json.load(text)
    except json.JSONDecodeError as error:
        raise ValueError(f'{file} is no JSON: {error.msg} in line {error.lineno}') from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{file} is no JSON: {one_line(error)}') from error


def name_categories(contents: Mapping[str, Record]) -> dict[int | str, str]:
    """Name the categories of all files, in the order of their numbers."""
    known: dict[int | str, str] = {}
    for file, content in contents.items():
        for category in content['categories']:
            number, name = category.get('id'), text_of(category, 'name', file=file)
            if number is None or not isinstance(number, int):
                raise ValueError(f'{file} must number its categories, got id {number!r}')
            if known.setdefault(number, name) != name:
                raise ValueError(
                    f'category {number} is {known[number]!r} and {name!r} in {", ".join(contents)}; '
                    'number them alike'
                )
    names = sorted(known.values())
    if twice := [name for name, after in pairwise(names) if name == after]:
        raise ValueError(f'{", ".join(contents)} has two categories named {twice[0]!r}; join them')
    return dict(sorted(known.items()))


def text_of(record: Record, key: str, *, file: str) -> str:
    """Take a text out of a record."""
    value = record.get(key)
    # a class may be called 1
    if value == '' or not isinstance(value, str | int):
        raise ValueError(f'{file} needs a {key} in each record, got {value!r}')
    return str(value)


def id_of(record: Record, key: str, *, file: str) -> int | str:
    """Take a number, or what a file has in place of it, out of a record."""
    value = record.get(key)
    if isinstance(value, int | str):
        return value
    raise ValueError(f'{file} needs a number as {key}, got {value!r}')


def check_size(images: Images, image: int, width: Any, height: Any, *, file: str) -> None:
    """Refuse an image of another size than its annotations say; 0 and nothing are not known."""
    if image < 0 or not (width and height):
        return
    tile = images.tiles[image]
    if (width, height) != (tile.width, tile.height):
        raise ValueError(
            f'{images.files[image]} is {tile.width} x {tile.height} px, and {file} was made for '
            f'{width} x {height}; pass the images that were annotated'
        )


def add(
    read: Annotations,
    record: Record,
    images: Images,
    numbers: Mapping[tuple[str, Any], int],
    categories: Mapping[int | str, str],
    *,
    file: str,
    row: int,
) -> None:
    """Add one annotation."""
    number = id_of(record, 'id', file=file) if 'id' in record else row
    where = f'annotation {number} of {file}'
    key, category = (id_of(record, name, file=where) for name in ('image_id', 'category_id'))
    if (file, key) not in numbers:
        raise ValueError(f'{where} is of image {key!r}, which is not listed')
    if category not in categories:
        raise ValueError(
            f'{where} has category {category!r}; there are {", ".join(map(str, categories))}'
        )
    image = numbers[file, key]
    outline: shapely.Geometry | Corners | None = None
    if image >= 0:
        tile = images.tiles[image]
        outline = outline_of(record, height=tile.height, width=tile.width, where=where)
    read.add(
        outline, categories[category], image=image, file=file, row=number,
        ignored=bool(record.get('iscrowd') or record.get('ignore')),
    )  # fmt: skip


def outline_of(
    record: Record, *, height: int, width: int, where: str
) -> shapely.Geometry | Corners:
    """Draw an object: by its segmentation, else by its box."""
    segmentation, box = record.get('segmentation'), record.get('bbox')
    try:
        if isinstance(segmentation, dict):
            rows, cols = segmentation['size']
            if (rows, cols) != (height, width):
                raise ValueError(f'its mask has {cols} x {rows} px, its image {width} x {height}')
            runs = segmentation['counts']
            counts = read_runs(runs) if isinstance(runs, str) else [int(run) for run in runs]
            return outline_runs(counts, height=height, width=width)
        rings = [np.array(ring, np.float64).reshape(-1, 2) for ring in segmentation or () if ring]
        if rings:
            parts = [shapely.Polygon(ring) for ring in rings]
            return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)
        if box:
            left, top, wide, high = map(float, box)
            return left, top, left + wide, top + high
    except (
        ValueError, TypeError, KeyError, OverflowError, shapely.errors.GEOSException,
    ) as error:  # fmt: skip
        raise ValueError(
            f'{where} has an outline that cannot be read: {one_line(error)}'
        ) from error
    raise ValueError(f'{where} has neither bbox nor segmentation; delete it, or draw it')


def lies_elsewhere(outline: object, box: Any) -> bool:
    """Whether an outline lies elsewhere than the box beside it, as if one had other units."""
    if not isinstance(outline, shapely.Geometry) or not isinstance(box, list):
        return False
    if len(box) != 4 or not all(isinstance(number, int | float) for number in box):
        return False
    left, top, wide, high = box
    apart = np.array(outline.bounds) - (left, top, left + wide, top + high)
    return bool(np.abs(apart).max(initial=0) > _SAME_BOX)
