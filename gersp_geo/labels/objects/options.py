"""Objects as a user chooses them, from files of any format."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Literal, get_args

from ...datasets.hidden import list_files
from ...datasets.scene_names import Paths
from ...geoio.vector import read_vectors
from .checking import make_tables
from .coco import read_coco
from .csv_rows import check_columns, holds_points, read_boxes, read_points
from .matching import split, without_suffix
from .table import Annotations, Images, ObjectSource
from .text_files import NAMES_FILE, read_text
from .vector import add_unseen, read_features
from .voc import read_voc

type Format = Literal['auto', 'vector', 'coco', 'voc', 'yolo', 'dota', 'csv']
"""How annotation files are written; 'auto' tells by suffix and content."""

# suffixes of the formats of objects in pixels; all others are vector files
_SUFFIXES = {'.json': 'coco', '.xml': 'voc', '.txt': 'text', '.csv': 'csv'}

# in a folder, of all that GDAL reads
_VECTORS = ('.fgb', '.geojson', '.gpkg', '.parquet', '.shp')

# what other programs write beside rasters and vector files
_BESIDE = ('.aux.xml', '.shp.xml')

# a GeoJSON file says what it is within its first characters
_HEAD = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectOptions:
    """Files of objects, and how they are read."""

    labels: Paths
    """A vector file; or files, or a folder of files, of one other format: COCO JSON, Pascal VOC XML,
    YOLO or DOTA text, CSV. Files of one image each have the name of the image."""

    format: Format = 'auto'
    """Format of *labels*; 'auto' tells by their suffix and content."""

    attribute: str | None = None
    """Column with the class, of a vector file or a CSV. None means one class, 'object'; in a CSV, a
    column that is called label, class, class_name or category is taken first."""

    layer: str | None = None
    """Layer of a vector file; None takes the only one that holds features."""

    class_names: tuple[str, ...] = ()
    """Names of the classes in an order of one's own; empty takes that of the source: COCO categories
    by number, names of YOLO by number, others sorted."""

    columns: Mapping[str, str] | None = None
    """What columns of a CSV are called: image, label, xmin, ymin, xmax, ymax, or bounds for one
    column with "(xmin, ymin, xmax, ymax)"; or x and y of points on the ground, with their crs, such
    as EPSG:4326."""

    point_size: float | None = None
    """Side in metres of the square that a point stands for."""

    area: str | Path | None = None
    """Polygons of the ground where all objects are drawn, beside a vector file: what lies outside is
    neither object nor background, and images outside are left out. None means all images."""

    def __post_init__(self) -> None:
        """Check what does not depend on files.

        Raises:
            ValueError: If there is no such format, or column, or point size.
        """
        known = get_args(Format.__value__)
        if self.format not in known:
            raise ValueError(f'format must be one of {", ".join(known)}, got {self.format!r}')
        check_columns(self.columns or {})
        if self.point_size is not None and not self.point_size > 0:
            raise ValueError(f'point_size must be > 0 metres, got {self.point_size}')


def open_objects(images: Images, options: ObjectOptions) -> ObjectSource:
    """Read the objects of images, and check them.

    Args:
        images: The images; for a vector file, all with a place.
        options: Which files, and how they are read.

    Returns:
        Objects per image.

    Raises:
        FileNotFoundError: If a file does not exist, or a folder holds none.
        ValueError: If the format cannot be told, an option belongs to another one, or what files say
            cannot be.

    Warns:
        UserWarning: If some of it may be meant in another way.
    """
    source, files = find_labels(options.labels)
    kind, files = choose_format(files, images, options, source=source)
    check_options(kind, options)
    read = READERS[kind](images, files, options, source)
    if options.area is not None:
        add_unseen(read, images, fspath(options.area))
    return make_tables(read, images, options.class_names)


def find_labels(labels: Paths) -> tuple[str, list[str]]:
    """Name what the user passed, and list its files; names that only GDAL understands stay."""
    given = [labels] if isinstance(labels, str | PathLike) else list(labels)
    paths = [fspath(path) for path in given]
    if not paths:
        raise FileNotFoundError('no labels given; name a file or a folder')
    source = paths[0] if len(paths) == 1 else f'{paths[0]} and {len(paths) - 1} more'
    files: list[str] = []
    for path in paths:
        inside = sorted(list_files(Path(path))) if Path(path).is_dir() else []
        plain = [str(file) for file in inside if not str(file).lower().endswith(_BESIDE)]
        texts = [file for file in plain if Path(file).suffix.lower() in _SUFFIXES]
        vectors = [file for file in plain if Path(file).suffix.lower() in _VECTORS]
        # a folder without any may be one that GDAL reads, such as a file geodatabase
        files += [*texts, *vectors] or [path]
    if missing := [
        f for f in files if Path(f).suffix.lower() in _SUFFIXES and not Path(f).exists()
    ]:
        raise FileNotFoundError(f'no file {missing[0]}; check labels')
    return source, files


def choose_format(
    files: Sequence[str], images: Images, options: ObjectOptions, *, source: str
) -> tuple[str, list[str]]:
    """Say how files are written, and which of them are meant: not a README beside them."""
    stems = {without_suffix(split(file)[-1]) for file in images.files}
    groups: dict[str, list[str]] = {}
    for file in files:
        kind = _SUFFIXES.get(Path(file).suffix.lower(), 'vector')
        if kind == 'coco' and is_geojson(file):
            kind = 'vector'
        # a text may be anything; one that is meant has the name of an image
        is_meant = kind != 'text' or len(files) == 1 or without_suffix(split(file)[-1]) in stems
        is_chosen = options.format in ('yolo', 'dota') and Path(file).name != NAMES_FILE
        if is_meant or is_chosen:
            groups.setdefault(kind, []).append(file)
    if options.format != 'auto':
        wanted = 'text' if options.format in ('yolo', 'dota') else options.format
        # GDAL reads more than suffixes tell
        others = list(files) if wanted == 'vector' else []
        groups = {wanted: groups.get(wanted) or others}
    found = {kind: group for kind, group in groups.items() if group}
    if len(found) == 1:
        return next(iter(found.items()))
    choices = 'format may be coco (.json), voc (.xml), yolo or dota (.txt), csv or vector'
    if not found:
        raise FileNotFoundError(
            f'{source} holds no file of format {options.format} that is named as an image, only '
            f'{len(files)} such as {files[0]}; {choices}'
        )
    held = ', '.join(f'{len(group)} such as {group[0]}' for group in found.values())
    raise ValueError(f'labels must be of one format, {source} holds {held}; {choices}')


def is_geojson(file: str) -> bool:
    """Whether a JSON file holds features."""
    with open(file, encoding='utf-8', errors='replace') as text:
        return '"FeatureCollection"' in text.read(_HEAD)


def check_options(kind: str, options: ObjectOptions) -> None:
    """Refuse options that belong to another format."""
    is_ground = kind == 'vector' or (kind == 'csv' and holds_points(options.columns or {}))
    for name, is_right, home in (
        ('attribute', kind in ('vector', 'csv'), 'vector files and CSV'),
        ('layer', kind == 'vector', 'vector files'),
        ('columns', kind == 'csv', 'CSV'),
        ('point_size', is_ground, 'vector files, and CSV with columns x, y and crs'),
        ('area', is_ground, 'vector files, and CSV with columns x, y and crs'),
    ):
        value = getattr(options, name)
        if value is not None and not is_right:
            raise ValueError(
                f'{name} goes with {home}, got {value} for labels of format {kind}; null takes out '
                f'what a configuration names (--data.{name} null)'
            )


type Reader = Callable[[Images, Sequence[str], ObjectOptions, str], Annotations]


def _read_vector(
    images: Images, files: Sequence[str], options: ObjectOptions, source: str
) -> Annotations:
    """Read one vector file."""
    if len(files) > 1:
        raise ValueError(f'labels may be one vector file, got {len(files)}: {source}; join them')
    return read_features(
        images,
        read_vectors(files[0], layer=options.layer),
        source=source,
        attribute=options.attribute,
        point_size=options.point_size,
    )


def _read_csv(
    images: Images, files: Sequence[str], options: ObjectOptions, source: str
) -> Annotations:
    """Read CSV files of boxes, or one of points."""
    columns = dict(options.columns or {})
    label = options.attribute or columns.get('label')
    if not holds_points(columns):
        named = columns if label is None else columns | {'label': label}
        return read_boxes(images, files, source=source, columns=named)
    if len(files) > 1:
        raise ValueError(f'labels may be one CSV of points, got {len(files)}: {source}; join them')
    return read_features(
        images,
        read_points(files[0], columns=columns),
        source=source,
        attribute=label,
        point_size=options.point_size,
    )


def _read_text(
    images: Images, files: Sequence[str], options: ObjectOptions, source: str
) -> Annotations:
    """Read text files, whose content tells the format if the user does not."""
    kind = options.format if options.format in ('yolo', 'dota') else None
    return read_text(images, files, source=source, kind=kind, names=options.class_names)


READERS: dict[str, Reader] = {
    'vector': _read_vector,
    'csv': _read_csv,
    'coco': lambda images, files, options, source: read_coco(images, files, source=source),
    'voc': lambda images, files, options, source: read_voc(images, files, source=source),
    'text': _read_text,
}
"""How each format is read."""
