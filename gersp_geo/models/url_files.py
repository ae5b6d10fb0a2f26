"""Files behind https URLs, in the folders where published weights lie."""

import re
from functools import cache
from hashlib import sha256
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.error import HTTPError
from urllib.parse import SplitResult, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from huggingface_hub.utils.tqdm import tqdm

from .. import __version__
from ..geoio.write import new_file
from ..messages import one_line
from .checkpoint_files import sha256_of
from .downloads import check_download, find_file, refuse_changed, remember_checksum, weight_folders
from .remote_files import RemoteFile

# seconds without an answer
_PATIENCE = 30

# bytes read at a time
_CHUNK = 2**20

# where a network cannot change what is sent
_LOOPBACK = {'127.0.0.1', '::1', 'localhost'}

# as torch hub has it: the first digits of the SHA-256, after the last hyphen of the name
_DIGEST = re.compile(r'-([0-9a-f]{8,64})\.[A-Za-z0-9]+$')

# eight digits that are a day rather than part of a checksum
_DAY = re.compile(r'(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])')


class _Redirects(HTTPRedirectHandler):
    """Follows a server to another that is encrypted, or within this computer."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: object, newurl: str
    ) -> Request | None:
        """Check where it leads to."""
        target = urlsplit(newurl)
        # a server elsewhere has nothing to ask of this computer
        if target.hostname in _LOOPBACK and urlsplit(req.full_url).hostname not in _LOOPBACK:
            raise ValueError(
                f'{req.host} leads to this computer; download the file, and pass its path'
            )
        _check_url(target)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


@cache
def _opener() -> OpenerDirector:
    """Make what opens URLs, once, as reading certificates takes a moment."""
    return build_opener(_Redirects)


def obtain_from_url(url: str) -> RemoteFile:
    """Find what was downloaded from a URL before, or download it.

    Each URL has a folder of its own: two may end in one name, and torch hub runs what lies in its
    folder under a name that it knows, without a look at it. A checksum in the name
    (NAME-0123abcd.pth) is checked.

    Args:
        url: https, or http on this computer; without a password.

    Returns:
        The file, complete and checked.

    Raises:
        FileNotFoundError: If it is not here and cannot be downloaded.
        ValueError: If the URL is of another kind, or the file is not the one that its name or an
            earlier download tells.
    """
    parts = urlsplit(url)
    _check_url(parts)
    # a name that any file system takes, and that leads nowhere
    name = re.sub(r'[^\w.+-]', '_', PurePosixPath(parts.path).name, flags=re.ASCII)
    if not name.strip('.'):
        raise ValueError(f'{_shown(parts)} names no file; pass the URL of one')
    known = _digest_in(name)
    place = f'urls/{sha256(url.encode()).hexdigest()[:16]}/{name}'
    path = find_file([place])
    if path is None:
        path = weight_folders()[0] / place
        _download(url, path, known=known)
    digest = sha256_of(path)
    if known is not None:
        _check_digest(digest, known, f'{path}; remove it, and it is downloaded again')
    refuse_changed(path)
    remember_checksum(path)
    return RemoteFile(path=path, origin=_shown(parts), sha256=digest)


def _check_url(parts: SplitResult) -> None:
    """Refuse what is not encrypted, and what would show a password."""
    if parts.username or parts.password:
        raise ValueError(
            f'{_shown(parts)} was given with a name or password in it; download the file by hand, '
            'and pass its path'
        )
    if parts.scheme == 'https' or (parts.scheme == 'http' and parts.hostname in _LOOPBACK):
        return
    raise ValueError(
        f'{_shown(parts)} must begin with https:// (http:// is for this computer alone), since what '
        'is not encrypted can be changed on its way; or download the file, and pass its path'
    )


def _shown(parts: SplitResult) -> str:
    """Write a URL without what may be secret: passwords and signed queries."""
    return urlunsplit((parts.scheme, parts.netloc.rpartition('@')[2], parts.path, '', ''))


def _digest_in(name: str) -> str | None:
    """Read the beginning of the checksum that a name tells, if it does."""
    found = _DIGEST.search(name)
    return None if found is None or _DAY.fullmatch(found[1]) else found[1]


def _check_digest(digest: str, known: str, what: str) -> None:
    """Compare a checksum with the beginning that is known of it."""
    if not digest.startswith(known):
        raise ValueError(f'SHA-256 must begin with {known}, got {digest} of {what}')


def _download(url: str, path: Path, *, known: str | None) -> None:
    """Download a file, which appears when it is complete.

    Raises:
        FileNotFoundError: If it cannot be had.
        ValueError: If it is not what its name tells.
    """
    shown = _shown(urlsplit(url))
    by_hand = f'download it by hand and save it as {path}, or pass the path of a copy'
    # a server may answer whom it knows alone
    request = Request(url, headers={'User-Agent': f'gersp-geo/{__version__}'})
    with new_file(path, overwrite=True) as temporary:
        try:
            with _opener().open(request, timeout=_PATIENCE) as response:
                digest = _receive(response, temporary, is_known=known is not None)
        # HTTPException: a server that stops in the middle
        except (OSError, HTTPException) as error:
            if isinstance(error, HTTPError):
                error.close()
            raise FileNotFoundError(
                f'{shown} is not here and cannot be downloaded ({one_line(error)}); {by_hand}'
            ) from error
        if known is not None:
            _check_digest(digest, known, f'what {shown} sends; {by_hand}')


def _receive(response: HTTPResponse, path: Path, *, is_known: bool) -> str:
    """Write what a server sends, and compute its SHA-256.

    Raises:
        OSError: If it is a page, too large, or not complete, or nothing tells whether it is.
    """
    if response.headers.get_content_type() == 'text/html':
        raise OSError('the server answers with a page')
    told = response.headers.get('Content-Length')
    length = int(told) if told is not None and told.isdecimal() else None
    if length is None and not is_known and not response.chunked:
        raise OSError('the server does not say how long the file is')
    check_download(length or 0)
    digest, received = sha256(), 0
    with (
        path.open('wb') as file,
        # silent where nobody looks
        tqdm(total=length, unit='B', unit_scale=True, disable=None, leave=False) as bar,
    ):
        while chunk := response.read(_CHUNK):
            received += len(chunk)
            check_download(received)
            file.write(chunk)
            digest.update(chunk)
            bar.update(len(chunk))
    # http.client takes a connection that is cut for the end of the file
    if length is not None and received != length:
        raise OSError(f'the connection was cut after {received} of {length} bytes')
    return digest.hexdigest()
