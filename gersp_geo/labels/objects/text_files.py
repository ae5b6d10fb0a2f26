"""YOLO and DOTA: one text file of objects per image, told apart by what its lines hold."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import shapely
import yaml
from numpy.typing import NDArray

from .matching import ImageNames, name_images, report_missing
from .table import Annotations, Corners, Images

NAMES_FILE = 'classes.txt'
"""Names of the class numbers of YOLO, one a line."""

# shares beyond this are no shares
_MOST_SHARE = 2.0

type Kind = Literal['yolo', 'dota']
type Drawn = tuple[str, shapely.Geometry | Corners, bool]
"""Class, outline, and whether it is ignored."""


def read_text(
    images: Images, files: Sequence[str], *, source: str, kind: Kind | None, names: Sequence[str]
) -> Annotations:
    """Read text files of boxes or polygons.

    YOLO: class number, then shares of width and height: middle and size of a box, or the corners of
    a polygon. DOTA: eight coordinates in pixels, class, and whether it is difficult. A file without
    line is an image without object.

    Args:
        images: The images.
        files: The text files, named as their images.
        source: Their folder, or the only one, for messages.
        kind: Format; None takes that of the first line.
        names: Of the class numbers of YOLO, where no classes.txt or data.yaml beside the files or
            up to two folders above has them.

    Raises:
        ValueError: If a line cannot be read, or no file has an image.

    Warns:
        UserWarning: If images are missing, or have no file.
    """
    stems = name_images(files)
    found = ImageNames(images.files).match([*stems.values()], source=source)
    report_missing([*stems.values()], found, images.files, source=source)
    contents = {file: read_lines(file) for file, stem in stems.items() if stem in found}
    kind = kind or tell_kind(contents)
    known = np.zeros(len(images.files), dtype=np.bool_)
    known[list(found.values())] = True
    if kind == 'yolo':
        names = find_names(files[0]) or names
    read = Annotations(
        source=source, unit='line', attribute='class', known=known,
        names=tuple(names) if kind == 'yolo' else (), from_zero=kind == 'yolo',
    )  # fmt: skip
    draw: Callable[[list[str], int, int], Drawn] = draw_yolo if kind == 'yolo' else draw_dota
    for file, lines in contents.items():
        image = found[stems[file]]
        tile = images.tiles[image]
        for row, words in lines:
            where = f'line {row} of {file}'
            try:
                value, outline, ignored = draw(words, tile.width, tile.height)
            except ValueError as error:
                raise ValueError(f'{where}: {error}') from error
            if kind == 'yolo' and names:
                value = name_of(value, names, where=where)
            read.add(outline, value, image=image, file=file, row=row, ignored=ignored)
    return read


def read_lines(file: str) -> list[tuple[int, list[str]]]:
    """Read the words of each line that holds an object, with its number."""
    try:
        text = Path(file).read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise ValueError(f'{file} is no text file in UTF-8: {error}') from error
    lines = [(row, line.split()) for row, line in enumerate(text.splitlines(), start=1)]
    # DOTA begins with imagesource:GoogleEarth and gsd:0.14
    heads = ('imagesource', 'gsd')
    return [
        (row, words)
        for row, words in lines
        if words and words[0].partition(':')[0].lower() not in heads
    ]


def tell_kind(contents: dict[str, list[tuple[int, list[str]]]]) -> Kind:
    """Say which format the first line has; YOLO if there is no line at all."""
    for file, lines in contents.items():
        for row, words in lines:
            count, are_numbers = len(words), all(map(is_number, words))
            shares = are_numbers and max(abs(float(word)) for word in words[1:]) <= _MOST_SHARE
            if are_numbers and (count == 5 or (count >= 7 and count % 2 and (shares or count > 9))):
                return 'yolo'
            if count in (9, 10) and all(map(is_number, words[:8])):
                return 'dota'
            raise ValueError(
                f'line {row} of {file} is neither YOLO (class x y width height, or class x y x y x y '
                f'...) nor DOTA (x y x y x y x y class difficult): {" ".join(words)[:60]!r}'
            )
    return 'yolo'


def is_number(word: str) -> bool:
    """Whether a word is a number."""
    try:
        float(word)
    except ValueError:
        return False
    return True


def draw_yolo(words: list[str], width: int, height: int) -> Drawn:
    """Read a line of YOLO."""
    if not words[0].isdecimal():
        raise ValueError(f'a line of YOLO begins with the number of a class, got {words[0]!r}')
    if len(words) != 5 and (len(words) < 7 or len(words) % 2 == 0):
        raise ValueError(
            'a line of YOLO has a class and 4 shares of a box, or 6 or more of a polygon, in pairs, '
            f'got {len(words)} words'
        )
    shares = numbers(words[1:])
    if np.abs(shares).max() > _MOST_SHARE:
        raise ValueError(
            f'YOLO has shares of the width and the height, got {words[int(shares.argmax()) + 1]}; '
            'divide pixels by the size of the image'
        )
    points = shares.reshape(-1, 2) * (width, height)
    if len(words) == 5:
        first, last = points[0] - points[1] / 2, points[0] + points[1] / 2
        return words[0], (*first.tolist(), *last.tolist()), False
    return words[0], shapely.Polygon(points), False


def draw_dota(words: list[str], width: int, height: int) -> Drawn:
    """Read a line of DOTA."""
    if len(words) not in (9, 10):
        raise ValueError(
            f'a line of DOTA has 8 coordinates, a class and perhaps a flag, got {len(words)} words'
        )
    points = numbers(words[:8]).reshape(-1, 2)
    return words[8], shapely.Polygon(points), words[9:] not in ([], ['0'])


def numbers(words: Sequence[str]) -> NDArray[np.float64]:
    """Read numbers."""
    try:
        return np.array([float(word) for word in words])
    except ValueError as error:
        raise ValueError(f'coordinates must be numbers, got {" ".join(words)}') from error


def name_of(value: str, names: Sequence[str], *, where: str) -> str:
    """Name a class number."""
    if int(value) >= len(names):
        raise ValueError(
            f'{where} has class {value}, and names are given for 0 to {len(names) - 1}: '
            f'{", ".join(names)}; name all classes'
        )
    return names[int(value)]


def find_names(file: str) -> tuple[str, ...]:
    """Find the names of class numbers in classes.txt or data.yaml beside labels, or above them."""
    folders = Path(file).absolute().parents[:3]
    for folder in folders:
        if (folder / NAMES_FILE).is_file():
            lines = (folder / NAMES_FILE).read_text(encoding='utf-8-sig').splitlines()
            return tuple(line.strip() for line in lines if line.strip())
        if (folder / 'data.yaml').is_file():
            return names_in(folder / 'data.yaml')
    return ()


def names_in(file: Path) -> tuple[str, ...]:
    """Read the names of a data.yaml: a list, or numbers with names."""
    try:
        content = yaml.safe_load(file.read_text(encoding='utf-8-sig'))
    except yaml.YAMLError as error:
        raise ValueError(f'{file} is no YAML: {" ".join(str(error).split())}') from error
    names = content.get('names') if isinstance(content, dict) else None
    if isinstance(names, dict) and sorted(names) == list(range(len(names))):
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list) or not names:
        raise ValueError(f'{file} must list names, or number them 0, 1, ...; got {str(names)[:60]}')
    return tuple(map(str, names))
