import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

VOID = {'meta', 'img', 'br', 'hr', 'link', 'input', 'wbr'}


class Page(HTMLParser):
    """What a browser makes of a page: its text, and the tags that are opened and closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html, self.parts, self.tags = html, list[str](), list[str]()
        self.addresses, self.open, self.ids = list[str](), list[str](), list[str]()
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open += [] if tag in VOID else [tag]
        self.addresses += [
            v or '' for k, v in attrs if k in ('src', 'xlink:href', 'data', 'poster')
        ]
        self.addresses += [v or '' for k, v in attrs if k == 'href' and tag != 'a']

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != 'style':
            self.parts.append(data)

    @property
    def text(self) -> str:
        return ' '.join(''.join(self.parts).split())

    def check(self) -> None:
        """Fail where the page is not whole, runs code, or asks for anything but itself."""
        assert not self.open
        assert not {'script', 'iframe', 'link', 'object', 'embed', 'base', 'form'} & set(self.tags)
        assert all(address.startswith('data:image/') for address in self.addresses)
        assert not re.search(r'@import|url\(|\son[a-z]+=', self.html)
        assert 'width=device-width' in self.html
        assert 'prefers-color-scheme: dark' in self.html


@pytest.fixture
def read_page() -> Callable[[Path], Page]:
    """Read a page as a browser does, and check that it stands alone."""

    def read(path: Path) -> Page:
        page = Page(path.read_text(encoding='utf-8'))
        page.check()
        return page

    return read
