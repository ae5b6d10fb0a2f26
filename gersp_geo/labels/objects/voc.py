"""Pascal VOC: one XML file of boxes per image."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser, parse

import numpy as np

from .coco import check_size
from .matching import ImageNames, name_images, report_missing
from .table import Annotations, Corners, Images


class _PlainBuilder(TreeBuilder):
    """Refuse what could define entities, which grow without end."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Refuse a document type."""
        raise ValueError('it declares a document type, which annotations do not need; remove it')


def read_voc(images: Images, files: Sequence[str], *, source: str) -> Annotations:
    """Read Pascal VOC files.

    A file belongs to the image of its name, else to that of its ``filename``. The numbers of a box
    are its edges in pixels, counted from 0, as labelImg, DeepForest and torchgeo have it; in the
    original data set, which counts pixels from 1, objects lie up to one pixel further up and left.

    Args:
        images: The images.
        files: The XML files.
        source: Their folder, or the only one, for messages.

    Raises:
        ValueError: If a file is no such XML, says something impossible, or no file has an image.

    Warns:
        UserWarning: If images are missing, or have no file.
    """
    roots = {file: parse_xml(file) for file in files}
    image_names, names = ImageNames(images.files), name_images(files)
    found = image_names.match([*names.values()], source=source)
    if not found:
        # the file may be named in another way than the image that it belongs to
        names = {file: root.findtext('filename') or file for file, root in roots.items()}
        found = image_names.match([*names.values()], source=source)
    report_missing([*names.values()], found, images.files, source=source)
    owners = {file: found.get(name, -1) for file, name in names.items()}
    known = np.zeros(len(images.files), dtype=np.bool_)
    known[[image for image in owners.values() if image >= 0]] = True
    read = Annotations(source=source, unit='object', attribute='name', known=known)
    for file, root in roots.items():
        image = owners[file]
        width, height = (root.findtext(f'size/{side}') or '0' for side in ('width', 'height'))
        if not (width.strip().isdecimal() and height.strip().isdecimal()):
            raise ValueError(f'size in {file} must be whole numbers, got {width!r} and {height!r}')
        check_size(images, image, int(width), int(height), file=file)
        for row, item in enumerate(root.iter('object'), start=1):
            where = f'object {row} of {file}'
            name = (item.findtext('name') or '').strip() or None
            is_hard = (item.findtext('difficult') or '0').strip() not in ('0', '')
            corners = read_corners(item, where=where) if image >= 0 else None
            read.add(corners, name, image=image, file=file, row=row, ignored=is_hard)
    return read


def parse_xml(file: str) -> Element:
    """Read an XML file; say in which line it breaks."""
    try:
        root = parse(file, XMLParser(target=_PlainBuilder())).getroot()
    except ParseError as error:
        raise ValueError(f'{file} is no XML: {error}') from error
    except ValueError as error:
        raise ValueError(f'{file} cannot be read: {error}') from error
    if root is None or root.tag != 'annotation':
        tag = None if root is None else root.tag
        raise ValueError(f'{file} is no Pascal VOC file: it must hold <annotation>, got <{tag}>')
    return root


def read_corners(item: Element, *, where: str) -> Corners:
    """Read the box of an object."""
    texts = [item.findtext(f'bndbox/{key}') for key in ('xmin', 'ymin', 'xmax', 'ymax')]
    try:
        left, top, right, bottom = (float(text or 'nothing') for text in texts)
    except ValueError as error:
        raise ValueError(
            f'{where} needs xmin, ymin, xmax and ymax in a bndbox, got {texts}'
        ) from error
    return left, top, right, bottom
