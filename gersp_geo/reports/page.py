"""A page of HTML that needs nothing but itself: no script, no network, no file beside it.

Elements are those of ``xml.etree``, which escapes whatever comes from files when it writes them.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from io import BytesIO
from os import PathLike
from pathlib import Path
from xml.etree.ElementTree import Element, tostring

import numpy as np
from numpy.typing import NDArray

from ..geoio.write import check_absent, check_writable, new_file
from ..provenance import software
from .style import STYLE

type Child = Element | str
"""What an element holds: others, and text."""

type Color = tuple[int, int, int]
"""Red, green and blue in [0, 255]."""

_SUFFIXES = ('.html', '.htm')
_UNSAFE = {character: '\N{REPLACEMENT CHARACTER}' for character in range(32)} | {9: ' ', 10: '\n'}


def check_page(destination: str | PathLike[str], *, overwrite: bool) -> None:
    """Refuse a page that could not be written, before any work.

    Raises:
        FileExistsError: If *destination* exists and may not be replaced.
        OSError: If its folder cannot be written to.
        ValueError: If it does not end in .html, or is not on a local disk.
    """
    path = Path(destination)
    if path.suffix.lower() not in _SUFFIXES:
        raise ValueError(f'a report is written as .html, got {path}; pass a path that ends so')
    check_writable(destination)
    check_absent(path, overwrite=overwrite)


def element(tag: str, *children: Child, **attributes: str) -> Element:
    """Make an element.

    Args:
        tag: Its name.
        *children: In their order.
        **attributes: ``class_`` is written class, and other underscores as hyphens, but for
            ``viewBox`` and the like, which stay as they are.
    """
    made = Element(
        tag, {name.rstrip('_').replace('_', '-'): value for name, value in attributes.items()}
    )
    last: Element | None = None
    for child in children:
        if isinstance(child, Element):
            made.append(child)
            last = child
        elif last is None:
            made.text = (made.text or '') + child.translate(_UNSAFE)
        else:
            last.tail = (last.tail or '') + child.translate(_UNSAFE)
    return made


def section(title: str, *children: Child) -> Element:
    """Put a heading above some elements."""
    return element('section', element('h2', title), *children)


def paragraph(*children: Child, kind: str = '') -> Element:
    """Make a paragraph of a kind that the style knows."""
    return element('p', *children, **({'class_': kind} if kind else {}))


def bullet_list(items: Sequence[Child], *, kind: str = '') -> Element:
    """List some things."""
    attributes = {'class_': kind} if kind else {}
    return element('ul', *(element('li', item) for item in items), **attributes)


def table(
    rows: Iterable[Sequence[Child]], *, head: Sequence[Child], caption: str = '', kind: str = ''
) -> Element:
    """Make a table that scrolls sideways where it is too wide.

    Args:
        rows: Cells; a ``td`` element is taken as it is. The first of a row names it.
        head: Names of the columns; none where there is no head.
        caption: Above it.
        kind: One that the style knows, such as 'words' where cells are text that may be broken, or
            'cards' where each row stands by itself on a phone, with a name beside each cell.
    """
    made = element('table', **({'class_': kind} if kind else {}))
    if caption:
        made.append(element('caption', caption))
    if head:
        names = (element('th', cell, scope='col') for cell in head)
        made.append(element('thead', element('tr', *names)))
    body = element('tbody')
    for first, *others in rows:
        cells = [
            cell if isinstance(cell, Element) and cell.tag == 'td' else element('td', cell)
            for cell in others
        ]
        if 'cards' in kind:
            for cell, name in zip(cells, head[1:], strict=True):
                cell.set('data-name', str(name))
        body.append(element('tr', element('th', first, scope='row'), *cells))
    made.append(body)
    return element('div', made, class_='scroll', tabindex='0')


def facts_table(facts: Mapping[str, Child]) -> Element:
    """Make a table of names and what they stand for."""
    return table(facts.items(), head=(), kind='words')


def swatch(color: Color, name: str) -> Element:
    """Name a class beside its colour."""
    red, green, blue = color
    square = element('span', class_='swatch', style=f'background:rgb({red},{green},{blue})')
    return element('span', square, element('span', name), class_='named')


def fold(title: str, *children: Child) -> Element:
    """Hide elements until somebody asks for them."""
    return element('details', element('summary', title), *children)


def picture(pixels: NDArray[np.uint8], *, text: str, photo: bool = False) -> Element:
    """Show an image.

    Args:
        pixels: Red, green and blue, shape (H, W, 3).
        text: What it shows, for those who do not see it.
        photo: Whether small losses are no harm, which takes a fifth of the room.
    """
    from PIL import Image

    written = BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels))
    kind = 'jpeg' if photo else 'png'
    image.save(written, kind, **({'quality': 88} if photo else {'optimize': True}))
    return stored_picture(written.getvalue(), kind, text=text)


def stored_picture(content: bytes, kind: str, *, text: str) -> Element:
    """Show an image that is a file already."""
    source = f'data:image/{kind};base64,{b64encode(content).decode("ascii")}'
    return element('img', src=source, alt=text.translate(_UNSAFE))


def captioned(shown: Child, *caption: Child, kind: str = '', style: str = '') -> Element:
    """Put a caption below a picture, of a kind that the style knows or with a style of its own."""
    attributes = {name: text for name, text in (('class_', kind), ('style', style)) if text}
    return element('figure', shown, element('figcaption', *caption), **attributes)


def write_page(
    destination: str | PathLike[str],
    *,
    title: str,
    lead: Sequence[Element],
    notes: Sequence[Child] = (),
    sections: Iterable[Element | None],
    overwrite: bool = False,
) -> Path:
    """Write a page, whole or not at all.

    Args:
        destination: File that ends in .html.
        title: Above it, and of its window.
        lead: What is to be known first.
        notes: What has to be said of it.
        sections: What follows; None is left out.
        overwrite: Replace an existing file.

    Returns:
        *destination*.
    """
    made = ', '.join(' '.join(pair) for pair in software().items()).replace('_', '-', 1)
    now = f'{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}'
    head = element(
        'head',
        element('meta', charset='utf-8'),
        element('meta', name='viewport', content='width=device-width, initial-scale=1'),
        element('title', title),
        element('style', STYLE),
    )
    said = [bullet_list(notes, kind='notes')] if notes else []
    body = element(
        'body',
        element('header', element('h1', title), *lead, *said),
        element('main', *(part for part in sections if part is not None)),
        element('footer', f'Written {now} by {made}.'),
    )
    text = tostring(element('html', head, body, lang='en'), encoding='unicode', method='html')
    with new_file(destination, overwrite=overwrite) as temporary:
        # file names may hold bytes that are no text
        content = f'<!DOCTYPE html>\n{text}\n'.encode('utf-8', errors='replace')
        temporary.write_bytes(content)
    return Path(destination)
